//! The state of an instance as a pure function of what is known: what was signalled, the process, its answers.

use std::time::Duration;

use protocol::state::{Action, State};

/// What is known of an instance at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// There is no process, and none was triggered.
    NoProcess {
        /// How the last one ended, in words.
        ended: Option<String>,
    },
    /// A start was triggered, and its process is not there yet.
    Launching,
    /// There is a process.
    Process(ProcessFacts),
}

/// What is known of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessFacts {
    /// How long the process has existed.
    pub age: Duration,
    /// Whether a signal (SIGSTOP) or a debugger holds it.
    pub frozen: bool,
    /// What the grid signalled to this process last.
    pub signalled: Option<Action>,
    /// Whether that was really sent is not known: the agent ended while it was about to.
    pub is_doubtful: bool,
    /// Its listening sockets.
    pub sockets: Sockets,
    /// Whether this process has ever given a good answer.
    pub has_answered: bool,
    /// Its latest answer.
    pub answer: Answer,
}

/// The listening sockets of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sockets {
    /// It has none yet.
    NotYet,
    /// It has those that it should have.
    Open,
    /// It had its connectors, and gave all of them up.
    GivenUp,
    /// Another process holds the one that it should have.
    Held {
        /// The port.
        port: u16,
        /// Who holds it, in words.
        by: String,
    },
    /// It has others, and not the one that it should have.
    Missing {
        /// The port.
        port: u16,
    },
}

/// The latest answer of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has not been asked, or an answer is awaited.
    None,
    /// As expected.
    Good,
    /// It cannot be asked: it has no HTTP connector, and its sockets speak for it.
    NotAskable,
    /// Not as expected, in words.
    Bad(String),
    /// Its port refuses connections.
    Refused,
    /// Asked again and again, it said nothing for so long.
    Silent(Duration),
}

/// A state, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub state: State,
    /// Why, in words, where there is something to say.
    pub reason: Option<String>,
}

impl Verdict {
    fn plain(state: State) -> Self {
        Self { state, reason: None }
    }

    fn because(state: State, reason: impl Into<String>) -> Self {
        Self { state, reason: Some(reason.into()) }
    }
}

/// Judges the state of an instance. `start_timeout` is how long a start may take.
pub fn judge(facts: &Facts, start_timeout: Duration) -> Verdict {
    match facts {
        Facts::NoProcess { ended } => Verdict { state: State::Stopped, reason: ended.clone() },
        Facts::Launching => Verdict::plain(State::Starting),
        Facts::Process(process) => judge_process(process, start_timeout),
    }
}

fn judge_process(process: &ProcessFacts, start_timeout: Duration) -> Verdict {
    const FROZEN: &str = "the process is frozen by a signal (SIGSTOP) or a debugger; SIGCONT lets it go on";
    match process.signalled {
        Some(action @ (Action::Stop | Action::Kill)) if process.is_doubtful => {
            // What was never sent must not be said, and what was sent shows: it does not serve any more.
            let closed = process.sockets == Sockets::GivenUp;
            let mute = matches!(process.answer, Answer::Bad(_) | Answer::Refused | Answer::Silent(_));
            if closed || (mute && process.has_answered && !process.frozen) {
                let why = format!("the agent ended while it sent the {action}, and the process serves no more");
                return Verdict::because(State::Stopping, why);
            }
        }
        Some(Action::Stop) if process.frozen => {
            return Verdict::because(State::Stopping, format!("{FROZEN}, and only then it can stop"));
        }
        Some(Action::Stop | Action::Kill) => return Verdict::plain(State::Stopping),
        Some(Action::Start) | None => {}
    }
    if process.frozen {
        return Verdict::because(State::Unresponsive, FROZEN);
    }
    match &process.sockets {
        Sockets::GivenUp => {
            return Verdict::because(
                State::Stopping,
                "it gave up its listening sockets: it was told to stop, but not by the grid",
            );
        }
        Sockets::Held { port, by } => {
            return Verdict::because(State::Unresponsive, format!("port {port} is held by {by}"));
        }
        Sockets::Missing { port } => {
            return Verdict::because(
                State::Unresponsive,
                format!("its connector on port {port} failed: the process listens elsewhere, and not there"),
            );
        }
        Sockets::NotYet | Sockets::Open => {}
    }
    match (&process.answer, process.has_answered) {
        (Answer::Good, _) => Verdict::plain(State::Active),
        (Answer::NotAskable, _) if process.sockets == Sockets::Open => Verdict::plain(State::Active),
        (Answer::None, true) => Verdict::plain(State::Active),
        (Answer::Bad(why), true) => Verdict::because(State::Unresponsive, why.clone()),
        (Answer::Refused, true) => Verdict::because(State::Unresponsive, "its port refuses connections"),
        (Answer::Silent(time), true) => {
            Verdict::because(State::Unresponsive, format!("no answer within {} s", time.as_secs()))
        }
        (answer, _) if process.age >= start_timeout => {
            let limit = start_timeout.as_secs();
            let why = match answer {
                Answer::Bad(why) => format!("; {why}"),
                Answer::Refused => "; its port refuses connections".to_owned(),
                _ => String::new(),
            };
            Verdict::because(State::Unresponsive, format!("no good answer within {limit} s of its start{why}"))
        }
        (Answer::Bad(why), false) => Verdict::because(State::Starting, why.clone()),
        _ => Verdict::plain(State::Starting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(180);

    fn process() -> ProcessFacts {
        ProcessFacts {
            age: Duration::from_secs(5),
            frozen: false,
            signalled: None,
            is_doubtful: false,
            sockets: Sockets::Open,
            has_answered: true,
            answer: Answer::Good,
        }
    }

    fn fresh() -> ProcessFacts {
        ProcessFacts { sockets: Sockets::NotYet, has_answered: false, answer: Answer::None, ..process() }
    }

    fn held() -> Sockets {
        Sockets::Held { port: 80, by: "nginx".to_owned() }
    }

    #[test]
    fn the_table_of_states() {
        let silent = || Answer::Silent(Duration::from_secs(4));
        let old = Duration::from_secs(181);
        let stop = Some(Action::Stop);
        for (process, state, words) in [
            // A healthy life.
            (fresh(), State::Starting, ""),
            (ProcessFacts { sockets: Sockets::Open, ..fresh() }, State::Starting, ""),
            (ProcessFacts { answer: Answer::Refused, ..fresh() }, State::Starting, ""),
            (ProcessFacts { signalled: Some(Action::Start), ..fresh() }, State::Starting, ""),
            (process(), State::Active, ""),
            (ProcessFacts { signalled: stop, ..process() }, State::Stopping, ""),
            (ProcessFacts { signalled: Some(Action::Kill), ..process() }, State::Stopping, ""),
            // A start that takes its time, and one that takes too long.
            (ProcessFacts { answer: Answer::Bad("503".into()), ..fresh() }, State::Starting, "503"),
            (ProcessFacts { age: old, ..fresh() }, State::Unresponsive, "within 180 s of its start"),
            (ProcessFacts { age: old, answer: Answer::Refused, ..fresh() }, State::Unresponsive, "refuses"),
            (ProcessFacts { age: old, answer: Answer::Good, ..fresh() }, State::Active, ""),
            // A start that cannot come.
            (ProcessFacts { sockets: held(), ..fresh() }, State::Unresponsive, "port 80 is held by nginx"),
            (ProcessFacts { sockets: Sockets::Missing { port: 80 }, ..fresh() }, State::Unresponsive, "port 80 failed"),
            // It hangs.
            (ProcessFacts { frozen: true, ..process() }, State::Unresponsive, "frozen"),
            (ProcessFacts { frozen: true, ..fresh() }, State::Unresponsive, "frozen"),
            (ProcessFacts { answer: silent(), ..process() }, State::Unresponsive, "no answer within 4 s"),
            (ProcessFacts { answer: Answer::Bad("500".into()), ..process() }, State::Unresponsive, "500"),
            (ProcessFacts { answer: Answer::Refused, ..process() }, State::Unresponsive, "refuses"),
            // It stops, by the grid or by hand.
            (ProcessFacts { frozen: true, signalled: stop, ..process() }, State::Stopping, "only then it can stop"),
            (ProcessFacts { answer: silent(), signalled: stop, ..process() }, State::Stopping, ""),
            (ProcessFacts { sockets: Sockets::GivenUp, ..process() }, State::Stopping, "not by the grid"),
            (ProcessFacts { sockets: held(), signalled: stop, ..fresh() }, State::Stopping, ""),
            // The agent ended while it was about to send the stop.
            (ProcessFacts { is_doubtful: true, signalled: stop, ..process() }, State::Active, ""),
            (ProcessFacts { is_doubtful: true, signalled: stop, answer: Answer::None, ..process() }, State::Active, ""),
            (
                ProcessFacts { is_doubtful: true, signalled: stop, answer: silent(), ..process() },
                State::Stopping,
                "serves no more",
            ),
            (
                ProcessFacts { is_doubtful: true, signalled: stop, sockets: Sockets::GivenUp, ..process() },
                State::Stopping,
                "serves no more",
            ),
            (
                ProcessFacts { is_doubtful: true, signalled: stop, answer: Answer::Refused, ..fresh() },
                State::Starting,
                "",
            ),
            // It cannot be asked.
            (ProcessFacts { answer: Answer::NotAskable, sockets: Sockets::NotYet, ..fresh() }, State::Starting, ""),
            (ProcessFacts { answer: Answer::NotAskable, sockets: Sockets::Open, ..fresh() }, State::Active, ""),
            // After the agent's own restart nothing has been asked yet.
            (ProcessFacts { answer: Answer::None, ..process() }, State::Active, ""),
        ] {
            let verdict = judge(&Facts::Process(process.clone()), LIMIT);
            assert_eq!(verdict.state, state, "{process:?}");
            assert!(verdict.reason.clone().unwrap_or_default().contains(words), "{process:?}: {verdict:?}");
            assert_eq!(verdict.reason.is_none(), words.is_empty(), "{process:?}: {verdict:?}");
        }
    }

    #[test]
    fn without_a_process_it_is_stopped_or_about_to_start() {
        assert_eq!(judge(&Facts::NoProcess { ended: None }, LIMIT), Verdict::plain(State::Stopped));
        let ended = Some("killed by signal 9".to_owned());
        assert_eq!(judge(&Facts::NoProcess { ended: ended.clone() }, LIMIT).reason, ended);
        assert_eq!(judge(&Facts::Launching, LIMIT), Verdict::plain(State::Starting));
    }
}
