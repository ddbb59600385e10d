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
            progress::{Held, Members, failure_words, progress},
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
        let mut places = Members::new(members.iter().map(|member| self.state(*member)).collect());
        // What a manager that is gone had in hand goes first, whatever came of the others meanwhile.
        let mut in_hand = FuturesUnordered::new();
        for (place, member) in members.iter().enumerate() {
            if places.state(place) == StepState::Running {
                in_hand.push(self.placed(place, *member));
            }
        }
        let mut why = None;
        loop {
            let next = progress(group, &mut places, self.failures_in(number), self.held_by(number));
            // What stopped it first is why nothing was begun; what comes later only comes on top.
            if let Some(stop) = next.stop.filter(|_| why.is_none()) {
                let failed = places.first_failed().map(|place| members[place]);
                why = Some(stop.words(self.what_failed(failed, &members).as_deref()));
            }
            for place in next.begin {
                places.set(place, StepState::Running);
                in_hand.push(self.placed(place, members[place]));
            }
            let Some(place) = in_hand.next().await else { break };
            places.set(place, self.state(members[place]));
        }
        let why = why.unwrap_or_default();
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

    /// How many failures are in a group, at any depth.
    fn failures_in(&self, group: u32) -> u32 {
        self.failures.get(&group).map_or(0, |failures| failures.load(Ordering::Relaxed))
    }

    /// What failed among the members of a group, in words: the service, in whatever group it is, or the group itself.
    fn what_failed(&self, failed: Option<u32>, members: &[u32]) -> Option<String> {
        // A member in hand may have failed in its depth.
        let mut at = failed.or_else(|| members.iter().copied().find(|member| self.failures_in(*member) > 0))?;
        loop {
            let has_failed = |child: &u32| self.state(*child).is_failure() || self.failures_in(*child) > 0;
            let is_member = |child: &u32| matches!(self.kind(*child), NodeKind::Group(_) | NodeKind::Service(_));
            match self.kind(at) {
                NodeKind::Service(node) => {
                    return Some(format!("{} {}", node.service, failure_words(self.state(at))));
                }
                _ => match self.children(at).iter().copied().find(|child| is_member(child) && has_failed(child)) {
                    Some(child) => at = child,
                    None => break,
                },
            }
        }
        let name = match self.kind(at) {
            NodeKind::Group(Group { collection: Some(name), .. }) => name.to_string(),
            _ => "another group".to_owned(),
        };
        Some(format!("{name} {}", failure_words(self.state(at))))
    }

    /// Why nothing may begin in a group for a reason that is outside of it: the operation is cancelled, or too much
    /// failed further out.
    fn held_by(&self, group: u32) -> Option<Held> {
        let mut around = self.tree.nodes[group as usize].parent;
        while let Some(outer) = around {
            if let NodeKind::Group(Group { failure_budget: Some(allowed), collection, .. }) = self.kind(outer) {
                let failed = self.failures_in(outer);
                if failed > *allowed {
                    let group = collection.as_ref().map(ToString::to_string);
                    return Some(Held::Budget { group, failed, allowed: *allowed });
                }
            }
            around = self.tree.nodes[outer as usize].parent;
        }
        (self.live.control() != Control::Go).then_some(Held::Cancelled)
    }
}
