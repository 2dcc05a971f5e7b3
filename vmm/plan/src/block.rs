// SPDX-License-Identifier: BSD-2-Clause
//! The plan block, as `vmm_core::plan` lays it out.

use vmm_core::plan::{
    FLAG_ABORT, FLAG_SHARED, FLAG_TRACE, Facts, GicFacts, IDLE_CNTP, IDLE_IMX_GPT, IDLE_NONE,
    LineFacts, NO_PA, RULE_ANSWER, RULE_FORWARD, RegionFacts, RuleFacts, SEED_NONE, SEED_TREE,
    Text, Window,
};
use zerocopy::FromZeros;

use crate::board::{IdleKind, SeedKind, Uart};
use crate::error::PlanError;
use crate::firmware::CallAction;
use crate::irq::Trigger;
use crate::memory::{Kind, Owner, RegionName};
use crate::nodes;
use crate::plan::Plan;
use crate::span::{Size, Span, length};
use crate::tree::redistributors;
use crate::wish::{Host, Unowned};

const fn window(span: Span) -> Window {
    Window { ipa: span.base, size: span.size }
}

/// Copies `from` into the fixed table `to`; the count, or an error naming `what`.
fn fill<T>(to: &mut [T], from: Vec<T>, what: &'static str) -> Result<u32, PlanError> {
    let (room, count) = (to.len(), from.len());
    if count > room {
        return Err(PlanError::Wish {
            what,
            value: count.to_string(),
            range: format!("at most {room}"),
        });
    }
    for (to, from) in to.iter_mut().zip(from) {
        *to = from;
    }
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The bytes of the plan block.
pub(crate) fn write(plan: &Plan) -> Result<Vec<u8>, PlanError> {
    let board = &plan.board;
    let mut facts = Facts::new_zeroed();
    facts.board = Text::new(&board.name);
    facts.accepted = Text::new(&accepted(plan));
    facts.vcpus = plan.wish.vcpus;
    let aborts = plan.wish.unowned.unwrap_or(board.unowned) == Unowned::Abort;
    let flag = |is, flag| if is { flag } else { 0 };
    facts.flags = flag(plan.wish.trace, FLAG_TRACE)
        | flag(aborts, FLAG_ABORT)
        | flag(plan.shares_cores(), FLAG_SHARED);
    facts.ram = window(plan.layout.ram);
    facts.kernel = Window { ipa: plan.layout.kernel.base, size: plan.layout.kernel_file };
    facts.device_tree = Window { ipa: plan.layout.tree.base, size: length(&plan.dtb) };
    facts.device_tree_checksum = vmm_core::plan::checksum(&plan.dtb);
    facts.initrd = window(plan.layout.initrd);
    facts.gic = gic(plan);
    facts.console.kind = match board.console.kind {
        Uart::Pl011 => vmm_core::uart::Uart::Pl011.number(),
        Uart::Imx => vmm_core::uart::Uart::Imx.number(),
    };
    facts.console.window = window(board.console.registers);
    facts.marker = window(board.marker.registers);
    facts.idle_timer.channel = plan.idle_channel;
    facts.idle_timer.kind = match plan.idle().map(|idle| idle.kind) {
        Some(IdleKind::Cntp) => IDLE_CNTP,
        Some(IdleKind::ImxGpt) => IDLE_IMX_GPT,
        None if plan.wish.host == Host::Baremetal => IDLE_CNTP,
        None => IDLE_NONE,
    };
    facts.seed = match plan.seed().map(|seed| seed.kind) {
        Some(SeedKind::DeviceTree) => SEED_TREE,
        None => SEED_NONE,
    };
    facts.line_count = fill(&mut facts.lines, lines(plan), "the number of device interrupts")?;
    facts.rule_count = fill(&mut facts.rules, rules(plan), "the number of firmware-call rules")?;
    facts.region_count = fill(&mut facts.regions, regions(plan), "the number of regions")?;
    let nodes = nodes::table(plan);
    facts.node_count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::new();
    vmm_core::plan::write(&facts, &nodes, |piece| bytes.extend_from_slice(piece));
    let room = plan.region(&RegionName::Plan).map_or(0, |region| region.size);
    if length(&bytes) > room {
        return Err(PlanError::Wish {
            what: "the number of devices in the board's tree",
            value: nodes.len().to_string(),
            range: format!("so many that the plan block keeps below {}", Size(room)),
        });
    }
    Ok(bytes)
}

/// What was accepted, as far as the block has room, and how much more there is.
fn accepted(plan: &Plan) -> String {
    const ROOM: usize = 256 - 16;
    let mut text = String::new();
    for (index, one) in plan.accepted.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        if text.len().saturating_add(comma.len()).saturating_add(one.len()) > ROOM {
            let more = plan.accepted.len().saturating_sub(index);
            return format!("{text}{comma}{more} more");
        }
        text = format!("{text}{comma}{one}");
    }
    text
}

fn gic(plan: &Plan) -> GicFacts {
    let (v2, v3) = (&plan.board.gic.v2, &plan.board.gic.v3);
    let mut facts =
        GicFacts { version: plan.gic.into(), lines: plan.intids, ..GicFacts::default() };
    match (plan.gic, v2, v3) {
        (2, Some(gic), _) => facts.distributor = window(gic.distributor),
        (3, _, Some(gic)) => {
            facts.distributor = window(gic.distributor);
            facts.redistributors = window(redistributors(gic.redistributors, plan.wish.vcpus));
        }
        _ => {}
    }
    facts
}

fn lines(plan: &Plan) -> Vec<LineFacts> {
    let edge = |trigger| u32::from(trigger == Trigger::Edge);
    plan.lines
        .iter()
        .map(|line| LineFacts {
            intid: line.intid,
            edge: edge(line.trigger),
            channel: line.channel,
            reserved: 0,
        })
        .collect()
}

fn rules(plan: &Plan) -> Vec<RuleFacts> {
    plan.rules()
        .map(|rule| RuleFacts {
            function: rule.function,
            action: match rule.action {
                CallAction::Answer => RULE_ANSWER,
                CallAction::Forward => RULE_FORWARD,
            },
            value: rule.value,
        })
        .collect()
}

fn regions(plan: &Plan) -> Vec<RegionFacts> {
    plan.regions
        .iter()
        .map(|region| RegionFacts {
            window: Window { ipa: region.ipa.unwrap_or(0), size: region.size },
            pa: region.pa.unwrap_or(NO_PA),
            owner: match region.owner {
                Owner::Guest => 0,
                Owner::Monitor => 1,
                Owner::MonitorOnceStopped => 2,
            },
            device: u32::from(region.kind == Kind::Device),
            name: Text::new(region.name.symbol()),
        })
        .collect()
}
