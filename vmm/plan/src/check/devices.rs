// SPDX-License-Identifier: BSD-2-Clause
//! Findings about device registers: nodes against what is mapped.

use super::CheckInput;
use vmm_core::addr::Ipa;

use super::memory::in_reserved;
use crate::dt::{Node, is_gic};
use crate::finding::{Findings, Rule};
use crate::memory::Kind;
use crate::span::{Address, Span};

pub(super) fn check(subject: &CheckInput<'_>, found: &mut Findings) {
    unmapped(subject, found);
    without_node(subject, found);
    neighbours(subject, found);
}

/// The first address of `span` that is in none of `covers`.
pub(super) fn uncovered<A: Address>(span: Span<A>, covers: &[Span<A>]) -> Option<A> {
    let mut at = span.base();
    while at < span.end() {
        let cover = covers.iter().find(|cover| cover.contains(at));
        match cover {
            Some(cover) => at = cover.end(),
            None => return Some(at),
        }
    }
    None
}

fn unmapped(subject: &CheckInput<'_>, found: &mut Findings) {
    let mut covers: Vec<_> = subject.guest_regions().map(|(_, span)| span).collect();
    covers.extend(subject.emulated().iter().map(|emulated| emulated.span));
    for (id, node) in subject.enabled() {
        // The interrupt controller has a finding of its own.
        if subject.tree.is_bus(id) || node.is_memory() || is_gic(node) || in_reserved(&node.path) {
            continue;
        }
        if let Some((span, at)) =
            node.registers.iter().find_map(|span| Some((span, uncovered(span.ipa(), &covers)?)))
        {
            let problem = format!(
                "its driver will touch {at} (registers {span}), which the guest does not have"
            );
            let way_out = "give the node status = \"disabled\", take its driver out of the kernel, or pass the device through (--pass)";
            found.add(Rule::NodeUnmapped, node.path.clone(), problem, way_out);
        }
    }
}

fn without_node(subject: &CheckInput<'_>, found: &mut Findings) {
    let touches = |span: Span<Ipa>| {
        subject.tree.nodes().any(|(id, node)| {
            node.enabled
                && !subject.tree.is_bus(id)
                && node.registers.iter().any(|own| own.ipa().overlaps(span))
        })
    };
    for (region, span) in subject.guest_regions() {
        if region.kind == Kind::Device && !touches(span) {
            let problem = format!("the guest has {span}, and no enabled node of its tree is there");
            found.add(
                Rule::RegionWithoutNode,
                format!("region {}", region.name),
                problem,
                "take the region out, or enable its node",
            );
        }
    }
}

/// Devices of the board in a mapped page that the guest was not given.
fn neighbours(subject: &CheckInput<'_>, found: &mut Findings) {
    let board = subject.board_tree.unwrap_or(&subject.tree);
    for (region, _) in subject.guest_regions() {
        let Some(span) = region.physical_span().filter(|_| region.kind == Kind::Device) else {
            continue;
        };
        let exposed: Vec<_> = board
            .nodes()
            .filter(|(id, node)| !board.is_bus(*id) && !node.is_memory())
            .filter(|(_, node)| node.registers.iter().any(|own| own.pa().overlaps(span)))
            .filter(|(_, node)| !subject.given(&node.registers))
            .map(|(_, node): (_, &Node)| node.path.as_str())
            .collect();
        if !exposed.is_empty() {
            let problem = format!("its pages ({span}) also hold {}", exposed.join(", "));
            let way_out =
                "make the region smaller, or give the neighbours to the guest knowingly (--pass)";
            found.add(
                Rule::PageExposesNeighbour,
                format!("region {}", region.name),
                problem,
                way_out,
            );
        }
    }
}
