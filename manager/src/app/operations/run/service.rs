//! One service: it is claimed, and its steps are carried out one after the other.

use protocol::{state::State, time::Timestamp};
use tokio::time::Instant;

use super::{CANCELLED, Ended, Run, hook::About, signal::Sent};
use crate::{
    app::{operations::live::Control, orders::away},
    grid::{
        command::Command,
        hooks::{
            Around, Phase,
            rules::{self, Scope, Situation, Verdict},
        },
        operation::{
            HookNode, NodeKind, ServiceNode, Signal, SignalNode, StepState, WaitFor, WaitNode,
            looking::{Look, Mark, look},
            needless::needless,
            outcome,
        },
    },
};

/// What a pre-hook and its signal are skipped for.
const NOT_LATE: &str = "the stop did not take too long";

/// What is said of a service that is left.
const LEFT: &str = "left in the middle: the operation was cancelled";

/// How far the steps of a service have come.
#[derive(Default)]
struct Course {
    /// Why nothing after it runs: a hook said so.
    vetoed: Option<String>,
    /// What failed first, and why.
    failed: Option<String>,
    /// Whether the stop took too long, and a kill follows.
    late: bool,
    /// The last signal: how it ended, and since when its effect is waited for.
    last: Option<(StepState, Sent)>,
    /// Of the signal that comes next why there is no need for it, once that was looked at.
    needless: Option<(u32, Option<String>)>,
    /// What to say of it at the end.
    words: String,
}

impl Run {
    /// Carries a service out.
    pub(super) async fn service(&self, number: u32, node: &ServiceNode) -> StepState {
        let before = self.state(number);
        if before.is_ended() {
            return before;
        }
        let (state, message) = self.held(number, node).await;
        for &child in self.children(number) {
            match self.state(child) {
                StepState::Running => self.end(child, state, message.clone()).await,
                StepState::Planned => self.end(child, StepState::Skipped, message.clone()).await,
                _ => {}
            }
        }
        self.end(number, state, message).await;
        if state.is_failure() {
            self.count_failure(number);
        }
        state
    }

    /// Claims a service and works on it.
    async fn held(&self, number: u32, node: &ServiceNode) -> Ended {
        let is_new = self.state(number) == StepState::Planned;
        if is_new && self.live.control() != Control::Go {
            return (StepState::Skipped, CANCELLED.to_owned());
        }
        // What is left needs no claim: it would only take the service from somebody else.
        if self.live.control() == Control::Now {
            self.abandon_hooks(number, Some(&node.machine));
            return (StepState::Cancelled, LEFT.to_owned());
        }
        if let Some(why) = &node.impossible {
            return (StepState::NotAvailable, why.clone());
        }
        let standing = if node.gone { None } else { self.known_standing(node).await };
        let Some(standing) = standing else { return (StepState::Gone, gone(node)) };
        let (claims, command) = (&self.app.operations.claims, self.live.asked.command);
        // A kill of what has no process takes nothing from whoever works on it, but from those who are about to start one.
        let needless = self.needless_now(number, node).filter(|_| is_new && command == Command::Kill);
        let is_to_start = claims.holder(&node.service).is_some_and(|holder| holder.command.starts());
        let by_force = command.goes_before() && (needless.is_none() || is_to_start);
        let claim = match (claims.claim(&node.service, self.live.holder(), by_force), needless) {
            (Ok(claim), _) => Some(claim),
            // Its hooks run, and there is no need for anything else.
            (Err(_), Some(_)) => None,
            (Err(holder), None) => return (StepState::Conflict, holder.words_for(self.live.is_limited)),
        };
        let superseded = || async {
            match &claim {
                Some(claim) => claim.superseded().await,
                None => std::future::pending().await,
            }
        };
        // Nothing is begun on what cannot be reached. What was begun before is waited for, and so is an agent that was
        // there a moment ago.
        if is_new && !self.resumed && self.needless_now(number, node).is_none() {
            let back = tokio::select! {
                biased;
                () = self.live.left_now() => return (StepState::Cancelled, LEFT.to_owned()),
                why = superseded() => return (StepState::Superseded, why),
                back = self.linked_again(number, node, standing) => back,
            };
            if let Some(absent) = back.filter(|standing| !standing.linked) {
                let signal = self.first_signal(number).unwrap_or(Signal::Start);
                return (StepState::NotAvailable, away(signal, &absent));
            }
            if self.live.control() != Control::Go {
                return (StepState::Skipped, CANCELLED.to_owned());
            }
        }
        if is_new {
            let warnings = self.warn(number, node).await;
            self.begin(number, &warnings).await;
        }
        tokio::select! {
            // What is left, or goes to somebody else, sends nothing more.
            biased;
            () = self.live.left_now() => {
                (StepState::Cancelled, LEFT.to_owned())
            }
            why = superseded() => {
                let why = if self.live.is_limited { "superseded by a kill".to_owned() } else { why };
                (StepState::Superseded, why)
            }
            ended = self.course(number, node) => ended,
        }
    }

    /// The first signal of a service.
    pub(super) fn first_signal(&self, number: u32) -> Option<Signal> {
        self.children(number).iter().find_map(|child| match self.kind(*child) {
            NodeKind::Signal(signal) => Some(signal.signal),
            _ => None,
        })
    }

    /// Why there is no need for the first signal of a service, as things are.
    fn needless_now(&self, number: u32, node: &ServiceNode) -> Option<String> {
        self.why_needless(node, self.first_signal(number)?)
    }

    fn why_needless(&self, node: &ServiceNode, signal: Signal) -> Option<String> {
        let standing = self.app.fleet().standing(&node.service)?;
        needless(signal, standing.r#type, standing.state)
    }

    /// Why the process that was told to stop needs no kill.
    fn why_ended(&self, node: &ServiceNode, stop: &Mark) -> Option<String> {
        let now = self.app.fleet().standing(&node.service)?;
        let is_ended = now.state != State::Stopped && look(WaitFor::Stopped, stop, &now) == Look::Reached;
        is_ended.then(|| "the process that was told to stop has ended".to_owned())
    }

    async fn course(&self, number: u32, node: &ServiceNode) -> Ended {
        let mut course = Course::default();
        for (place, &child) in self.children(number).iter().enumerate() {
            let ended = self.state(child).is_ended();
            match self.kind(child) {
                NodeKind::Hook(hook) => {
                    let state = if ended {
                        self.state(child)
                    } else {
                        self.service_hook(number, node, place, child, hook, &mut course).await
                    };
                    let said = format!("the hook {} ({})", hook.program, hook.event);
                    match outcome::of_hook(hook.event.phase, hook.on_failure, state) {
                        Some(StepState::Vetoed) => {
                            course.vetoed.get_or_insert_with(|| format!("vetoed by {said}"));
                        }
                        Some(_) => {
                            course.failed.get_or_insert_with(|| format!("{said} failed"));
                        }
                        None => {}
                    }
                }
                NodeKind::Signal(signal) => self.signal_step(number, node, place, child, signal, &mut course).await,
                NodeKind::Wait(wait) => self.wait_step(number, node, place, child, wait, &mut course).await,
                NodeKind::Delay(delay) if !ended => {
                    if let Some(why) = course.stop() {
                        self.end(child, StepState::Skipped, why).await;
                        continue;
                    }
                    let begun = self.live.step(child).and_then(|step| step.view.started_at);
                    let gone = begun.map(|at| Timestamp::now().since(at)).unwrap_or_default();
                    self.begin(child, "").await;
                    tokio::time::sleep(std::time::Duration::from_millis(delay.delay_ms).saturating_sub(gone)).await;
                    self.end(child, StepState::Done, "").await;
                }
                _ => {}
            }
        }
        let state = outcome::service(&self.steps_of(number, usize::MAX));
        (state, course.vetoed.or(course.failed).unwrap_or(course.words))
    }

    /// How far the first steps of a service are.
    fn steps_of(&self, number: u32, count: usize) -> Vec<(&NodeKind, StepState)> {
        self.children(number).iter().take(count).map(|&child| (self.kind(child), self.state(child))).collect()
    }

    async fn service_hook(
        &self,
        number: u32,
        node: &ServiceNode,
        place: usize,
        child: u32,
        hook: &HookNode,
        course: &mut Course,
    ) -> StepState {
        let situation = self.situation(number, node, place, hook, course);
        let scope = if matches!(hook.event.around, Around::Trigger(_)) { Scope::Trigger } else { Scope::Command };
        let skipped = match rules::verdict(hook.event.phase, scope, situation) {
            Verdict::Skip(why) => Some(why.to_owned()),
            _ => None,
        };
        let result = (hook.event.phase == Phase::Post).then(|| match scope {
            Scope::Trigger => StepState::Done,
            _ => outcome::service(&self.steps_of(number, place)),
        });
        let (state, message) = match skipped {
            Some(why) => {
                // One that was begun before the manager's end.
                self.abandon_hook(child, Some(&node.machine));
                (StepState::Skipped, why)
            }
            None => {
                let about =
                    About { service: Some((&node.service, &node.machine)), collection: node.collection.as_ref() };
                self.run_hook(child, hook, about, result).await
            }
        };
        self.end(child, state, message).await;
        state
    }

    /// What has happened when a hook would be next.
    fn situation(
        &self,
        number: u32,
        node: &ServiceNode,
        place: usize,
        hook: &HookNode,
        course: &mut Course,
    ) -> Situation {
        let failed = || if course.failed.is_some() { Situation::Failed } else { Situation::Expected };
        match (hook.event.around, hook.event.phase) {
            _ if course.vetoed.is_some() => Situation::Vetoed,
            (Around::Command(_), _) => failed(),
            (Around::Trigger(action), _) if is_conditional(self.live.asked.command, action.into()) && !course.late => {
                Situation::KillNotNeeded
            }
            (Around::Trigger(_), Phase::Pre) if course.failed.is_some() => Situation::Failed,
            (Around::Trigger(_), Phase::Pre) => match self.next_needless(number, node, place, course) {
                Some(_) => Situation::TriggerNotNeeded,
                None => Situation::Expected,
            },
            (Around::Trigger(_), Phase::Post) => {
                let before = self.children(number).iter().take(place).rev();
                let mut signals = before.filter(|child| matches!(self.kind(**child), NodeKind::Signal(_)));
                match signals.next().map(|signal| self.state(*signal)) {
                    Some(StepState::Done) => Situation::Expected,
                    Some(StepState::Ignored) => Situation::TriggerNotNeeded,
                    Some(StepState::Skipped) | None => Situation::Failed,
                    Some(_) => Situation::SignalNotDelivered,
                }
            }
            (Around::Release(_), _) => Situation::NotBegun,
        }
    }

    /// Why there is no need for the signal that comes next. It is looked at once, before its hooks.
    fn next_needless(&self, number: u32, node: &ServiceNode, place: usize, course: &mut Course) -> Option<String> {
        let next = self.children(number).iter().skip(place).find_map(|child| match self.kind(*child) {
            NodeKind::Signal(signal) => Some((*child, signal)),
            _ => None,
        });
        let (at, signal) = next?;
        match &course.needless {
            Some((looked, why)) if *looked == at => why.clone(),
            _ => {
                let why = match &course.last {
                    // A process that was started since the stop is none that was told to end.
                    Some((_, stop)) if signal.if_stop_timed_out => self.why_ended(node, &stop.mark),
                    _ => None,
                };
                let why = why.or_else(|| self.why_needless(node, signal.signal));
                course.needless = Some((at, why.clone()));
                why
            }
        }
    }

    async fn signal_step(
        &self,
        number: u32,
        node: &ServiceNode,
        place: usize,
        child: u32,
        signal: &SignalNode,
        course: &mut Course,
    ) {
        if self.state(child).is_ended() {
            let step = self.live.step(child);
            let at = step.and_then(|step| step.view.started_at).unwrap_or_else(Timestamp::now);
            let from = Instant::now().checked_sub(Timestamp::now().since(at)).unwrap_or_else(Instant::now);
            // Without a kill the stop before it is what is waited for.
            let needless = self.state(child) == StepState::Ignored;
            if self.state(child) != StepState::Skipped && !(needless && signal.if_stop_timed_out) {
                course.last = Some((
                    self.state(child),
                    Sent { mark: Mark { signal: signal.signal, needless, at, before: None }, from },
                ));
            }
        } else if let Some(why) =
            course.stop().or_else(|| (signal.if_stop_timed_out && !course.late).then(|| NOT_LATE.to_owned()))
        {
            self.end(child, StepState::Skipped, why).await;
            return;
        } else {
            let limit = self.limit_after(number, place);
            // In the middle of something an agent that is away is waited for.
            let patient = self.resumed || course.last.is_some();
            // One that was sent before is asked for, needed now or not.
            let sent_before = self.live.step(child).is_some_and(|step| step.order.is_some());
            let needless = if sent_before { None } else { self.next_needless(number, node, place, course) };
            let ((state, message), sent) = match needless {
                Some(why) => {
                    let before = course.last.as_ref().filter(|_| signal.if_stop_timed_out);
                    let sent = before.map_or_else(|| Sent::needless(signal.signal), |(_, sent)| sent.clone());
                    ((StepState::Ignored, why), sent)
                }
                None => self.send(child, node, signal.signal, limit, patient).await,
            };
            self.recorder.line(&self.live, child, format!("{}: {message}", signal.signal.word())).await;
            self.end(child, state, message.clone()).await;
            course.last = Some((state, sent));
            course.words = message;
        }
        if self.state(child).is_failure() {
            let why = self.message_of(child, &course.words);
            course.failed.get_or_insert(why);
        }
    }

    async fn wait_step(
        &self,
        number: u32,
        node: &ServiceNode,
        place: usize,
        child: u32,
        wait: &WaitNode,
        course: &mut Course,
    ) {
        let mut words = String::new();
        if !self.state(child).is_ended() {
            let skipped =
                course.stop().or_else(|| (wait.if_stop_timed_out && !course.late).then(|| NOT_LATE.to_owned()));
            if let Some(why) = skipped {
                self.end(child, StepState::Skipped, why).await;
                return;
            }
            let is_new = self.state(child) == StepState::Planned;
            if is_new {
                self.begin(child, "").await;
            }
            let sent = course.last.as_ref().map_or_else(|| Sent::needless(Signal::Stop), |(_, sent)| sent.clone());
            let (state, message) = self.wait(child, &node.service, wait, &sent).await;
            self.end(child, state, message.clone()).await;
            // Why there was no need says more than that it is so.
            if course.last.as_ref().is_none_or(|(signal, _)| *signal != StepState::Ignored) || state.is_failure() {
                course.words.clone_from(&message);
            }
            words = message;
        }
        let state = self.state(child);
        let is_followed = self
            .children(number)
            .iter()
            .skip(place + 1)
            .any(|later| matches!(self.kind(*later), NodeKind::Signal(signal) if signal.if_stop_timed_out));
        if state == StepState::TimedOut && !wait.if_stop_timed_out && is_followed {
            course.late = true;
        } else if state.is_failure() {
            let why = self.message_of(child, &words);
            course.failed.get_or_insert(why);
        }
    }

    /// What a step ended with, or what was just said of it.
    fn message_of(&self, child: u32, words: &str) -> String {
        if !words.is_empty() {
            return words.to_owned();
        }
        self.live.step(child).map(|step| step.view.message).unwrap_or_default()
    }

    /// How long the wait after a signal may take.
    fn limit_after(&self, number: u32, place: usize) -> std::time::Duration {
        let wait = self.children(number).iter().skip(place).find_map(|child| match self.kind(*child) {
            NodeKind::Wait(wait) => Some(wait.timeout_ms),
            _ => None,
        });
        std::time::Duration::from_millis(wait.unwrap_or(0))
    }
}

impl Course {
    /// Why nothing more is done.
    fn stop(&self) -> Option<String> {
        let why = self.vetoed.as_ref().or(self.failed.as_ref())?;
        Some(format!("skipped: {why}"))
    }
}

/// Whether a signal of a command is only for a stop that took too long.
fn is_conditional(command: Command, signal: Signal) -> bool {
    signal == Signal::Kill && !matches!(command, Command::Kill | Command::Killstart)
}

fn gone(node: &ServiceNode) -> String {
    format!("there is no service `{}` any more", node.service)
}
