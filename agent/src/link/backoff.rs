//! How long to wait before dialling again.

use std::time::Duration;

use rand::Rng;

/// The longest first wait.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait in the first minutes of an outage.
const SOON: Duration = Duration::from_secs(5);

/// How long an outage counts as young.
const YOUNG: Duration = Duration::from_secs(600);

/// The longest wait in an outage that lasts.
const LATE: Duration = Duration::from_secs(30);

/// How long to wait after a refusal that no waiting mends.
const REFUSED: Duration = Duration::from_secs(60);

/// How long a connection must have held for the next outage to count as a new one.
pub const HEALTHY: Duration = Duration::from_secs(30);

/// The waits of one outage: full jitter, so that a fleet does not return in step.
#[derive(Debug, Default)]
pub struct Backoff {
    attempt: u32,
    waited: Duration,
}

impl Backoff {
    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let wait = jitter(self.bound());
        self.attempt = self.attempt.saturating_add(1);
        self.waited += wait;
        wait
    }

    /// The longest that the next wait may be.
    fn bound(&self) -> Duration {
        let bound = FIRST.saturating_mul(2_u32.saturating_pow(self.attempt.min(16)));
        bound.min(if self.waited < YOUNG { SOON } else { LATE })
    }
}

/// The wait after a refusal that no waiting mends.
pub fn after_refusal() -> Duration {
    REFUSED / 2 + jitter(REFUSED / 2)
}

fn jitter(bound: Duration) -> Duration {
    bound.mul_f64(rand::rng().random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.bound(), FIRST);
        for _ in 0..100 {
            let bound = backoff.bound();
            assert!(backoff.wait() <= bound && bound <= SOON);
        }
        assert_eq!(backoff.bound(), SOON);
        backoff.waited = YOUNG;
        assert_eq!(backoff.bound(), LATE);
    }

    #[test]
    fn refusals_are_slow() {
        for _ in 0..100 {
            assert!((REFUSED / 2..=REFUSED).contains(&after_refusal()));
        }
    }
}
