// SPDX-License-Identifier: BSD-2-Clause
//! Findings about interrupts: the guest's tree against the lines passed through.

use super::CheckInput;
use crate::dt::{Node, is_gic};
use crate::finding::{Findings, Rule};
use crate::irq::{FIRST_SPECIAL, FIRST_SPI, GicInterrupt, Trigger};
use crate::wish::Host;

pub(super) fn check(subject: &CheckInput<'_>, found: &mut Findings) {
    range(subject, found);
    lines(subject, found);
    missing(subject, found);
}

/// Lines that the kernel, or the architecture, does not have.
fn range(subject: &CheckInput<'_>, found: &mut Findings) {
    let limit = match subject.host {
        Host::Microkit => subject.board.gic.intids,
        Host::Baremetal => FIRST_SPECIAL,
    };
    for line in subject.lines.iter().filter(|line| line.intid >= limit) {
        let raises = |node: &Node| {
            let mut gic = node.interrupts.iter().filter_map(|interrupt| interrupt.gic);
            gic.any(|own| own.intid == line.intid)
        };
        let node = subject.tree.nodes().find(|(_, node)| raises(node));
        let whose = node.map_or("a node".into(), |(_, node)| node.path.clone());
        let kernel = match subject.host {
            Host::Microkit => "the kernel of this board knows (board.toml, [gic] intids)",
            Host::Baremetal => "a GIC has for lines (Arm IHI 0048B, 2.2.1)",
        };
        let problem = format!("{whose} raises it, and INTIDs below {limit} are all that {kernel}");
        let way_out = "keep the device from the guest, or build a kernel that knows more (seL4: MAX_IRQ) and say so in board.toml";
        found.add(Rule::IrqOutOfRange, format!("INTID {}", line.intid), problem, way_out);
    }
}

fn lines(subject: &CheckInput<'_>, found: &mut Findings) {
    let raised = |intid: u32, enabled: bool| -> Option<(&Node, Trigger)> {
        subject.tree.nodes().filter(|(_, node)| node.enabled == enabled).find_map(|(_, node)| {
            let gic = node.interrupts.iter().filter_map(|interrupt| interrupt.gic);
            gic.filter(|own| own.intid == intid).map(|own| (node, own.trigger)).next()
        })
    };
    let idle = subject.board.idle.as_ref().map(|idle| idle.interrupt);
    for line in subject.lines.iter().filter(|line| Some(line.intid) != idle) {
        let intid = line.intid;
        let about = format!("INTID {intid}");
        if let Some((node, trigger)) = raised(intid, true) {
            if trigger != line.trigger {
                let problem = format!(
                    "{} says {}, the line is {}",
                    node.path,
                    trigger.name(),
                    line.trigger.name()
                );
                found.add(
                    Rule::IrqTrigger,
                    about,
                    problem,
                    format!("trigger=\"{}\"", trigger.name()),
                );
            }
            continue;
        }
        let shifted = intid.checked_add(FIRST_SPI).and_then(|intid| raised(intid, true));
        if let Some((node, _)) = shifted {
            let right = intid.saturating_add(FIRST_SPI);
            let problem = format!("{} has SPI {intid}, which is INTID {right}", node.path);
            found.add(
                Rule::IrqOffset,
                about,
                problem,
                format!("irq=\"{right}\": SPIs start at 32"),
            );
        } else if let Some((node, _)) = raised(intid, false) {
            let problem = format!(
                "it is {}'s, which is disabled: nobody will ever acknowledge it",
                node.path
            );
            found.add(
                Rule::IrqOfDisabledNode,
                about,
                problem,
                "take the line out, or enable the node",
            );
        } else {
            let problem = "no node of the guest's tree raises it";
            found.add(
                Rule::IrqOfDisabledNode,
                about,
                problem,
                "take the line out, or give its node to the guest",
            );
        }
    }
}

fn missing(subject: &CheckInput<'_>, found: &mut Findings) {
    let mapped = |node: &Node| {
        let first = node.registers.first();
        first.is_some_and(|first| {
            subject.guest_regions().any(|(_, span)| span.overlaps(first.ipa()))
        })
    };
    for (_, node) in subject.enabled().filter(|(_, node)| !is_gic(node) && mapped(node)) {
        for interrupt in &node.interrupts {
            let shared = interrupt.gic.filter(|gic| gic.intid >= FIRST_SPI);
            let Some(GicInterrupt { intid, trigger }) = shared else { continue };
            let near = |line: u32| line == intid || line.checked_add(FIRST_SPI) == Some(intid);
            if !subject.lines.iter().any(|line| near(line.intid)) {
                let problem = format!("it raises INTID {intid}, which the guest does not get");
                let way_out =
                    format!("<irq irq=\"{intid}\" id=\"...\" trigger=\"{}\" />", trigger.name());
                found.add(Rule::IrqMissing, node.path.clone(), problem, way_out);
            }
        }
    }
}
