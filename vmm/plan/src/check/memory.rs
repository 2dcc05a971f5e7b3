// SPDX-License-Identifier: BSD-2-Clause
//! Findings about regions: overlap, owners, size, and what the guest's tree says of memory.

use vmm_core::addr::{Ipa, Pa};

use super::CheckInput;
use crate::finding::{Findings, Rule};
use crate::memory::{Kind, Region};
use crate::span::{Address, Size, Span};
use crate::wish::Host;

pub(super) fn check(subject: &CheckInput<'_>, found: &mut Findings) {
    memory_node(subject, found);
    guest_overlap(subject, found);
    two_owners(subject, found);
    mixed(subject, found);
    too_large(subject, found);
    out_of_range(subject, found);
}

/// Where seL4's guests end on a processor with 40 bits of physical address, as the boards have
/// (include/arch/arm/arch/64/mode/hardware.h, USER_TOP).
const SEL4_END: Ipa = Ipa(1 << 40);
/// Where the bare-metal host's guests end (vmm/hosts/baremetal/src/stage2.rs).
const BAREMETAL_END: Ipa = Ipa(1 << 32);

fn out_of_range(subject: &CheckInput<'_>, found: &mut Findings) {
    let (end, whose) = match subject.host {
        Host::Microkit => (SEL4_END, "seL4"),
        Host::Baremetal => (BAREMETAL_END, "the bare-metal host"),
    };
    for (region, span) in subject.guest_regions().filter(|(_, span)| span.end() > end) {
        let problem =
            format!("it is at {span}, and {whose} maps nothing for a guest from {end} on");
        let about = format!("region {}", region.name);
        found.add(Rule::RegionOutOfRange, about, problem, "keep the device from the guest");
    }
}

pub(super) fn list<A: Address>(spans: &[Span<A>]) -> String {
    if spans.is_empty() {
        return "nothing".into();
    }
    spans.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn memory_node(subject: &CheckInput<'_>, found: &mut Findings) {
    let merge = |mut spans: Vec<Span<Ipa>>| {
        spans.sort_by_key(|span| span.base());
        spans.into_iter().fold(Vec::new(), |mut merged: Vec<Span<Ipa>>, span| {
            match merged.last_mut() {
                Some(last) if last.end() == span.base() => {
                    *last = Span::until(last.base(), span.end());
                }
                _ => merged.push(span),
            }
            merged
        })
    };
    let nodes = subject.tree.nodes().filter(|(_, node)| node.enabled && node.is_memory());
    let told =
        merge(nodes.flat_map(|(_, node)| node.registers.iter().map(|span| span.ipa())).collect());
    let given = merge(subject.ram().map(|(_, span)| span).collect());
    if told != given {
        let problem = format!("the guest's tree says {}, its RAM is {}", list(&told), list(&given));
        found.add(
            Rule::MemoryMismatch,
            "memory",
            problem,
            "let guestplan write the memory node, or give both the same numbers",
        );
    }
}

fn guest_overlap(subject: &CheckInput<'_>, found: &mut Findings) {
    let mut all: Vec<(String, Span<Ipa>)> = subject
        .guest_regions()
        .map(|(region, span)| (format!("region {}", region.name), span))
        .collect();
    let emulated = subject.emulated().into_iter();
    all.extend(emulated.map(|emulated| (emulated.noun_phrase(), emulated.span)));
    for (index, (name, span)) in all.iter().enumerate() {
        for (other_name, other) in all.iter().skip(index.saturating_add(1)) {
            if span.overlaps(*other) {
                let problem = format!(
                    "{name} ({span}) and {other_name} ({other}) are at the same guest addresses"
                );
                found.add(
                    Rule::RegionOverlap,
                    name.clone(),
                    problem,
                    "move one of them, or make it smaller",
                );
            }
        }
    }
    for (region, span) in subject.ram() {
        for (_, node) in
            subject.enabled().filter(|(_, node)| !node.is_memory() && !in_reserved(&node.path))
        {
            if let Some(registers) =
                node.registers.iter().find(|registers| registers.ipa().overlaps(span))
            {
                let problem =
                    format!("RAM ({span}) covers the registers of {} ({registers})", node.path);
                let way_out = "place RAM elsewhere, or disable the node";
                found.add(Rule::RegionOverlap, format!("region {}", region.name), problem, way_out);
            }
        }
    }
}

/// Nodes below /reserved-memory describe RAM.
pub(super) fn in_reserved(path: &str) -> bool {
    path.starts_with("/reserved-memory")
}

fn two_owners(subject: &CheckInput<'_>, found: &mut Findings) {
    let physical: Vec<(&Region, Span<Pa>)> = subject
        .regions
        .iter()
        .filter_map(|region| Some((region, region.physical_span()?)))
        .collect();
    for (index, (region, span)) in physical.iter().enumerate() {
        for (other, other_span) in physical.iter().skip(index.saturating_add(1)) {
            // One region that the guest sees in two places is still one.
            let same = region.name == other.name && region.owner == other.owner;
            if span.overlaps(*other_span) && !same {
                let problem = format!(
                    "physical {span} is {}'s, and {other_span} ({}) is {}'s at the same time",
                    region.owner.words(),
                    other.name,
                    other.owner.words()
                );
                let way_out = "take it away from one of them; the monitor has it once the guest is stopped by setvar_vaddr=\"uart_vaddr\"";
                found.add(Rule::TwoOwners, format!("region {}", region.name), problem, way_out);
            }
        }
    }
    for line in &subject.lines {
        if subject.foreign_lines.contains(&line.intid) {
            let problem = "the guest has it, and the monitor or another domain has it too";
            found.add(
                Rule::TwoOwners,
                format!("INTID {}", line.intid),
                problem,
                "give it to one of them",
            );
        }
    }
}

/// The board's normal memory, as the host has it.
fn normal_memory(subject: &CheckInput<'_>) -> Span<Pa> {
    let facts = &subject.board.microkit.memory;
    match (subject.host, &subject.board.baremetal) {
        (Host::Baremetal, Some(facts)) => facts.memory.pa(),
        _ => facts.span(),
    }
}

fn mixed(subject: &CheckInput<'_>, found: &mut Findings) {
    let memory = normal_memory(subject);
    for region in &subject.regions {
        let Some(span) = region.physical_span() else { continue };
        if span.overlaps(memory) && !memory.encloses(span) {
            let problem = format!("physical {span} is partly memory ({memory}) and partly devices");
            let way_out = "make two regions of it, the device part with cached=\"false\"";
            found.add(Rule::MixedMemory, format!("region {}", region.name), problem, way_out);
        }
    }
}

fn too_large(subject: &CheckInput<'_>, found: &mut Findings) {
    let memory = normal_memory(subject);
    let normal = || subject.regions.iter().filter(|region| region.kind == Kind::Normal);
    // On Microkit the system image holds the files once more, and the kernel keeps some memory.
    let mut left = memory.size();
    if subject.host == Host::Microkit {
        let files =
            normal().filter_map(|region| region.prefill.as_ref()).map(|prefill| prefill.size);
        left =
            left.saturating_sub(subject.board.microkit.memory.reserve).saturating_sub(files.sum());
    }
    for region in
        normal().filter(|region| region.physical_span().is_none_or(|span| span.overlaps(memory)))
    {
        if region.size > left {
            let (size, all) = (Size(region.size), Size(memory.size()));
            let problem = format!("{size} asked for, {} of the board's {all} are left", Size(left));
            found.add(
                Rule::RegionTooLarge,
                format!("region {}", region.name),
                problem,
                "make it smaller",
            );
        }
        left = left.saturating_sub(region.size);
    }
}
