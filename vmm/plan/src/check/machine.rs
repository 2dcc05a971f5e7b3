// SPDX-License-Identifier: BSD-2-Clause
//! Findings about the machine that the guest's tree describes: interrupt controller, processors,
//! console.

use super::CheckInput;
use crate::board::Gic;
use crate::dt::{Node, is_gic, number};
use crate::finding::{Findings, Rule};
use crate::memory::REDISTRIBUTOR_SIZE;
use crate::plan::Plan;
use crate::span::Span;
use crate::wish::Host;

pub(super) fn check(subject: &CheckInput<'_>, found: &mut Findings) {
    gic(subject, found);
    gicv(subject, found);
    processors(subject, found);
    console(subject, found);
    command_line(subject, found);
    entropy(subject, found);
    cores(subject, found);
}

fn entropy(subject: &CheckInput<'_>, found: &mut Findings) {
    if !subject.entropy {
        let way_out = "a board with a [seed] in its board.toml, and no --no-entropy";
        found.add(
            Rule::NoEntropy,
            "/chosen",
            "nothing seeds random numbers for the guest",
            way_out,
        );
    }
}

fn cores(subject: &CheckInput<'_>, found: &mut Findings) {
    if subject.vcpus > subject.cores {
        let problem = format!("{} virtual CPUs take turns on {}", subject.vcpus, subject.cores);
        found.add(Rule::SharedCore, "/cpus", problem, "a kernel of as many cores (docs/sdk.md)");
    }
}

fn gic(subject: &CheckInput<'_>, found: &mut Findings) {
    let Some(facts) = subject.board.gics().find(|gic| gic.version() == subject.gic) else { return };
    let (second, second_name) = match facts {
        Gic::V2(gic) => (gic.cpu_interface, "GICC"),
        Gic::V3(gic) => (gic.redistributors, "GICR"),
    };
    let version = |node: &Node| if node.is("arm,gic-v3") { 3 } else { 2 };
    let way_out = "let guestplan write the node, or take the numbers from board.toml";
    let mut nodes = subject.tree.nodes().filter(|(_, node)| node.enabled && is_gic(node));
    let Some((_, node)) = nodes.next() else {
        found.add(Rule::GicMismatch, "interrupt controller", "the guest's tree has none", way_out);
        return;
    };
    if version(node) != subject.gic {
        let problem = format!(
            "the guest's tree says GICv{}, the monitor gives it a GICv{}",
            version(node),
            subject.gic
        );
        found.add(Rule::GicMismatch, node.path.clone(), problem, way_out);
        return;
    }
    let at = |index: usize| node.registers.get(index).map(|span| span.base());
    for (index, name, fact) in [(0, "GICD", facts.distributor()), (1, second_name, second)] {
        if at(index) != Some(fact.base()) {
            let found_at = at(index).map_or("nowhere".into(), |base| format!("at {base:#x}"));
            let problem =
                format!("the guest's tree has {name} {found_at}, the facts say {:#x}", fact.base());
            found.add(Rule::GicMismatch, node.path.clone(), problem, way_out);
        }
    }
    let frames = node.registers.get(1).map_or(0, |span| span.size());
    let needed = u64::from(subject.vcpus).saturating_mul(REDISTRIBUTOR_SIZE);
    if subject.gic == 3 && at(1) == Some(second.base()) && frames < needed {
        let problem = format!(
            "the guest's tree has {frames:#x} bytes of GICR, its {} virtual CPUs need {needed:#x}",
            subject.vcpus
        );
        found.add(Rule::GicMismatch, node.path.clone(), problem, way_out);
    }
}

fn gicv(subject: &CheckInput<'_>, found: &mut Findings) {
    let facts = subject.board.gic.v3.as_ref().and_then(|gic| gic.virtual_cpu_interface);
    let Some(gicv) = facts.filter(|_| subject.gic == 3) else { return };
    for (region, _) in subject.guest_regions() {
        if region.physical_span().is_some_and(|span| span.overlaps(gicv.pa())) {
            let problem = format!(
                "it maps the virtual CPU interface ({gicv}), but a GICv3 guest uses system registers"
            );
            found.add(
                Rule::GicvOnGicv3,
                format!("region {}", region.name),
                problem,
                "take the region out: only GICv2 guests need it",
            );
        }
    }
}

/// The text of the guest's boot arguments.
pub(super) fn arguments(subject: &CheckInput<'_>) -> String {
    let chosen =
        subject.tree.by_path("/chosen").map(|id| subject.tree.node(id).strings("bootargs"));
    chosen.and_then(|texts| texts.into_iter().next()).unwrap_or_default()
}

fn processors(subject: &CheckInput<'_>, found: &mut Findings) {
    let arguments = arguments(subject);
    let only_one = arguments.split(' ').any(|word| matches!(word, "maxcpus=1" | "nosmp"));
    let is_cpu = |node: &Node| {
        node.path.starts_with("/cpus/")
            && node.strings("device_type").first().is_some_and(|kind| kind == "cpu")
    };
    let cpus = || subject.tree.nodes().filter(|(_, node)| node.enabled && is_cpu(node));
    let way_out = "let guestplan write the node, or disable the others";
    let wanted = subject.vcpus as usize;
    let count = cpus().count();
    if count != wanted && !(only_one && wanted == 1) {
        let problem = format!("the guest's tree has {count}, the monitor gives it {wanted}");
        found.add(Rule::VcpuCount, "/cpus", problem, way_out);
    } else if subject.vcpus > 1 {
        for (_, node) in cpus() {
            startable(subject, node, found);
        }
    }
    let psci = subject.tree.nodes().find(|(_, node)| {
        node.enabled && node.compatible.iter().any(|compatible| compatible.starts_with("arm,psci"))
    });
    let method = psci.and_then(|(_, node)| node.strings("method").into_iter().next());
    if method.as_deref() != Some("smc") {
        let problem = match &method {
            Some(method) => format!(
                "its method is \"{method}\", which on seL4 is a system call and no firmware call"
            ),
            None => {
                "the guest's tree has no enabled node for it: no power-off, no second CPU".into()
            }
        };
        found.add(
            Rule::VcpuCount,
            "psci",
            problem,
            "psci { compatible = \"arm,psci-1.0\"; method = \"smc\"; };",
        );
    }
}

/// Whether PSCI starts the processor of this node: the monitor knows them by affinity, from 0.
fn startable(subject: &CheckInput<'_>, node: &Node, found: &mut Findings) {
    let affinity = number(&node.cells("reg"));
    if affinity >= u64::from(subject.vcpus) {
        let problem = format!(
            "its reg is {affinity:#x}, the monitor's virtual CPUs are 0 to {}",
            subject.vcpus.saturating_sub(1)
        );
        found.add(Rule::VcpuCount, node.path.clone(), problem, "number them from 0");
    }
    let method = node.strings("enable-method").into_iter().next().unwrap_or_default();
    if method != "psci" {
        let problem =
            format!("its enable-method is \"{method}\", and only PSCI starts a virtual CPU");
        found.add(Rule::VcpuCount, node.path.clone(), problem, "enable-method = \"psci\";");
    }
}

fn console(subject: &CheckInput<'_>, found: &mut Findings) {
    let tree = &subject.tree;
    let way_out = "pass the console's UART through, or let stdout-path name one that is";
    let mapped = |registers: &[Span]| {
        registers
            .first()
            .is_some_and(|own| subject.guest_regions().any(|(_, span)| span.encloses(own.ipa())))
    };
    match tree.stdout().map(|id| tree.node(id)) {
        Some(node) if !node.enabled => {
            found.add(
                Rule::StdoutUnmapped,
                node.path.clone(),
                "stdout-path names it, and it is disabled",
                way_out,
            );
        }
        Some(node) if !mapped(&node.registers) => {
            found.add(
                Rule::StdoutUnmapped,
                node.path.clone(),
                "stdout-path names it, and its registers are not mapped",
                way_out,
            );
        }
        Some(_) => {}
        None if arguments(subject).contains("console=") => {}
        None => {
            found.add(
                Rule::StdoutUnmapped,
                "/chosen",
                "no stdout-path that leads to a node, and no console= either: the guest is silent",
                way_out,
            );
        }
    }
    if subject.debug_kernel && subject.host == Host::Microkit {
        let problem = "a debug kernel prints there too: its lines stand between the guest's";
        found.add(
            Rule::DebugConsole,
            "console",
            problem,
            "take the release configuration for what people see",
        );
    }
}

/// Most bytes of boot arguments: COMMAND_LINE_SIZE of arm64 less the zero at the end (Linux
/// arch/arm64/include/uapi/asm/setup.h). What is behind is cut off without a word.
const MAX_ARGUMENTS: usize = 2047;

/// Names that Linux gives to UARTs, without their number, by `compatible`.
const CONSOLES: [(&str, &str); 14] = [
    ("arm,pl011", "ttyAMA"),
    ("arm,sbsa-uart", "ttyAMA"),
    ("fsl,imx6q-uart", "ttymxc"),
    ("fsl,imx21-uart", "ttymxc"),
    ("fsl,imx7ulp-lpuart", "ttyLP"),
    ("fsl,ls1021a-lpuart", "ttyLP"),
    ("ns16550a", "ttyS"),
    ("snps,dw-apb-uart", "ttyS"),
    ("ti,am654-uart", "ttyS"),
    ("brcm,bcm2835-aux-uart", "ttyS"),
    ("cdns,uart-r1p12", "ttyPS"),
    ("amlogic,meson-gx-uart", "ttyAML"),
    ("qcom,msm-uartdm", "ttyMSM"),
    ("renesas,scif", "ttySC"),
];

/// What Linux calls the guest's UARTs, with their nodes: `serialN` among the aliases is number N.
fn uarts<'s>(subject: &'s CheckInput<'_>) -> Vec<(String, &'s Node)> {
    let tree = &subject.tree;
    let mapped = |node: &Node| {
        let mut regions = subject.guest_regions();
        node.registers.first().is_some_and(|own| regions.any(|(_, span)| span.encloses(own.ipa())))
    };
    let number = |node: &Node| {
        let aliases = tree.node(tree.by_path("/aliases")?);
        let mut named = aliases.properties.keys().filter_map(|name| {
            let number = name.strip_prefix("serial")?.parse::<u32>().ok()?;
            (aliases.strings(name).first() == Some(&node.path)).then_some(number)
        });
        named.next()
    };
    let known = |node: &Node| CONSOLES.iter().find(|(name, _)| node.is(name)).map(|(_, tty)| *tty);
    let nodes = subject.enabled().map(|(_, node)| node).filter(|node| mapped(node));
    nodes
        .filter_map(|node| Some((format!("{}{}", known(node)?, number(node).unwrap_or(0)), node)))
        .collect()
}

/// Names behind `console=` in boot arguments.
fn consoles(arguments: &str) -> Vec<&str> {
    let asked = arguments.split_whitespace().filter_map(|word| word.strip_prefix("console="));
    asked.filter_map(|console| console.split(',').next()).collect()
}

/// The console that the guest has and the one that its boot arguments ask for, in words.
pub(crate) fn console_words(plan: &Plan) -> String {
    let subject = CheckInput::from_plan(plan);
    let (has, stdout) = (uarts(&subject), subject.tree.stdout().map(|id| subject.tree.node(id)));
    let is_stdout = |(_, node): &&(String, &Node)| stdout.is_some_and(|own| own.path == node.path);
    let console = match (has.iter().find(is_stdout).or_else(|| has.first()), stdout) {
        (Some((name, node)), _) => format!("the guest's console is {name} ({})", node.path),
        (None, Some(node)) => format!("the guest's console is {}", node.path),
        (None, None) => "the guest has no console".into(),
    };
    let arguments = arguments(&subject);
    let asked: Vec<_> = consoles(&arguments).iter().map(|name| format!("console={name}")).collect();
    match asked.is_empty() {
        true => format!("{console}, and its boot arguments name none"),
        false => format!("{console}, and its boot arguments ask for {}", asked.join(" ")),
    }
}

fn command_line(subject: &CheckInput<'_>, found: &mut Findings) {
    let arguments = arguments(subject);
    if arguments.len() > MAX_ARGUMENTS {
        let kept = arguments.get(..MAX_ARGUMENTS).unwrap_or_default();
        let lost = arguments.get(MAX_ARGUMENTS..).unwrap_or_default();
        let problem = format!(
            "the boot arguments have {} bytes, and Linux keeps {MAX_ARGUMENTS}: from '...{}' on it loses '{}'",
            arguments.len(),
            kept.get(kept.len().saturating_sub(20)..).unwrap_or_default(),
            lost.get(..lost.len().min(40)).unwrap_or(lost)
        );
        found.add(Rule::ArgumentsCut, "/chosen", problem, "make them shorter (--append)");
    }
    let (asked, has) = (consoles(&arguments), uarts(subject));
    let (Some(first), Some((name, node))) = (asked.first(), has.first()) else { return };
    if !asked.iter().any(|console| has.iter().any(|(name, _)| name == console)) {
        let problem = format!(
            "the boot arguments ask for console={first}, which the guest does not have; its UART {} is {name}",
            node.path
        );
        let way_out =
            format!("console={name}, or no console= at all: the tree's stdout-path says it");
        found.add(Rule::ConsoleMismatch, "/chosen", problem, way_out);
    }
}
