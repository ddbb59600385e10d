//! The rule of the throttle, with a clock of its own.

use super::*;

const HOME: &str = "10.0.0.7";
const AWAY: &str = "192.0.2.1";

/// A throttle, and the time.
struct Story {
    throttle: Throttle,
    now: Instant,
}

impl Story {
    fn new() -> Self {
        Self { throttle: Throttle::default(), now: Instant::now() }
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// An attempt that fails; how many seconds it has to wait instead.
    fn fails(&mut self, user: &str, from: &str) -> Option<u64> {
        self.throttle.begin(user, Source::of(from), self.now).err().map(|block| block.wait.as_secs())
    }

    /// An attempt that is good, if it is looked at.
    fn succeeds(&mut self, user: &str, from: &str) -> bool {
        let source = Source::of(from);
        let begun = self.throttle.begin(user, source, self.now).is_ok();
        if begun {
            self.throttle.succeeded(user, source, self.now);
        }
        begun
    }

    /// Fails as often as it takes to wait.
    fn fails_until_blocked(&mut self, user: &str, from: &str) -> u32 {
        (0..).find(|_| self.fails(user, from).is_some()).unwrap()
    }
}

#[test]
fn a_few_failures_are_free_and_each_further_doubles_the_wait() {
    let mut story = Story::new();
    assert_eq!(story.fails_until_blocked("alice", HOME), FREE_OF_PAIR);
    for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        assert_eq!(story.fails("alice", HOME), Some(wait));
        story.later(wait);
        assert_eq!(story.fails("alice", HOME), None, "after {wait} s");
    }
}

#[test]
fn waiting_is_told_to_the_second_and_costs_nothing_more() {
    let mut story = Story::new();
    story.fails_until_blocked("alice", HOME);
    story.later(1);
    assert_eq!(story.fails("alice", HOME), None);
    for left in [2, 1] {
        assert_eq!(story.fails("alice", HOME), Some(left), "an attempt that waits counts for nothing");
        story.later(1);
    }
    assert!(story.succeeds("alice", HOME));
    assert_eq!(story.fails_until_blocked("alice", HOME), FREE_OF_PAIR, "a good login forgives");
}

#[test]
fn after_quiet_everything_is_forgotten() {
    let mut story = Story::new();
    for _ in 0..8 {
        story.fails_until_blocked("alice", HOME);
        story.later(300);
    }
    assert_eq!(story.fails("alice", HOME), None);
    assert!(story.fails("alice", HOME).is_some());
    story.later(QUIET.as_secs());
    assert_eq!(story.fails_until_blocked("alice", HOME), FREE_OF_PAIR);
}

#[test]
fn a_user_is_guarded_against_many_addresses() {
    let mut story = Story::new();
    let free = (0..100u32).take_while(|n| story.fails("alice", &format!("192.0.2.{n}")).is_none()).count();
    assert_eq!(free as u32, FREE_OF_USER);
    assert!(story.succeeds("bob", HOME));
}

#[test]
fn nobody_is_locked_out_for_long_by_others() {
    let mut story = Story::new();
    let longest = LONGEST_WAIT_OF_USER.as_secs();
    for n in 0..60 {
        story.fails("alice", &format!("192.0.2.{n}"));
        story.later(longest);
    }
    story.fails("alice", "192.0.2.99");
    assert!(!story.succeeds("alice", HOME));
    story.later(longest);
    assert!(story.succeeds("alice", HOME));
}

#[test]
fn what_is_taken_back_prolongs_no_wait() {
    let mut story = Story::new();
    story.fails_until_blocked("alice", HOME);
    story.later(1);
    assert_eq!(story.fails("alice", HOME), None);
    story.later(2);
    assert_eq!(story.fails("alice", HOME), None);
    story.throttle.take_back("alice", Source::of(HOME), story.now);
    assert_eq!(story.fails("alice", HOME), None, "it is as if it had not been tried");
}

#[test]
fn an_address_is_watched_whatever_names_it_tries() {
    let mut story = Story::new();
    let free = (0..100).take_while(|n| story.fails(&format!("user{n}"), AWAY).is_none()).count();
    assert_eq!(free as u32, FREE_OF_SOURCE);
    assert!(!story.succeeds("bob", AWAY));
    assert!(story.succeeds("bob", HOME));
}

#[test]
fn the_unix_socket_is_no_address() {
    let mut story = Story::new();
    for n in 0..1000 {
        assert_eq!(story.fails(&format!("mark-{n}"), "the Unix socket"), None, "{n}");
    }
    assert_eq!(story.fails_until_blocked("alice", "the Unix socket"), FREE_OF_PAIR);
}

#[test]
fn who_logged_in_well_is_not_locked_out_by_others() {
    let mut story = Story::new();
    assert!(story.succeeds("alice", HOME));
    for n in 0..200 {
        story.fails("alice", &format!("192.0.2.{n}"));
    }
    assert!(!story.succeeds("alice", AWAY));
    assert!(story.succeeds("alice", HOME));
    // Nor is the address itself free to guess.
    assert_eq!(story.fails_until_blocked("alice", HOME), FREE_OF_PAIR);
    story.later(TRUST.as_secs());
    for n in 0..200 {
        story.fails("alice", &format!("192.0.2.{n}"));
    }
    assert!(!story.succeeds("alice", HOME), "it is not for ever");
}

#[test]
fn a_block_is_news_once() {
    let mut story = Story::new();
    let mut block = || {
        let mut begun = || story.throttle.begin("alice", Source::of(HOME), story.now);
        let block = loop {
            if let Err(block) = begun() {
                break block;
            }
        };
        assert!(!begun().unwrap_err().is_news);
        story.now += block.wait;
        block.is_news
    };
    assert!(block());
    assert!(block(), "the next one is another");
}

#[test]
fn many_at_once_gain_nothing() {
    let mut story = Story::new();
    let looked_at = (0..50).filter(|_| story.fails("alice", HOME).is_none()).count();
    assert_eq!(looked_at as u32, FREE_OF_PAIR);
    for _ in 0..FREE_OF_PAIR {
        story.throttle.take_back("alice", Source::of(HOME), story.now);
    }
    assert!(story.throttle.pairs.counters.is_empty() && story.throttle.users.counters.is_empty());
}

#[test]
fn a_site_of_ipv6_is_one_source() {
    for (one, other, same) in [
        ("2001:db8::1", "2001:db8::2:0:0:1", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("10.0.0.1", "10.0.0.2", false),
        ("::ffff:10.0.0.1", "10.0.0.1", true),
    ] {
        assert_eq!(Source::of(one) == Source::of(other), same, "{one} {other}");
    }
}

#[test]
fn the_tables_are_bounded_and_keep_what_matters() {
    let mut story = Story::new();
    story.fails_until_blocked("alice", HOME);
    for n in 0..MOST + 10 {
        story.fails(&format!("user{n}"), "the Unix socket");
        story.succeeds(&format!("good{n}"), "the Unix socket");
    }
    let Throttle { pairs, users, trusted, .. } = &story.throttle;
    assert!(pairs.counters.len() <= MOST && users.counters.len() <= MOST && trusted.len() <= MOST);
    assert!(story.fails("alice", HOME).is_some());
}
