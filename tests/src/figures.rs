//! Figures of a measurement, as benches print them.

use std::{fmt, fs};

/// Values of one kind, in milliseconds where nothing else is said.
#[derive(Debug, Clone, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many are above a limit.
    pub fn above(&self, limit: f64) -> usize {
        self.0.iter().filter(|value| **value > limit).count()
    }

    /// The value that this part of all, between 0 and 1, does not exceed; not a number where there are none.
    pub fn part(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// The median.
    pub fn median(&self) -> f64 {
        self.part(0.5)
    }

    /// The worst.
    pub fn worst(&self) -> f64 {
        self.part(1.0)
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Extend<f64> for Figures {
    fn extend<T: IntoIterator<Item = f64>>(&mut self, values: T) {
        self.0.extend(values);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, p95, p99, worst) = (self.median(), self.part(0.95), self.part(0.99), self.worst());
        write!(f, "median {median:7.2}   p95 {p95:7.2}   p99 {p99:7.2}   worst {worst:7.2} ms   (n = {})", self.0.len())
    }
}

/// The memory of a process that is resident, in MB.
pub fn resident(pid: u32) -> f64 {
    memory(pid, "VmRSS:")
}

/// The most memory of a process that was resident since [`forget_peak`], in MB: the kernel keeps it, so nothing is missed.
pub fn peak(pid: u32) -> f64 {
    memory(pid, "VmHWM:")
}

/// Has the kernel look for the peak anew (proc(5), `clear_refs`).
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the process runs");
}

fn memory(pid: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_values_that_were_there() {
        let figures: Figures = (1..=100).rev().map(f64::from).collect();
        assert_eq!((figures.median(), figures.part(0.95), figures.worst()), (50.0, 95.0, 100.0));
        assert_eq!(figures.above(90.0), 10);
        assert!(Figures::default().median().is_nan());
    }
}
