//! The part of a tree that is tried again: the services that are neither done nor ignored, with all of their steps.

use super::{NodeKind, StepState, Tree};

/// The tree without the services that need no second try, and without the groups that are empty then; `None` if
/// nothing is left. Hooks stay with what they stand around.
pub fn prune(tree: &Tree, states: &[StepState]) -> Option<Tree> {
    let state = |number: usize| states.get(number).copied().unwrap_or_default();
    let mut keeps = vec![false; tree.nodes.len()];
    // Children come after their parents, so from the end on every node knows whether a service in it stays.
    for (number, node) in tree.nodes.iter().enumerate().rev() {
        if matches!(node.kind, NodeKind::Service(_)) && !state(number).is_good() {
            keeps[number] = true;
        }
        if keeps[number]
            && let Some(kept) = node.parent.and_then(|parent| keeps.get_mut(parent as usize))
        {
            *kept = true;
        }
    }
    let mut places: Vec<Option<u32>> = vec![None; tree.nodes.len()];
    let mut nodes = Vec::new();
    for (number, node) in tree.nodes.iter().enumerate() {
        let parent = node.parent.map(|parent| places.get(parent as usize).copied().flatten());
        let is_inner = matches!(node.kind, NodeKind::Service(_) | NodeKind::Group(_));
        let stays = if is_inner { keeps[number] } else { parent.flatten().is_some() };
        if stays {
            places[number] = u32::try_from(nodes.len()).ok();
            nodes.push(super::Node { parent: parent.flatten(), kind: node.kind.clone() });
        }
    }
    (!nodes.is_empty()).then_some(Tree { nodes })
}
