//! What runs of the hooks of a service when operations are really carried out, compared with what the rules say. The
//! test is the agent.

use protocol::{
    hook::{HookEnd, HookFate},
    link::{Outcome, ToAgent},
    state::{Action, State},
};
use uuid::Uuid;

use super::tests::{Grid, anna, asked, hook};
use crate::{
    app::links::Post,
    grid::{
        access::{Caller, Role},
        config::{Hook, HookFailure},
        hooks::{
            Around, HookEvent,
            rules::{Scope, Situation, Verdict, verdict},
        },
        operation::StepState,
    },
};

const EVENTS: [&str; 6] =
    ["pre-restart", "pre-trigger-stop", "post-trigger-stop", "pre-trigger-start", "post-trigger-start", "post-restart"];

const PROGRAMS: [&str; 2] = ["one.sh", "two.sh"];

/// The hook at which something happens: the first one right before the stop.
const AT: (&str, &str) = ("pre-trigger-stop", "one.sh");

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Planned,
    Ignored,
    NotDelivered,
    StepFailed,
    Vetoed,
    Warned,
    PostFailed,
    Cancelled,
    CancelledNow,
    Superseded,
    Resumed,
}

impl Case {
    /// What has happened when a hook would be next, as the document tells it.
    fn situation(self, place: usize, event: &str, program: &str) -> Situation {
        let at = EVENTS.iter().position(|event| *event == AT.0).unwrap() * PROGRAMS.len();
        let (is_after, stop) = (place > at, event.ends_with("trigger-stop"));
        match self {
            Case::Ignored if stop => Situation::TriggerNotNeeded,
            Case::NotDelivered if event == "post-trigger-stop" => Situation::SignalNotDelivered,
            Case::NotDelivered if event.ends_with("trigger-start") || event == "post-restart" => Situation::Failed,
            Case::StepFailed if event == "post-restart" => Situation::Failed,
            Case::Vetoed if is_after => Situation::Vetoed,
            Case::Warned if is_after => Situation::Warned,
            Case::PostFailed if event == "post-trigger-stop" && program == PROGRAMS[1] => Situation::PostFailed,
            Case::PostFailed if event.ends_with("trigger-start") || event == "post-restart" => Situation::Failed,
            Case::Cancelled if is_after => Situation::Cancelled,
            Case::CancelledNow if is_after => Situation::CancelledNow,
            Case::Superseded if is_after => Situation::Superseded,
            Case::Resumed if place < at => Situation::ResumedEnded,
            Case::Resumed if place == at => Situation::ResumedRunning,
            _ => Situation::Expected,
        }
    }

    fn result(self) -> StepState {
        match self {
            Case::Planned | Case::Ignored | Case::Warned | Case::Cancelled | Case::Resumed => StepState::Done,
            Case::NotDelivered => StepState::Refused,
            Case::StepFailed | Case::PostFailed => StepState::Failed,
            Case::Vetoed => StepState::Vetoed,
            Case::CancelledNow => StepState::Cancelled,
            Case::Superseded => StepState::Superseded,
        }
    }
}

/// A grid with two hooks at each event of a restart.
async fn stage(on_failure: HookFailure) -> Grid {
    let grid = Grid::new().await;
    let admin = Caller::at_socket("ada".to_owned(), Some(Role::Admin));
    for program in PROGRAMS {
        let script = format!("#!/bin/sh\n# {program}\n");
        grid.app.add_program(&admin, program, script.into_bytes()).await.unwrap();
    }
    let hook = |event: &str, program: &str| Hook { on_failure, ..hook(event, "a@web-1", program) };
    grid.configure(EVENTS.iter().flat_map(|event| PROGRAMS.map(|program| hook(event, program))).collect());
    grid
}

/// Is the agent, until the operation has ended; returns the hooks that it was asked to run.
async fn serve(grid: &Grid, id: Uuid, case: Case) -> Vec<(String, String)> {
    let mut ran = Vec::new();
    let agent = async {
        loop {
            let Post::Messages(messages) = grid.mailbox.next().await else { panic!("the link is closed") };
            for message in messages {
                match message {
                    ToAgent::Desired(desired) => grid.has_programs(&desired),
                    ToAgent::Hook(run) => {
                        let (event, program) = (run.environment["TOMCAT_GRID_EVENT"].clone(), run.name.clone());
                        let is_here = (event.as_str(), program.as_str()) == AT;
                        let fails = is_here && matches!(case, Case::Vetoed | Case::Warned)
                            || case == Case::PostFailed
                                && (event.as_str(), program.as_str()) == ("post-trigger-stop", PROGRAMS[0]);
                        ran.push((event, program));
                        match case {
                            Case::Cancelled | Case::CancelledNow if is_here => {
                                let now = case == Case::CancelledNow;
                                grid.app.cancel_operation(&anna(), id, now).await.unwrap();
                            }
                            Case::Superseded if is_here => {
                                grid.app.operations.claims.supersede(&"a@web-1".parse().unwrap(), "a kill by bob");
                            }
                            _ => {}
                        }
                        let fate = HookFate::Ran { exit_code: i32::from(fails) };
                        let end = HookEnd { fate, output: String::new(), dropped: 0, duration_ms: 1 };
                        if !is_here || !matches!(case, Case::CancelledNow | Case::Superseded) {
                            grid.app.links.run_ended(Uuid::from_u128(1), run.id, end);
                        }
                    }
                    ToAgent::Order(order) => {
                        let message = String::new();
                        let outcome = match (order.action, case) {
                            (Action::Stop, Case::NotDelivered) => Outcome::Refused { message },
                            _ => Outcome::Done { message },
                        };
                        let is_done = matches!(outcome, Outcome::Done { .. });
                        grid.app.links.outcome(grid.mailbox.number, order.id, outcome);
                        match order.action {
                            Action::Start if case == Case::StepFailed => {
                                grid.is("a", State::Starting);
                                grid.is("a", State::Stopped);
                            }
                            Action::Start => grid.is("a", State::Active),
                            _ if is_done => grid.is("a", State::Stopped),
                            _ => {}
                        }
                    }
                    _ => {}
                }
            }
        }
    };
    tokio::select! {
        () = agent => {}
        _ = grid.ended(id) => {}
    }
    ran
}

#[tokio::test]
async fn what_runs_is_what_the_table_says() {
    for case in [
        Case::Planned,
        Case::Ignored,
        Case::NotDelivered,
        Case::StepFailed,
        Case::Vetoed,
        Case::Warned,
        Case::PostFailed,
        Case::Cancelled,
        Case::CancelledNow,
        Case::Superseded,
        Case::Resumed,
    ] {
        let on_failure = if case == Case::Warned { HookFailure::Warn } else { HookFailure::Abort };
        let grid = stage(on_failure).await;
        if case == Case::Ignored {
            grid.is("a", State::Stopped);
        }
        let id = grid.begin(asked("restart", &["a@web-1"])).await.id;
        let mut ran = serve(&grid, id, case).await;
        if case == Case::Resumed {
            // The first hook before the stop was in hand: after the group, the service and two hooks.
            grid.interrupt(id, 4, Uuid::from_u128(7), None).await;
            grid.app.resume_operation(&anna(), id).await.unwrap();
            ran = serve(&grid, id, case).await;
        }
        let hooks = EVENTS.iter().flat_map(|event| PROGRAMS.map(|program| (*event, program)));
        let runs = |(place, (event, program)): (usize, (&str, &str))| {
            let parsed: HookEvent = event.parse().unwrap();
            let scope = if matches!(parsed.around, Around::Trigger(_)) { Scope::Trigger } else { Scope::Command };
            let found = verdict(parsed.phase, scope, case.situation(place, event, program));
            matches!(found, Verdict::Run | Verdict::Await(_)).then(|| (event.to_owned(), program.to_owned()))
        };
        let expected: Vec<_> = hooks.enumerate().filter_map(runs).collect();
        let detail = grid.app.operation(&anna(), id).await.unwrap();
        assert_eq!(ran, expected, "{case:?}: {detail:#?}");
        assert_eq!(detail.operation.result, Some(case.result()), "{case:?}: {detail:#?}");
    }
}
