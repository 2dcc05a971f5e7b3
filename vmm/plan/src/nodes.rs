// SPDX-License-Identifier: BSD-2-Clause
//! The node table of the plan block: what the board has at an address, for fault reports.

use vmm_core::plan::{GuestNode, Node as Entry, NodeState, Text, Window};

use crate::drivers::Drivers;
use crate::dt::{Node, Tree};
use crate::plan::Plan;
use crate::span::Span;

/// Devices of the board's tree by address; without a tree there are none.
pub(crate) fn table(plan: &Plan) -> Vec<Entry> {
    let Some(board) = &plan.board_tree else { return Vec::new() };
    let drivers = Drivers::built_in();
    let guest = Tree::new(&plan.tree);
    // What the guest reaches; its tree may promise more.
    let mut given: Vec<_> =
        plan.regions.iter().filter_map(crate::memory::Region::guest_span).collect();
    given.extend(plan.emulated().iter().map(|emulated| emulated.span));
    let mut table = Vec::new();
    for (id, node) in board.nodes() {
        if board.is_bus(id) || node.is_memory() {
            continue;
        }
        for span in &node.registers {
            let state = if given.iter().any(|given| given.overlaps(span.ipa())) {
                NodeState::Given
            } else if node.enabled {
                NodeState::Enabled
            } else {
                NodeState::Disabled
            };
            let own = of_guest(&guest, node, *span);
            let guest = own.map_or(GuestNode::Absent, |own| {
                if own.enabled { GuestNode::Enabled } else { GuestNode::Disabled }
            });
            table.push(Entry {
                window: Window { ipa: span.base(), size: span.size() },
                state,
                guest,
                path: Text::new(&tail(&node.path, 72)),
                guest_path: Text::new(&tail(own.map_or("", |own| &own.path), 72)),
                compatible: Text::new(node.compatible.first().map_or("", String::as_str)),
                option: Text::new(drivers.option_for(node).unwrap_or_default()),
            });
        }
    }
    table.sort_by_key(|entry| (entry.window.ipa, entry.window.size));
    table
}

/// The guest's node of the same path, or for the same registers.
fn of_guest<'t>(guest: &'t Tree, node: &Node, span: Span) -> Option<&'t Node> {
    let devices = || {
        let device = |(id, own): &(usize, &Node)| !guest.is_bus(*id) && !own.is_memory();
        guest.nodes().filter(device).map(|(_, own)| own)
    };
    let same = devices().find(|own| own.path == node.path);
    same.or_else(|| devices().find(|own| own.registers.iter().any(|own| own.overlaps(span))))
}

/// The end of `path` behind `...`, if it is longer than `most` bytes.
fn tail(path: &str, most: usize) -> String {
    if path.len() <= most {
        return path.into();
    }
    let keep = most.saturating_sub(3);
    let start = path.len().saturating_sub(keep);
    // Paths of the specification are ASCII; others are cut at the next character.
    let tail = (start..path.len()).find_map(|start| path.get(start..)).unwrap_or_default();
    format!("...{tail}")
}
