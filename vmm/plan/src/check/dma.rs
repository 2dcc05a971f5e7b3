// SPDX-License-Identifier: BSD-2-Clause
//! Findings about devices that read and write memory on their own, and about buses behind a bridge.

use super::CheckInput;
use crate::dt::{Node, Tree, is_gic};
use crate::finding::{Findings, Rule};
use crate::masters::{Dma, Masters};
use crate::memory::Kind;
use crate::span::Span;

pub(super) fn check(subject: &CheckInput<'_>, found: &mut Findings) {
    let masters = Masters::built_in();
    let equal = subject.ram().all(|(region, span)| region.pa.map(|pa| pa.0) == Some(span.base().0));
    let mut judged: Vec<Verdict<'_>> = Vec::new();
    for node in within_reach(subject) {
        // The guest's tree and the board's mostly say the same.
        let verdict =
            Verdict { path: &node.path, dma: masters.of(node), is_bridge: is_bridge(node) };
        if judged.contains(&verdict) {
            continue;
        }
        memory(node, &verdict.dma, equal, found);
        if verdict.is_bridge {
            let problem = "it is the bridge to a bus with addresses of its own (PCI): its windows, its interrupt lines and its MSI controller are not planned, so the guest is stopped by the first access behind it";
            let way_out = "keep it from the guest; a device behind it cannot be given either";
            found.add(Rule::BusBridge, node.path.clone(), problem, way_out);
        }
        judged.push(verdict);
    }
}

/// What is said of a node.
#[derive(PartialEq)]
struct Verdict<'n> {
    path: &'n str,
    dma: Dma,
    is_bridge: bool,
}

/// Nodes with registers in a device region that the guest can reach: those of its own tree, and
/// those that the board has there, whatever the guest's tree calls them.
fn within_reach<'s>(subject: &'s CheckInput<'_>) -> Vec<&'s Node> {
    let regions: Vec<_> =
        subject.guest_regions().filter(|(region, _)| region.kind == Kind::Device).collect();
    let seen: Vec<_> = regions.iter().map(|(_, span)| *span).collect();
    let real: Vec<_> = regions.iter().filter_map(|(region, _)| region.physical_span()).collect();
    let seen_in = |own: &Span| seen.iter().any(|span| span.overlaps(own.ipa()));
    let really_in = |own: &Span| real.iter().any(|span| span.overlaps(own.pa()));
    // The guest's interrupt controller has findings of its own.
    let own_device =
        |node: &Node| node.enabled && !is_gic(node) && node.registers.iter().any(seen_in);
    // What only hands addresses through is no device.
    let is_bus = |node: &Node| node.is("simple-bus") || node.is("simple-pm-bus");
    let own = subject.tree.nodes().map(|(_, node)| node).filter(|node| own_device(node));
    let board = subject.board_tree.into_iter().flat_map(Tree::nodes).map(|(_, node)| node);
    let there = board.filter(|node| node.registers.iter().any(really_in));
    own.chain(there).filter(|node| !is_bus(node) && !node.is_memory()).collect()
}

fn memory(node: &Node, dma: &Dma, equal: bool, found: &mut Findings) {
    match dma {
        Dma::None(_) => {}
        Dma::Master(why) => {
            let problem = format!(
                "it reads and writes memory on its own ({why}), and no SMMU of this board stands between: it reaches the kernel's and the monitor's memory"
            );
            found.add(
                Rule::DmaNoSmmu,
                node.path.clone(),
                problem,
                "keep it from the guest, or accept that the guest is trusted (--accept dma-no-smmu)",
            );
            if !equal {
                let problem =
                    "it uses the guest's addresses as physical ones, and guest RAM has others";
                found.add(Rule::DmaAddresses, node.path.clone(), problem, "--identity");
            }
        }
        Dma::Unknown => {
            let name = node.compatible.first().map_or("no compatible", String::as_str);
            let problem = format!(
                "\"{name}\" is not known to leave memory alone, and no SMMU of this board stands between: if it reads or writes memory on its own, it reaches the kernel's and the monitor's"
            );
            let way_out = "keep it from the guest; or, if its manual shows that it never does, add it to vmm/plan/no_dma.txt with the reason; or accept that the guest is trusted (--accept dma-unknown, with --identity if it is a bus master)";
            found.add(Rule::DmaUnknown, node.path.clone(), problem, way_out);
        }
    }
}

/// Whether behind this node is a bus whose addresses are not the CPU's: PCI, or NXP's fsl-mc.
fn is_bridge(node: &Node) -> bool {
    let pci = node.strings("device_type").first().is_some_and(|kind| kind == "pci");
    pci || (node.cell("#address-cells") == Some(3) && node.properties.contains_key("ranges"))
}
