// SPDX-License-Identifier: BSD-2-Clause
//! Findings about the images in guest RAM.

use super::CheckInput;
use vmm_core::addr::Ipa;

use super::machine::arguments;
use crate::dt::number;
use crate::finding::{Findings, Rule};
use crate::initramfs::{Unpacked, limit};
use crate::span::{Size, Span};

pub(super) fn check(subject: &CheckInput<'_>, found: &mut Findings) {
    overlap(subject, found);
    unpacking(subject, found);
}

/// The initial RAM file system as `chosen` says.
fn initrd(subject: &CheckInput<'_>) -> Option<Span<Ipa>> {
    let chosen = subject.tree.node(subject.tree.by_path("/chosen")?);
    let place = |name: &str| {
        Some(number(&chosen.cells(name))).filter(|_| chosen.properties.contains_key(name))
    };
    let (start, end) = (place("linux,initrd-start")?, place("linux,initrd-end")?);
    Some(Span::until(Ipa(start), Ipa(end)))
}

fn overlap(subject: &CheckInput<'_>, found: &mut Findings) {
    let told = initrd(subject);
    if let (Some(told), Some(initramfs)) = (told, subject.initramfs)
        && told.size() != initramfs.packed
    {
        let problem = format!(
            "chosen says {told} ({}), the file has {}",
            Size(told.size()),
            Size(initramfs.packed)
        );
        found.add(
            Rule::ImageOverlap,
            "initrd",
            problem,
            "let guestplan write linux,initrd-start and -end",
        );
    }
    let placed = [("kernel", subject.kernel), ("device tree", subject.tree_span), ("initrd", told)];
    let placed: Vec<_> =
        placed.into_iter().filter_map(|(name, span)| Some((name, span?))).collect();
    for (index, (name, span)) in placed.iter().enumerate() {
        for (other, other_span) in placed.iter().skip(index.saturating_add(1)) {
            if span.overlaps(*other_span) {
                let problem = format!(
                    "{name} ({span}, with its zeroed data) and {other} ({other_span}) overlap"
                );
                found.add(Rule::ImageOverlap, *name, problem, "let guestplan place them");
            }
        }
        if !subject.ram().any(|(_, ram)| ram.encloses(*span)) {
            let problem = format!("{name} ({span}) is not within guest RAM");
            found.add(
                Rule::ImageOverlap,
                *name,
                problem,
                "give the guest more RAM, or let guestplan place the images",
            );
        }
    }
}

fn unpacking(subject: &CheckInput<'_>, found: &mut Findings) {
    let Some(initramfs) = subject.initramfs else { return };
    let ram = subject.ram().map(|(_, span)| span.size()).max().unwrap_or(0);
    let kernel = subject.kernel.map_or(0, |span| span.size());
    let arguments = arguments(subject);
    let most = limit(ram, kernel, initramfs.packed, &arguments);
    if arguments.split(' ').any(|word| word == "rootfstype=ramfs") {
        return;
    }
    match initramfs.unpacked {
        Unpacked::Known(size) | Unpacked::AtLeast(size, _) if size > most => {
            let problem = format!(
                "it unpacks to {} ({size} bytes); of {} RAM at most {} ({most} bytes) may be unpacked: half of what is left beside the kernel",
                Size(size),
                Size(ram),
                Size(most)
            );
            found.add(
                Rule::InitramfsTooBig,
                "initrd",
                problem,
                "more RAM, a smaller file system, cma=0 if the kernel sets memory aside for DMA, or rootfstype=ramfs",
            );
        }
        Unpacked::Known(_) => {}
        // As a disk in memory, where the guest's kernel is told so, it may be anything.
        Unpacked::Unusable(..)
            if arguments.split(' ').any(|word| word.starts_with("root=/dev/ram")) => {}
        Unpacked::Unusable(kind, way_out) => found.add(
            Rule::InitramfsUnusable,
            "initrd",
            format!(
                "it is {kind}: Linux does not unpack it, and panics for want of a root file system"
            ),
            way_out,
        ),
        Unpacked::Damaged(at) => found.add(
            Rule::InitramfsUnknown,
            "initrd",
            format!("it ends within the cpio archive that begins at byte {at}"),
            "it was cut short: make or copy it again",
        ),
        Unpacked::AtLeast(_, format) => {
            let problem = format!(
                "{format}: how much it unpacks to is not known here; at most {} may be",
                Size(most)
            );
            found.add(Rule::InitramfsUnknown, "initrd", problem, "gzip or plain cpio say it");
        }
    }
}
