//! A group: its `pre-` hooks, its members in their order, its `post-` hooks.

use std::sync::atomic::Ordering;

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{CANCELLED, Run, hook::About};
use crate::{
    app::operations::live::Control,
    grid::{
        hooks::{
            Phase,
            rules::{self, Scope, Situation, Verdict},
        },
        operation::{
            Group, HookNode, NodeKind, StepState, outcome,
            progress::{Member, progress},
        },
    },
};

/// What is said of a hook in hand that is left.
const LEFT: &str = "left: the operation was cancelled";

impl Run {
    /// Carries a member of a group, or the root, out.
    pub(super) fn node(&self, number: u32) -> BoxFuture<'_, StepState> {
        match self.kind(number) {
            NodeKind::Group(group) => self.group(number, group).boxed(),
            NodeKind::Service(service) => self.service(number, service).boxed(),
            // A root that is a step is none that was planned.
            _ => std::future::ready(StepState::Skipped).boxed(),
        }
    }

    async fn group(&self, number: u32, group: &Group) -> StepState {
        let before = self.state(number);
        if before.is_ended() {
            return before;
        }
        if before == StepState::Planned && self.live.control() != Control::Go {
            self.skip(number, CANCELLED).await;
            return StepState::Skipped;
        }
        self.begin(number, "").await;
        let stop = self.group_hooks(number, group, Phase::Pre, None).await;
        match &stop {
            None => self.members(number, group).await,
            Some(why) => {
                for &member in self.children(number) {
                    if matches!(self.kind(member), NodeKind::Group(_) | NodeKind::Service(_)) {
                        self.skip(member, why).await;
                    }
                }
            }
        }
        let result = self.standing(|standing| standing.group(number));
        self.group_hooks(number, group, Phase::Post, Some(result)).await;
        let (result, counts, by_hooks) = self
            .standing(|standing| (standing.group(number), standing.tally(number).counts, standing.by_hooks(number)));
        self.end(number, result, outcome::words(result, &counts)).await;
        if by_hooks.is_some_and(StepState::is_failure) {
            self.count_group(number);
        }
        result
    }

    /// What has happened when a hook of a group would be next.
    fn group_situation(&self, number: u32, phase: Phase, result: Option<StepState>) -> Situation {
        let (mut vetoed, mut begun) = (false, false);
        for &child in self.children(number) {
            let state = self.state(child);
            match self.kind(child) {
                NodeKind::Hook(hook) if hook.event.phase == Phase::Pre => {
                    let meaning = outcome::of_hook(Phase::Pre, hook.on_failure, state);
                    vetoed |= meaning == Some(StepState::Vetoed);
                    begun |= !matches!(state, StepState::Planned | StepState::Skipped);
                }
                NodeKind::Group(_) | NodeKind::Service(_) => {
                    begun |= !matches!(state, StepState::Planned | StepState::Skipped);
                }
                _ => {}
            }
        }
        match (self.live.control(), phase) {
            _ if vetoed => Situation::Vetoed,
            (Control::Now, _) => Situation::CancelledNow,
            (Control::Cancel, Phase::Post) if !begun => Situation::NotBegun,
            (Control::Cancel, _) => Situation::Cancelled,
            (Control::Go, Phase::Post) if result.is_some_and(StepState::is_failure) => Situation::Failed,
            (Control::Go, _) => Situation::Expected,
        }
    }

    /// Runs the hooks of a phase; returns why nothing may follow them, if that is so.
    async fn group_hooks(&self, number: u32, group: &Group, phase: Phase, result: Option<StepState>) -> Option<String> {
        let mut stop: Option<String> = None;
        let hooks: Vec<(u32, &HookNode)> = (self.children(number).iter())
            .filter_map(|&child| match self.kind(child) {
                NodeKind::Hook(hook) if hook.event.phase == phase => Some((child, hook.as_ref())),
                _ => None,
            })
            .collect();
        for (child, hook) in hooks {
            let state = self.state(child);
            let situation = self.group_situation(number, phase, result);
            let state = if state.is_ended() {
                state
            } else if let Verdict::Skip(why) = rules::verdict(phase, Scope::Whole, situation) {
                if state == StepState::Running {
                    // It was begun before the manager's end.
                    self.abandon_hook(child, None);
                    self.end(child, StepState::Cancelled, LEFT).await;
                } else {
                    self.skip(child, why).await;
                }
                if phase == Phase::Pre && situation != Situation::Vetoed {
                    stop.get_or_insert_with(|| CANCELLED.to_owned());
                }
                continue;
            } else {
                let about = About { service: None, collection: group.collection.as_ref() };
                let (state, message) = tokio::select! {
                    ended = self.run_hook(child, hook, about, result) => ended,
                    () = self.live.left_now() => (StepState::Cancelled, LEFT.to_owned()),
                };
                self.end(child, state, message).await;
                state
            };
            if let Some(meaning) = outcome::of_hook(phase, hook.on_failure, state) {
                stop.get_or_insert_with(|| match meaning {
                    StepState::Vetoed => format!("vetoed by the hook {} ({})", hook.program, hook.event),
                    _ => CANCELLED.to_owned(),
                });
            }
        }
        stop
    }

    async fn members(&self, number: u32, group: &Group) {
        let is_member = |child: &u32| matches!(self.kind(*child), NodeKind::Group(_) | NodeKind::Service(_));
        let members: Vec<u32> = self.children(number).iter().copied().filter(is_member).collect();
        let groups: Vec<usize> = (members.iter().enumerate())
            .filter(|(_, member)| self.failures.contains_key(member))
            .map(|(place, _)| place)
            .collect();
        let mut places: Vec<Member> = members.iter().map(|member| self.member(*member)).collect();
        // What a manager that is gone had in hand goes first, whatever came of the others meanwhile.
        let mut in_hand = FuturesUnordered::new();
        for (place, member) in members.iter().enumerate() {
            if places[place].state == StepState::Running {
                in_hand.push(self.placed(place, *member));
            }
        }
        let why = loop {
            let next = progress(group, &places, self.is_held(number));
            for place in next.begin {
                places[place].state = StepState::Running;
                in_hand.push(self.placed(place, members[place]));
            }
            let Some(place) = in_hand.next().await else { break next.stop };
            // Others of them may have failed in their depth meanwhile.
            for &place in &groups {
                places[place].failures = self.member(members[place]).failures;
            }
            places[place] = self.member(members[place]);
        };
        let why = why.map(|stop| stop.words()).unwrap_or_default();
        for member in members {
            if self.state(member) == StepState::Planned {
                self.skip(member, &why).await;
            }
        }
    }

    async fn placed(&self, place: usize, member: u32) -> usize {
        self.node(member).await;
        place
    }

    /// How far a member is.
    fn member(&self, number: u32) -> Member {
        let state = self.state(number);
        let failures = match self.failures.get(&number) {
            Some(failures) => failures.load(Ordering::Relaxed),
            None => u32::from(state.is_failure()),
        };
        Member { state, failures }
    }
}
