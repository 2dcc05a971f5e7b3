// SPDX-License-Identifier: BSD-2-Clause
//! The node table of the plan block: what the board has at an address, for fault reports.

use vmm_core::plan::{NODE_DISABLED, NODE_ENABLED, NODE_GIVEN, Node as Entry, Text, Window};

use crate::drivers::Drivers;
use crate::dt::Tree;
use crate::plan::Plan;

/// Devices of the board's tree by address; without a tree there are none.
pub(crate) fn table(plan: &Plan) -> Vec<Entry> {
    let Some(board) = &plan.board_tree else { return Vec::new() };
    let drivers = Drivers::built_in();
    let guest = Tree::new(&plan.tree);
    let given: Vec<_> = guest
        .nodes()
        .filter(|(_, node)| node.enabled)
        .flat_map(|(_, node)| node.registers.iter())
        .collect();
    let mut table = Vec::new();
    for (id, node) in board.nodes() {
        if board.is_bus(id) || node.is_memory() {
            continue;
        }
        for span in &node.registers {
            let state = if given.iter().any(|given| given.overlaps(*span)) {
                NODE_GIVEN
            } else if node.enabled {
                NODE_ENABLED
            } else {
                NODE_DISABLED
            };
            table.push(Entry {
                window: Window { ipa: span.base, size: span.size },
                state,
                reserved: 0,
                path: Text::new(&tail(&node.path, 72)),
                compatible: Text::new(node.compatible.first().map_or("", String::as_str)),
                option: Text::new(drivers.option_for(node).unwrap_or_default()),
            });
        }
    }
    table.sort_by_key(|entry| (entry.window.ipa, entry.window.size));
    table
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
