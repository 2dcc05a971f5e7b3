// SPDX-License-Identifier: BSD-2-Clause
//! Findings about the facts of the board, held against the board's own device tree.

use vmm_core::addr::Pa;

use super::CheckInput;
use crate::board::{Board, Gic};
use crate::dt::{Node, Tree, is_gic};
use crate::finding::{Findings, Rule};
use crate::irq::GicInterrupt;
use crate::memory::Kind;
use crate::span::Span;
use crate::wish::Host;

pub(super) fn check(subject: &CheckInput<'_>, found: &mut Findings) {
    let Some(tree) = subject.board_tree else { return };
    let root = tree.node(0);
    let board = subject.board;
    if !root.is(&board.compatible) {
        let problem = format!(
            "the root of the board's tree is compatible with {}, board.toml says \"{}\": it is another board's tree",
            names(&root.compatible),
            board.compatible
        );
        found.add(Rule::BoardMismatch, "/", problem, way_out(board));
        // Every other number would be wrong as well.
        return;
    }
    gic(subject, tree, found);
    console(subject, tree, found);
    timer(subject, tree, found);
    memory(subject, tree, found);
}

fn way_out(board: &Board) -> String {
    format!("give the tree of this board (--tree), or correct boards/{}/board.toml", board.name)
}

fn names(list: &[String]) -> String {
    if list.is_empty() {
        return "nothing".into();
    }
    list.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn gic(subject: &CheckInput<'_>, tree: &Tree, found: &mut Findings) {
    let board = subject.board;
    let Some(facts) = board.gics().find(|gic| gic.version() == subject.gic) else { return };
    let Some((_, node)) = tree.nodes().find(|(_, node)| is_gic(node)) else {
        let problem = "the board's tree has no interrupt controller of the GIC family";
        found.add(Rule::BoardMismatch, "interrupt controller", problem, way_out(board));
        return;
    };
    let version = if node.is("arm,gic-v3") { 3 } else { 2 };
    if version != subject.gic {
        let problem =
            format!("the board's tree has a GICv{version}, the plan is for a GICv{}", subject.gic);
        let way_out = format!("--gic {version} where the host can, or the tree of such a machine");
        found.add(Rule::BoardMismatch, node.path.clone(), problem, way_out);
        return;
    }
    let registers: Vec<(&str, Span)> = match facts {
        Gic::V2(gic) => vec![
            ("GICD", gic.distributor),
            ("GICC", gic.physical_cpu_interface),
            ("GICH", gic.virtual_control),
            ("GICV", gic.virtual_cpu_interface),
        ],
        Gic::V3(gic) => vec![("GICD", gic.distributor), ("GICR", gic.redistributors)],
    };
    // Machines without virtualisation leave the last two out.
    for ((name, fact), own) in registers.into_iter().zip(&node.registers) {
        if own.base() != fact.base() {
            let problem = format!(
                "the board's tree has {name} at {:#x}, board.toml at {:#x}",
                own.base(),
                fact.base()
            );
            found.add(Rule::BoardMismatch, node.path.clone(), problem, way_out(board));
        }
    }
}

/// The GIC's numbers of a node's interrupts.
fn at_gic(node: &Node) -> Vec<GicInterrupt> {
    node.interrupts.iter().filter_map(|interrupt| interrupt.gic).collect()
}

fn console(subject: &CheckInput<'_>, tree: &Tree, found: &mut Findings) {
    let facts = &subject.board.console;
    let base = facts.registers.base();
    let there = |node: &Node| node.registers.first().is_some_and(|own| own.base() == base);
    let Some((_, node)) = tree.nodes().find(|(id, node)| !tree.is_bus(*id) && there(node)) else {
        let problem = format!(
            "board.toml has the console's UART at {base:#x}, and no node of the board's tree is there: the guest would be mute"
        );
        found.add(Rule::BoardMismatch, "console", problem, way_out(subject.board));
        return;
    };
    let mut add = |problem| {
        found.add(Rule::BoardMismatch, node.path.clone(), problem, way_out(subject.board))
    };
    if !facts.compatible.iter().any(|name| node.is(name)) {
        add(format!(
            "it is compatible with {}, board.toml's console with {}",
            names(&node.compatible),
            names(&facts.compatible)
        ));
    }
    let own = at_gic(node);
    let line = GicInterrupt { intid: facts.interrupt, trigger: facts.trigger };
    if !own.is_empty() && !own.contains(&line) {
        let own: Vec<_> =
            own.iter().map(|own| format!("INTID {} ({:?})", own.intid, own.trigger)).collect();
        add(format!(
            "it raises {}, board.toml's console INTID {} ({:?})",
            own.join(", "),
            line.intid,
            line.trigger
        ));
    }
}

fn timer(subject: &CheckInput<'_>, tree: &Tree, found: &mut Findings) {
    let facts = &subject.board.timer;
    let generic = |node: &Node| node.is("arm,armv8-timer") || node.is("arm,armv7-timer");
    let Some((_, node)) = tree.nodes().find(|(_, node)| generic(node)) else { return };
    let wanted = [facts.secure_ppi, facts.physical_ppi, facts.virtual_ppi, facts.hypervisor_ppi];
    // The order of bindings/timer/arm,arch_timer.yaml; names may say another.
    let own: Vec<_> = at_gic(node).into_iter().map(|own| own.intid).take(4).collect();
    let named = node.properties.contains_key("interrupt-names");
    if !named && own.iter().zip(wanted).any(|(own, wanted)| *own != wanted) {
        let problem = format!(
            "its interrupts are {own:?} (secure, physical, virtual, hypervisor), board.toml's {wanted:?}"
        );
        found.add(Rule::BoardMismatch, node.path.clone(), problem, way_out(subject.board));
    }
}

/// Physical memory that the plan takes, with what it is for.
fn taken(subject: &CheckInput<'_>) -> Vec<(String, Span<Pa>)> {
    let normal = subject.regions.iter().filter(|region| region.kind == Kind::Normal);
    let placed = normal
        .clone()
        .filter_map(|region| Some((format!("region {}", region.name), region.physical_span()?)));
    let mut all: Vec<_> = placed.collect();
    let facts = &subject.board.microkit.memory;
    if subject.host == Host::Microkit && normal.clone().any(|region| region.pa.is_none()) {
        all.push(("the memory that the kernel chooses from".into(), facts.span()));
    }
    all
}

fn memory(subject: &CheckInput<'_>, tree: &Tree, found: &mut Findings) {
    let nodes = tree.nodes().filter(|(_, node)| node.enabled && node.is_memory());
    let memory = nodes.flat_map(|(_, node)| node.registers.iter().map(|span| span.pa()));
    let mut there: Vec<Span<Pa>> = memory.collect();
    there.sort_by_key(|span| span.base());
    let for_guests = subject.board.microkit.guest_memory.as_deref();
    let keeps = |node: &Node| {
        node.enabled
            && node.path.starts_with("/reserved-memory/")
            && for_guests != Some(node.path.as_str())
            && !node.properties.contains_key("reusable")
    };
    let nodes = tree.nodes().filter(|(_, node)| keeps(node));
    let mut reserved: Vec<_> = nodes
        .flat_map(|(_, node)| node.registers.iter().map(|span| (node.path.clone(), span.pa())))
        .collect();
    reserved.extend(tree.reserved().iter().map(|span| ("/memreserve/".to_owned(), span.pa())));
    let place = "place it elsewhere: [[ram.identity]], [microkit.memory] or [baremetal] of board.toml, or less RAM (--ram)";
    for (name, span) in taken(subject) {
        for (owner, theirs) in reserved.iter().filter(|(_, theirs)| theirs.overlaps(span)) {
            let problem = format!(
                "it is at {span}, and the board's tree keeps {theirs} for others ({owner})"
            );
            found.add(Rule::RamOverReserved, name.clone(), problem, place);
        }
        let hole = super::devices::uncovered(span, &there).filter(|_| !there.is_empty());
        if let Some(at) = hole {
            let problem = format!(
                "it is at {span}, and by the memory nodes of the board's tree ({}) there is no memory at {at}",
                super::memory::list(&there)
            );
            let way_out = format!(
                "{place}; or give the tree of the machine as it boots (QEMU: dumpdtb with the same -m)"
            );
            found.add(Rule::RamOverReserved, name, problem, way_out);
        }
    }
}
