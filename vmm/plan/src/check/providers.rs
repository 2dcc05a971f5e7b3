// SPDX-License-Identifier: BSD-2-Clause
//! Findings about what devices need of others: clocks, pins, power, and the firmware.

use std::collections::BTreeSet;

use super::CheckInput;
use super::machine::arguments;
use crate::dt::{NodeId, Tree};
use crate::finding::{Findings, Rule};
use crate::span::Span;
use crate::wish::Need;

pub(super) fn check(subject: &CheckInput<'_>, found: &mut Findings) {
    missing(subject, found);
    console_providers(subject, found);
    firmware(subject, found);
}

fn missing(subject: &CheckInput<'_>, found: &mut Findings) {
    for missing in &subject.missing {
        let way_out = way_out(missing.need, Some(&missing.provider).filter(|_| missing.passable));
        let problem = format!(
            "its property {} refers to {}, which the guest does not have",
            missing.property, missing.provider
        );
        found.add(Rule::ProviderMissing, missing.node.clone(), problem, way_out);
    }
    let tree = &subject.tree;
    for (_, node) in subject.enabled() {
        for reference in &node.references {
            let device = reference.target.map(|target| tree.device_of(target).unwrap_or(target));
            let property = &reference.property;
            let (problem, way_out) = match device.map(|device| tree.node(device)) {
                Some(device) if device.enabled || reference.need == Need::Others => continue,
                Some(device) => (
                    format!("its property {property} refers to {}, which is disabled", device.path),
                    way_out(reference.need, Some(&device.path)),
                ),
                None => (
                    format!(
                        "its property {property} refers to phandle {:#x}, which no node of the guest's tree has",
                        reference.phandle
                    ),
                    way_out(reference.need, None),
                ),
            };
            found.add(Rule::ProviderMissing, node.path.clone(), problem, way_out);
        }
    }
}

fn way_out(need: Need, provider: Option<&String>) -> String {
    let instead = match need {
        Need::Clocks => "clocks=HZ (fixed clocks) or drop=clocks in its wish".into(),
        Need::Others => "drop=others in its wish (its driver does without)".into(),
        _ => format!("drop={} in its wish (the firmware's set-up stays)", need.name()),
    };
    match provider {
        Some(provider) => format!("{instead}, or pass {provider} through knowingly"),
        None => instead,
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

fn console_providers(subject: &CheckInput<'_>, found: &mut Findings) {
    let tree = subject.board_tree.unwrap_or(&subject.tree);
    let base = subject.board.console.registers.base();
    let console = tree
        .nodes()
        .find(|(_, node)| node.registers.first().is_some_and(|span| span.base() == base));
    let Some((console, _)) = console else { return };
    for provider in providers(tree, console) {
        let node = tree.node(provider);
        let mapped = |span: &Span| {
            let physical = subject.guest_regions().filter_map(|(region, _)| region.physical_span());
            physical.into_iter().any(|region| region.overlaps(span.pa()))
        };
        if node.registers.iter().any(mapped) {
            let problem = format!(
                "the guest owns it, and {} depends on it: the guest can stop the UART that everyone uses",
                tree.node(console).path
            );
            found.add(
                Rule::ProviderOwnsConsole,
                node.path.clone(),
                problem,
                "keep it from the guest and give the UART fixed clocks (clocks=HZ,drop=pins+power)",
            );
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

fn firmware(subject: &CheckInput<'_>, found: &mut Findings) {
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
            let problem = format!(
                "the driver of \"{compatible}\" calls the firmware ({function:#x}: {source}) and gets -1"
            );
            found.add(Rule::DriverNeedsFirmware, node.path.clone(), problem, way_out);
        }
    }
}
