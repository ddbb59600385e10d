//! Makes everything that is told at once fit into one message. What is cut here is told in full in a message of its own.

use protocol::{
    limits::MAX_MESSAGE,
    report::{InstanceReport, MachineFacts},
};

/// What facts and reports may take together; the rest of a message needs far less than what is left.
const BUDGET: usize = MAX_MESSAGE - 16 * 1024;

/// Cuts what is too much: notes, the longest first; then texts that explain; at last whole instances. Returns the bases
/// of the instances whose status is not whole.
pub fn fit(facts: &mut MachineFacts, instances: &mut Vec<InstanceReport>) -> Vec<String> {
    let mut sizes: Vec<usize> = instances.iter().map(size).collect();
    let mut excess = (sizes.iter().sum::<usize>() + size(facts)).saturating_sub(BUDGET);
    let mut cut = vec![false; instances.len()];
    let steps: [fn(&mut InstanceReport); 2] = [
        |report| report.notes.clear(),
        |report| {
            report.reason = None;
            report.home = None;
            report.last_exit = None;
        },
    ];
    for step in steps {
        let mut largest: Vec<usize> = (0..instances.len()).collect();
        largest.sort_by_key(|&at| std::cmp::Reverse(sizes[at]));
        for at in largest {
            if excess == 0 {
                break;
            }
            step(&mut instances[at]);
            let before = std::mem::replace(&mut sizes[at], size(&instances[at]));
            cut[at] |= sizes[at] < before;
            excess = excess.saturating_sub(before - sizes[at]);
        }
    }
    let told = instances.iter().zip(cut).filter(|(_, cut)| *cut).map(|(report, _)| report.base.clone());
    let mut bases: Vec<String> = told.collect();
    while excess > 0
        && let (Some(report), Some(size)) = (instances.pop(), sizes.pop())
    {
        excess = excess.saturating_sub(size);
        bases.push(report.base);
    }
    bases
}

/// The length of a value in a message, with the comma after it.
fn size(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |text| text.len() + 1)
}

#[cfg(test)]
mod tests {
    use protocol::state::State;

    use super::*;

    fn report(number: usize, path: usize, notes: usize) -> InstanceReport {
        let mut report: InstanceReport = serde_json::from_value(serde_json::json!({
            "base": format!("/{number:03}{}", "b".repeat(path)), "state": State::Stopped, "age_ms": 1, "ports": [],
            "home": "h".repeat(path), "notes": vec!["\u{1}".repeat(2000); notes],
        }))
        .unwrap();
        report.clip();
        report
    }

    fn fitted(path: usize, notes: usize) -> (Vec<InstanceReport>, Vec<String>) {
        let mut facts = MachineFacts { notes: vec!["n".repeat(2000); 40], ..Default::default() };
        facts.clip();
        let mut instances: Vec<_> = (0..256).map(|number| report(number, path, notes)).collect();
        instances.push(report(256, path, 16));
        let cut = fit(&mut facts, &mut instances);
        assert!(size(&facts) + instances.iter().map(size).sum::<usize>() <= BUDGET, "{path} {notes}");
        (instances, cut)
    }

    #[test]
    fn everything_at_once_fits_and_says_what_it_lacks() {
        let (instances, cut) = fitted(100, 0);
        assert_eq!((instances.len(), cut.len()), (257, 0), "what fits is left as it is");
        let (instances, cut) = fitted(100, 1);
        assert!(instances.len() == 257 && cut.len() < 257, "{}", cut.len());
        assert!(cut.contains(&report(256, 100, 0).base), "the longest goes first");
        let (instances, cut) = fitted(450, 1);
        assert_eq!((instances.len(), cut.len()), (257, 257));
        let (instances, cut) = fitted(4000, 1);
        assert!(instances.len() > 30 && cut.len() >= 257);
    }
}
