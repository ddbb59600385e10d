//! A group: its `pre-` hooks, its members in their order, its `post-` hooks.

use std::sync::atomic::Ordering;

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{CANCELLED, Run, hook::About};
use crate::{
    app::operations::live::Control,
    grid::{
        hooks::Phase,
        operation::{
            Group, HookNode, NodeKind, StepState,
            outcome::{self, Standing},
            progress::{Member, progress},
        },
    },
};

/// Why the hooks of a group are skipped that is left.
const LEFT: &str = "skipped: the operation was cancelled, and what was in hand was left";

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
        self.begin(number, "").await;
        match self.group_hooks(number, group, Phase::Pre, None).await {
            None => self.members(number, group).await,
            Some(why) => {
                for &member in self.children(number) {
                    self.skip(member, &why).await;
                }
            }
        }
        let result = Standing::new(&self.tree, &self.states()).group(number);
        self.group_hooks(number, group, Phase::Post, Some(result)).await;
        let states = self.states();
        let standing = Standing::new(&self.tree, &states);
        let (result, counts) = (standing.group(number), standing.tally(number).counts);
        self.end(number, result, outcome::words(result, &counts)).await;
        result
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
            let state = if state.is_ended() {
                state
            } else if let Some(why) = stop.as_deref().filter(|_| phase == Phase::Pre) {
                self.skip(child, why).await;
                continue;
            } else if self.live.control() == Control::Now {
                self.skip(child, LEFT).await;
                continue;
            } else if phase == Phase::Pre && self.live.control() != Control::Go {
                self.skip(child, CANCELLED).await;
                stop.get_or_insert_with(|| CANCELLED.to_owned());
                continue;
            } else {
                let about = About { service: None, collection: group.collection.as_ref() };
                let (state, message) = tokio::select! {
                    ended = self.run_hook(child, hook, about, result) => ended,
                    () = self.live.left_now() => (StepState::Cancelled, "left: the operation was cancelled".to_owned()),
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
            for (place, member) in members.iter().enumerate().filter(|(_, member)| self.failures.contains_key(member)) {
                places[place].failures = self.member(*member).failures;
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
