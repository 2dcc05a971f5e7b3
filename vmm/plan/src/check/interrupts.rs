// SPDX-License-Identifier: BSD-2-Clause
//! Findings about interrupts: the guest's tree against the lines passed through.

use super::{Findings, Subject};
use crate::board::{FIRST_SPECIAL, Trigger};
use crate::dt::{Node, is_gic};
use crate::wish::Host;

const fn name(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Level => "level",
        Trigger::Edge => "edge",
    }
}

pub(super) fn check(subject: &Subject<'_>, found: &mut Findings) {
    range(subject, found);
    lines(subject, found);
    missing(subject, found);
}

/// Lines that the kernel, or the architecture, does not have.
fn range(subject: &Subject<'_>, found: &mut Findings) {
    let limit = match subject.host {
        Host::Microkit => subject.board.gic.intids,
        Host::Baremetal => FIRST_SPECIAL,
    };
    for line in subject.lines.iter().filter(|line| line.intid >= limit) {
        let raises = |node: &Node| {
            let mut gic = node.interrupts.iter().filter_map(|interrupt| interrupt.gic);
            gic.any(|(intid, _)| intid == line.intid)
        };
        let node = subject.tree.nodes().find(|(_, node)| raises(node));
        let whose = node.map_or("a node".into(), |(_, node)| node.path.clone());
        let kernel = match subject.host {
            Host::Microkit => "the kernel of this board knows (board.toml, [gic] intids)",
            Host::Baremetal => "a GIC has for lines (Arm IHI 0048B, 2.2.1)",
        };
        let what = format!("{whose} raises it, and INTIDs below {limit} are all that {kernel}");
        let way_out = "keep the device from the guest, or build a kernel that knows more (seL4: MAX_IRQ) and say so in board.toml";
        found.add("irq-out-of-range", format!("INTID {}", line.intid), what, way_out);
    }
}

fn lines(subject: &Subject<'_>, found: &mut Findings) {
    let raised = |intid: u32, enabled: bool| -> Option<(&Node, Trigger)> {
        subject.tree.nodes().filter(|(_, node)| node.enabled == enabled).find_map(|(_, node)| {
            let gic = node.interrupts.iter().filter_map(|interrupt| interrupt.gic);
            gic.filter(|(own, _)| *own == intid).map(|(_, trigger)| (node, trigger)).next()
        })
    };
    let idle = subject.board.idle.as_ref().map(|idle| idle.interrupt);
    for line in subject.lines.iter().filter(|line| Some(line.intid) != idle) {
        let intid = line.intid;
        let about = format!("INTID {intid}");
        if let Some((node, trigger)) = raised(intid, true) {
            if trigger != line.trigger {
                let what = format!(
                    "{} says {}, the line is {}",
                    node.path,
                    name(trigger),
                    name(line.trigger)
                );
                found.add("irq-trigger", about, what, format!("trigger=\"{}\"", name(trigger)));
            }
            continue;
        }
        let shifted = intid.checked_add(32).and_then(|intid| raised(intid, true));
        if let Some((node, _)) = shifted {
            let right = intid.saturating_add(32);
            let what = format!("{} has SPI {intid}, which is INTID {right}", node.path);
            found.add("irq-offset", about, what, format!("irq=\"{right}\": SPIs start at 32"));
        } else if let Some((node, _)) = raised(intid, false) {
            let what = format!(
                "it is {}'s, which is disabled: nobody will ever acknowledge it",
                node.path
            );
            found.add("irq-of-disabled-node", about, what, "take the line out, or enable the node");
        } else {
            let what = "no node of the guest's tree raises it";
            found.add(
                "irq-of-disabled-node",
                about,
                what,
                "take the line out, or give its node to the guest",
            );
        }
    }
}

fn missing(subject: &Subject<'_>, found: &mut Findings) {
    let mapped = |node: &Node| {
        let first = node.registers.first();
        first.is_some_and(|first| subject.guest_regions().any(|(_, span)| span.overlaps(*first)))
    };
    for (_, node) in subject.enabled().filter(|(_, node)| !is_gic(node) && mapped(node)) {
        for interrupt in &node.interrupts {
            let Some((intid, trigger)) = interrupt.gic.filter(|(intid, _)| *intid >= 32) else {
                continue;
            };
            let near = |line: u32| line == intid || line.checked_add(32) == Some(intid);
            if !subject.lines.iter().any(|line| near(line.intid)) {
                let what = format!("it raises INTID {intid}, which the guest does not get");
                let way_out =
                    format!("<irq irq=\"{intid}\" id=\"...\" trigger=\"{}\" />", name(trigger));
                found.add("irq-missing", node.path.clone(), what, way_out);
            }
        }
    }
}
