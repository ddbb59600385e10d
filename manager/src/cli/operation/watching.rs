//! Waits for an operation, and shows how it goes: a tree that is drawn again on a terminal, else one line per change.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    time::Duration,
};

use protocol::time::Timestamp;
use tokio::time::Instant;

use super::{
    Forest, Shape, Tails, changes,
    follow::{Follower, Told},
    screen::Screen,
    tree, words,
};
use crate::{
    cli::{
        args::Format,
        client::Client,
        exit::Failure,
        interrupt::told_to_end,
        output::{Output, harmless},
    },
    grid::operation::{
        StepState,
        view::{OperationDetail, OperationNews, OperationState, OperationView, StepView},
    },
};

/// How often the times in the tree grow.
const REDRAW: Duration = Duration::from_secs(1);

/// The shortest time between two looks at what is to be told again.
const SHORTEST: Duration = Duration::from_millis(25);

/// The shortest time between two drawings: many services may change at once.
const CALM: Duration = Duration::from_millis(50);

/// How long a manager is looked for that is not there.
const MOST_WITHOUT: Duration = Duration::from_secs(600);

/// How the waiting ended.
pub enum End {
    /// The operation has ended, or was interrupted; with the last that its hooks wrote.
    Whole(Box<OperationDetail>, Tails),
    /// Whoever waited has enough.
    Left,
    /// The caller's own time is up.
    TimedOut,
    /// The manager was not there for so long that it is looked for no more.
    NoManager(Duration),
}

/// How an operation is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// How often it is told what is in hand.
    pub interval: Duration,
    /// When the caller's time is up.
    pub until: Option<Instant>,
    /// Whether it has just begun: then all that happened in it is news.
    pub is_new: bool,
    /// Whether nothing is told on the way.
    pub quiet: bool,
}

/// Waits until an operation ends, the caller's time is up, or the caller has enough.
pub async fn wait(
    client: &Client,
    output: &mut Output,
    begun: &OperationView,
    waiting: Waiting,
) -> Result<End, Failure> {
    let Waiting { interval, until, .. } = waiting;
    let mut shown = Shown::open(output, begun, client.address(), waiting);
    let mut interrupted = std::pin::pin!(told_to_end());
    let mut up = std::pin::pin!(async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    });
    let mut follower = Follower::new(client, begun.id);
    let mut telling = tokio::time::interval((interval / 4).max(SHORTEST));
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        // Carried out to its end: what is being asked for must not be asked for anew at each tick.
        let mut next = Box::pin(follower.next());
        let told = loop {
            tokio::select! {
                told = &mut next => break told,
                _ = &mut interrupted => {
                    shown.close();
                    return Ok(End::Left);
                }
                () = &mut up => {
                    shown.close();
                    return Ok(shown.lost.map_or(End::TimedOut, |lost| End::NoManager(lost.since.elapsed())));
                }
                () = tokio::time::sleep_until(shown.gives_up_at().unwrap_or_else(Instant::now)), if shown.lost.is_some() => {
                    shown.close();
                    return Ok(End::NoManager(MOST_WITHOUT));
                }
                _ = telling.tick() => shown.tell_in_hand(),
                _ = redraw.tick() => shown.draw(),
                () = tokio::time::sleep_until(shown.draw_at.unwrap_or_else(Instant::now)), if shown.draw_at.is_some() => {
                    shown.draw();
                }
            }
        };
        drop(next);
        if told.is_err() {
            shown.close();
        }
        shown.take(told?);
        if let Some(detail) = shown.ended() {
            shown.close();
            return Ok(End::Whole(Box::new(detail), shown.tails));
        }
    }
}

/// A link that broke.
struct Lost {
    why: String,
    since: Instant,
}

/// What is shown of an operation that goes on.
struct Shown<'a> {
    output: &'a mut Output,
    screen: Option<Screen>,
    detail: Option<OperationDetail>,
    shape: Shape,
    tails: Tails,
    lost: Option<Lost>,
    address: &'a str,
    waiting: Waiting,
    /// When something was said last of each service and collection; under no name, of anything.
    said: HashMap<String, Instant>,
    /// The groups and services of which it was said that they begin.
    begun: HashSet<u32>,
    /// When what is new is drawn.
    draw_at: Option<Instant>,
}

impl<'a> Shown<'a> {
    fn open(output: &'a mut Output, begun: &OperationView, address: &'a str, waiting: Waiting) -> Self {
        let on_screen = output.is_terminal() && output.format() == Format::Table && !waiting.quiet;
        let screen = on_screen.then(|| Screen::open(output));
        let mut shown = Self {
            output,
            screen,
            detail: None,
            shape: Shape::default(),
            tails: Tails::default(),
            lost: None,
            address,
            waiting,
            said: HashMap::from([(String::new(), Instant::now())]),
            begun: HashSet::new(),
            draw_at: None,
        };
        let services = super::words::many(begun.services.total, "service");
        shown.say(&format!("operation {}: {}, {services}", begun.id, super::words::title(begun)));
        shown
    }

    /// Says something in a line; on a terminal the tree shows it, and the line goes to the log only.
    fn say(&mut self, text: &str) {
        let line = format!("{} {text}", jiff::Zoned::now().strftime("%H:%M:%S"));
        self.said.insert(String::new(), Instant::now());
        match self.screen {
            None if !self.waiting.quiet => self.output.note(&line),
            _ => self.output.log(&line),
        }
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::News(news) => self.news(*news),
            Told::Lost(why) => {
                self.say(&format!("the link to the manager broke ({why}); it is looked for again and again"));
                self.lost = Some(Lost { why, since: Instant::now() });
            }
            Told::Back => {
                self.say("the manager is there again");
                self.lost = None;
            }
            Told::Unreadable(why) => {
                self.say(&format!("something that the manager told cannot be read ({why}): are both of one version?"));
            }
        }
        self.draw_at.get_or_insert_with(|| Instant::now() + CALM);
    }

    fn news(&mut self, news: OperationNews) {
        match news {
            OperationNews::Whole(whole) => {
                let before = self.detail.replace(*whole);
                let Some(now) = self.detail.take() else { return };
                self.shape = Shape::of(&now);
                if before.is_none() && !self.waiting.is_new {
                    return self.so_far(now);
                }
                for step in as_it_happened(&Forest::with(&now, &self.shape), &now.steps) {
                    let was = before.as_ref().and_then(|before| before.steps.get(step.number as usize));
                    self.say_step(&now, was.map_or(StepState::Planned, |was| was.state), step);
                }
                self.detail = Some(now);
            }
            OperationNews::Operation(view) => {
                let Some(detail) = &mut self.detail else { return };
                let is_other = detail.operation.state != view.state && view.state == OperationState::Cancelling;
                detail.operation = *view;
                if is_other {
                    let why = harmless(&detail.operation.message);
                    self.say(&why);
                }
            }
            OperationNews::Step(step) => {
                let Some(mut detail) = self.detail.take() else { return };
                if let Some(place) = detail.steps.get_mut(step.number as usize) {
                    let before = std::mem::replace(place, *step);
                    count(&mut detail, before.state, before.number);
                    let step = detail.steps[before.number as usize].clone();
                    self.say_step(&detail, before.state, &step);
                }
                self.detail = Some(detail);
            }
            OperationNews::Log(line) => {
                self.tails.add(&line);
                let Some(detail) = &self.detail else { return };
                let forest = Forest::with(detail, &self.shape);
                let lines = changes::of_log(&forest, &line);
                let subject = forest.step(line.step).and_then(|step| forest.subject(step));
                lines.iter().for_each(|text| self.say(text));
                if let Some(subject) = subject.filter(|_| !lines.is_empty()) {
                    self.said.insert(subject, Instant::now());
                }
            }
        }
    }

    /// What was so before anybody looked is no news.
    fn so_far(&mut self, now: OperationDetail) {
        let begun = now.steps.iter().filter(|step| step.state != StepState::Planned);
        self.begun.extend(begun.map(|step| step.number));
        self.say(&format!("so far: {}", words::counts(&now.operation.services)));
        self.detail = Some(now);
    }

    fn say_step(&mut self, detail: &OperationDetail, before: StepState, step: &StepView) {
        let forest = Forest::with(detail, &self.shape);
        let Some(line) = changes::of_step(&forest, before, step) else { return };
        // What is told of a part is told after the beginning of the whole, also where that comes later.
        let around = if step.state == StepState::Skipped { Vec::new() } else { forest.around(step) };
        for around in around.into_iter().rev() {
            let begins = StepView { state: StepState::Running, ended_at: None, ..around.clone() };
            if self.begun.insert(around.number)
                && let Some(line) = changes::of_step(&forest, StepState::Planned, &begins)
            {
                self.say(&line);
            }
        }
        // What has ended does not begin, whatever of its parts is told later.
        if self.begun.insert(step.number) || step.state != StepState::Running {
            self.say(&line);
        }
        if let Some(subject) = forest.step(step.number).and_then(|step| forest.subject(step)) {
            self.said.insert(subject, Instant::now());
        }
    }

    fn tell_in_hand(&mut self) {
        if self.screen.is_some() {
            return;
        }
        let (said, interval) = (&self.said, self.waiting.interval);
        let was_told = |subject: &str| said.get(subject).is_some_and(|at| at.elapsed() + interval / 8 < interval);
        if let Some(lost) = &self.lost {
            if !was_told("") {
                let since = words::limit_of(lost.since.elapsed());
                self.say(&format!("still no manager at {}, since {since}", self.address));
            }
            return;
        }
        let Some(detail) = &self.detail else { return };
        for (subject, line) in changes::in_hand(detail, Timestamp::now(), was_told) {
            if !line.is_empty() {
                self.say(&line);
            }
            self.said.insert(subject, Instant::now());
        }
    }

    /// When a manager that is not there is looked for no more.
    fn gives_up_at(&self) -> Option<Instant> {
        self.lost.as_ref().map(|lost| lost.since + MOST_WITHOUT)
    }

    fn draw(&mut self) {
        self.draw_at = None;
        let (Some(screen), Some(detail)) = (&mut self.screen, &self.detail) else { return };
        let mut lines = tree::live(detail, &self.tails, Timestamp::now(), screen.room().saturating_sub(1));
        lines.push(match &self.lost {
            Some(Lost { why, since }) => {
                tree::Line::note(&format!("! NOT LIVE since {}: {why}", words::limit_of(since.elapsed())))
            }
            None => tree::Line::note(&format!("operation {} · Ctrl-C leaves it going on", detail.operation.id)),
        });
        screen.draw(self.output, &lines);
    }

    /// The operation, once nothing more comes of it.
    fn ended(&self) -> Option<OperationDetail> {
        let is_over = |detail: &&OperationDetail| {
            matches!(detail.operation.state, OperationState::Ended | OperationState::Interrupted)
        };
        self.detail.as_ref().filter(is_over).cloned()
    }

    fn close(&mut self) {
        if let Some(mut screen) = self.screen.take() {
            screen.close(self.output);
        }
    }
}

/// Steps as they went on; where that was in one moment, the whole begins before its parts and ends after them.
fn as_it_happened<'a>(forest: &Forest<'_>, steps: &'a [StepView]) -> Vec<&'a StepView> {
    let mut steps: Vec<&StepView> = steps.iter().collect();
    steps.sort_by_cached_key(|step| {
        let is_over = step.ended_at.is_some();
        let outer = if is_over { Reverse(forest.around(step).len()) } else { Reverse(0) };
        (step.ended_at.or(step.started_at), is_over, outer, step.number)
    });
    steps
}

/// Counts a service in its new state.
fn count(detail: &mut OperationDetail, before: StepState, number: u32) {
    let Some(step) = detail.steps.get(number as usize) else { return };
    if !matches!(step.kind, crate::grid::operation::NodeKind::Service(_)) || before == step.state {
        return;
    }
    let after = step.state;
    let counts = &mut detail.operation.services;
    for (state, by) in [(before, -1), (after, 1)] {
        let count = match state {
            StepState::Planned => &mut counts.planned,
            StepState::Running => &mut counts.running,
            StepState::Done => &mut counts.done,
            StepState::Ignored => &mut counts.ignored,
            StepState::Skipped => &mut counts.skipped,
            _ => &mut counts.failed,
        };
        *count = count.saturating_add_signed(by);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sample::Sample, *};

    #[test]
    fn what_ended_in_one_moment_ends_from_the_inside() {
        let moment = Some((1, 1));
        let sample = Sample::new("done")
            .service(0, "shop-a@web-1", "ignored", "", moment)
            .wait(1, "stopped", false, "done", moment)
            .wait(1, "active", false, "done", moment)
            .service(0, "shop-b@web-1", "running", "", Some((1, 0)));
        let detail = sample.detail(None);
        let order: Vec<u32> =
            as_it_happened(&Forest::of(&detail), &detail.steps).iter().map(|step| step.number).collect();
        let place = |number| order.iter().position(|one| *one == number).unwrap();
        assert!(place(2) < place(3) && place(3) < place(1), "{order:?}");
        assert!(place(4) < place(2), "what begins comes first: {order:?}");
    }
}
