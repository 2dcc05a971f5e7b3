// SPDX-License-Identifier: BSD-2-Clause
//! Findings about what devices need of others: clocks, pins, power, memory to reach by DMA, and
//! the firmware.

use std::collections::BTreeSet;

use super::machine::arguments;
use super::{Findings, Subject};
use crate::dt::{Node, NodeId, Tree};
use crate::memory::Kind;
use crate::span::Span;
use crate::wish::Need;

pub(super) fn check(subject: &Subject<'_>, found: &mut Findings) {
    missing(subject, found);
    console_providers(subject, found);
    bus_masters(subject, found);
    firmware(subject, found);
}

fn missing(subject: &Subject<'_>, found: &mut Findings) {
    let mut add = |node: &str, property: &str, need: Need, provider: &str| {
        let what = format!("its {property} come from {provider}, which the guest does not have");
        let instead = match need {
            Need::Clocks => "clocks=HZ (fixed clocks) or drop=clocks in its wish".into(),
            _ => format!("drop={} in its wish (the firmware's set-up stays)", need.name()),
        };
        let way_out = format!("{instead}, or pass {provider} through knowingly");
        found.add("provider-missing", node, what, way_out);
    };
    for missing in &subject.missing {
        add(&missing.node, &missing.property, missing.need, &missing.provider);
    }
    let tree = &subject.tree;
    for (_, node) in subject.enabled() {
        for reference in node.references.iter().filter(|reference| reference.need != Need::Others) {
            let device = reference.target.map(|target| tree.device_of(target).unwrap_or(target));
            match device {
                Some(device) if tree.node(device).enabled => {}
                Some(device) => {
                    add(&node.path, &reference.property, reference.need, &tree.node(device).path)
                }
                None => {
                    let provider = format!("phandle {:#x}, which no node has", reference.phandle);
                    add(&node.path, &reference.property, reference.need, &provider);
                }
            }
        }
    }
}

/// Devices that a node needs clocks, pins, power or resets of, directly or through others.
fn providers(tree: &Tree, of: NodeId) -> BTreeSet<NodeId> {
    let mut all = BTreeSet::new();
    let mut queue = vec![of];
    let mut seen = BTreeSet::new();
    while let Some(id) = queue.pop() {
        if !seen.insert(id) {
            continue;
        }
        for reference in &tree.node(id).references {
            let kind =
                matches!(reference.need, Need::Clocks | Need::Pins | Need::Power | Need::Resets);
            if let Some(target) = reference.target.filter(|_| kind) {
                let device = tree.device_of(target).unwrap_or(target);
                all.insert(device);
                queue.push(device);
            }
        }
    }
    all.remove(&of);
    all
}

fn console_providers(subject: &Subject<'_>, found: &mut Findings) {
    let tree = subject.board_tree.unwrap_or(&subject.tree);
    let base = subject.board.console.registers.base;
    let console =
        tree.nodes().find(|(_, node)| node.registers.first().is_some_and(|span| span.base == base));
    let Some((console, _)) = console else { return };
    for provider in providers(tree, console) {
        let node = tree.node(provider);
        let mapped = |span: &Span| {
            let physical = subject.guest_regions().filter_map(|(region, _)| region.physical_span());
            physical.into_iter().any(|region| region.overlaps(*span))
        };
        if node.registers.iter().any(mapped) {
            let what = format!(
                "the guest owns it, and {} depends on it: the guest can stop the UART that everyone uses",
                tree.node(console).path
            );
            found.add(
                "provider-owns-console",
                node.path.clone(),
                what,
                "keep it from the guest and give the UART fixed clocks (clocks=HZ,drop=pins+power)",
            );
        }
    }
}

/// Names of the Devicetree Specification 0.4 (2.2.2) for devices that read and write memory on
/// their own.
const MASTERS: [&str; 19] = [
    "can",
    "crypto",
    "display",
    "display-controller",
    "dma-controller",
    "dma",
    "ethernet",
    "gpu",
    "lcd-controller",
    "mmc",
    "nand-controller",
    "pcie",
    "pci",
    "sata",
    "usb",
    "video-codec",
    "virtio_mmio",
    "virtio",
    "vpu",
];

fn is_bus_master(node: &Node) -> bool {
    let says = |property: &str| node.properties.contains_key(property);
    says("iommus")
        || says("dma-coherent")
        || says("#dma-cells")
        || MASTERS.contains(&node.base_name())
}

fn bus_masters(subject: &Subject<'_>, found: &mut Findings) {
    let regions: Vec<_> =
        subject.guest_regions().filter(|(region, _)| region.kind == Kind::Device).collect();
    let equal = subject.ram().all(|(region, span)| region.pa == Some(span.base));
    for (_, node) in subject.enabled().filter(|(_, node)| is_bus_master(node)) {
        let mapped =
            node.registers.iter().any(|own| regions.iter().any(|(_, span)| span.overlaps(*own)));
        if !mapped {
            continue;
        }
        let what = "it reads and writes memory on its own, and no SMMU of this board stands between: it reaches the kernel's and the monitor's memory";
        found.add(
            "dma-no-smmu",
            node.path.clone(),
            what,
            "keep it from the guest, or accept that the guest is trusted (--accept dma-no-smmu)",
        );
        if !equal {
            let what = "it uses the guest's addresses as physical ones, and guest RAM has others";
            found.add("dma-addresses", node.path.clone(), what, "--identity");
        }
    }
}

/// A driver that calls the firmware.
struct Caller {
    compatible: &'static str,
    function: u32,
    /// Name of its start in Linux, for `initcall_blacklist=`; empty where it is a module's.
    initcall: &'static str,
    source: &'static str,
}

const CALLERS: [Caller; 4] = [
    Caller {
        compatible: "fsl,imx8mq",
        function: 0xc200_0006,
        initcall: "imx8_soc_init",
        source: "drivers/soc/imx/soc-imx8m.c asks for the silicon revision",
    },
    Caller {
        compatible: "fsl,imx8m-ddrc",
        function: 0xc200_0004,
        initcall: "",
        source: "drivers/devfreq/imx8m-ddrc.c changes the rate of the memory",
    },
    Caller {
        compatible: "arm,smc-wdt",
        function: 0x8200_3d06,
        initcall: "",
        source: "drivers/watchdog/arm_smc_wdt.c",
    },
    Caller {
        compatible: "linaro,optee-tz",
        function: 0xbf00_ff01,
        initcall: "",
        source: "drivers/tee/optee/smc_abi.c",
    },
];

fn firmware(subject: &Subject<'_>, found: &mut Findings) {
    let arguments = arguments(subject);
    let lists = arguments.split(' ').filter_map(|word| word.strip_prefix("initcall_blacklist="));
    let off: Vec<_> = lists.flat_map(|list| list.split(',')).collect();
    for (_, node) in subject.enabled() {
        for Caller { compatible, function, initcall, source } in CALLERS {
            if !node.is(compatible)
                || subject.functions.contains(&function)
                || off.contains(&initcall)
            {
                continue;
            }
            let way_out = if subject.board.smc.never_forward.contains(&function) {
                "disable the node or its driver: this call reaches the whole board and is never forwarded".into()
            } else {
                format!(
                    "disable the node or its driver, --answer {function:#x}=VALUE, or --forward {function:#x}"
                )
            };
            let what = format!(
                "the driver of \"{compatible}\" calls the firmware ({function:#x}: {source}) and gets -1"
            );
            found.add("driver-needs-firmware", node.path.clone(), what, way_out);
        }
    }
}
