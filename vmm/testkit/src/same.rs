// SPDX-License-Identifier: BSD-2-Clause
//! The planner's reading of any tree beside the second one (`walk.rs`). The planner may refuse more,
//! but says so; it gives no other register and no other interrupt, and drops none silently.

use vmm_plan::dt::{self, Tree};
use vmm_plan::irq::Trigger;

use crate::walk::{Interrupt, Register, Walk};

/// What the planner says otherwise; `None` where there is nothing, or the tree can be read in two
/// ways.
pub fn difference(blob: &[u8], tree: &Tree) -> Option<String> {
    let walk = Walk::read(blob).filter(|walk| !walk.ambiguous)?;
    let interrupts = one_way(&walk);
    walk.nodes.iter().enumerate().find_map(|(id, node)| {
        let own = tree.node(tree.by_path(&node.path)?);
        let (entries, _) = walk.registers(id);
        let first = registers(own, &entries);
        let all = if interrupts { walk.interrupts(id) } else { Vec::new() };
        let why = first.or_else(|| interrupts.then(|| of_node(own, &all, tree)).flatten())?;
        Some(format!("{}: {why}", node.path))
    })
}

/// Whether the interrupts of a tree have one meaning. Where a nexus does not say how many cells an
/// address has, Linux looks above it and the specification does not; counts that no binding has are
/// cut in other ways; a phandle of the old name may be another one's.
fn one_way(walk: &Walk) -> bool {
    let cell = |value: &[u8]| value.first_chunk().map(|cell| u32::from_be_bytes(*cell));
    walk.nodes.iter().all(|node| {
        let has = |name| node.properties.contains_key(name);
        node.properties.iter().all(|(name, value)| match name.as_str() {
            "#interrupt-cells" => cell(value).is_some_and(|cells| (1..=8).contains(&cells)),
            "#address-cells" => cell(value).is_some_and(|cells| cells <= 4),
            "linux,phandle" => false,
            "interrupt-map" => has("#address-cells"),
            _ => true,
        })
    })
}

fn registers(own: &dt::Node, entries: &[Register]) -> Option<String> {
    let mut wanted = entries.iter().filter_map(|entry| match entry {
        Register::At(base, size) | Register::Crosses(base, size) => Some((*base, *size)),
        _ => None,
    });
    let count = wanted.clone().count();
    let found = own.registers.iter().map(|span| (span.base(), span.size()));
    for span in found.clone() {
        if !wanted.any(|wanted| wanted == span) {
            return Some(format!("register {span:x?}, by the specification {entries:x?}"));
        }
    }
    let silent = found.count() < count && own.unreachable.is_empty();
    silent.then(|| format!("registers {:x?} and no reason, of {entries:x?}", own.registers))
}

fn of_node(own: &dt::Node, all: &[Interrupt], tree: &Tree) -> Option<String> {
    let trigger = |flags: u32| if flags & 3 == 0 { Trigger::Level } else { Trigger::Edge };
    for (index, interrupt) in own.interrupts.iter().enumerate() {
        let same = match (interrupt.gic, all.get(index)) {
            (None, _) => interrupt.why.is_some(),
            (Some(found), Some(Interrupt::Gic(intid, flags) | Interrupt::Behind(intid, flags))) => {
                (found.intid, found.trigger) == (*intid, trigger(*flags))
            }
            // Names of the GIC that the bindings have and Linux's drivers have not.
            (Some(_), Some(Interrupt::Inner(path))) => {
                tree.by_path(path).is_some_and(|id| dt::is_gic(tree.node(id)))
            }
            // Where the tree is at fault, the two may give up at different places.
            (Some(_), Some(Interrupt::Broken(_))) => true,
            (Some(_), None) => false,
        };
        if !same {
            return Some(format!(
                "interrupt {index} is {interrupt:?}, by the specification {all:?}"
            ));
        }
    }
    let lost = all.iter().skip(own.interrupts.len());
    let mut lost = lost.filter(|interrupt| !matches!(interrupt, Interrupt::Broken(_)));
    lost.next().map(|interrupt| format!("{interrupt:?} is not there"))
}
