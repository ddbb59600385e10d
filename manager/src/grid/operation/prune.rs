//! The part of a tree that is tried again: the services that are neither done nor ignored, with all of their steps.

use std::collections::HashSet;

use protocol::name::ServiceName;

use super::{Node, NodeKind, StepState, Tree};

/// The services of a tree that are neither done nor ignored.
pub fn left(tree: &Tree, states: &[StepState]) -> HashSet<ServiceName> {
    let state = |number: usize| states.get(number).copied().unwrap_or_default();
    let name = |(number, node): (usize, &Node)| match &node.kind {
        NodeKind::Service(node) if !state(number).is_good() => Some(node.service.clone()),
        _ => None,
    };
    tree.nodes.iter().enumerate().filter_map(name).collect()
}

/// The tree without what stands for the grid as a whole: its hooks, and what makes a group the grid.
pub fn without_grid(tree: &Tree) -> Tree {
    let is_grid = |number: Option<u32>| {
        let parent = number.and_then(|number| tree.nodes.get(number as usize));
        matches!(parent, Some(Node { kind: NodeKind::Group(group), .. }) if group.is_grid)
    };
    let mut places: Vec<Option<u32>> = Vec::with_capacity(tree.nodes.len());
    let mut nodes: Vec<Node> = Vec::with_capacity(tree.nodes.len());
    for node in &tree.nodes {
        if matches!(node.kind, NodeKind::Hook(_)) && is_grid(node.parent) {
            places.push(None);
            continue;
        }
        places.push(u32::try_from(nodes.len()).ok());
        let mut kind = node.kind.clone();
        if let NodeKind::Group(group) = &mut kind {
            group.is_grid = false;
        }
        let parent = node.parent.and_then(|parent| places.get(parent as usize).copied().flatten());
        nodes.push(Node { parent, kind });
    }
    Tree { nodes }
}

/// The part of a tree that is about these services, without the groups that are empty then; `None` if nothing is left.
/// Hooks stay with what they stand around.
pub fn only(tree: &Tree, services: &HashSet<ServiceName>) -> Option<Tree> {
    let mut keeps = vec![false; tree.nodes.len()];
    // Children come after their parents, so from the end on every node knows whether a service in it stays.
    for (number, node) in tree.nodes.iter().enumerate().rev() {
        if let NodeKind::Service(service) = &node.kind {
            keeps[number] = services.contains(&service.service);
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
            nodes.push(Node { parent: parent.flatten(), kind: node.kind.clone() });
        }
    }
    (!nodes.is_empty()).then_some(Tree { nodes })
}
