// SPDX-License-Identifier: BSD-2-Clause
//! The plan block, as `vmm_core::plan` lays it out.

use vmm_core::ids::{self, GicVersion, VcpuCount};
use vmm_core::plan::{
    self as layout, DeviceFacts, DeviceKind, FLAG_ABORT, FLAG_SHARED, FLAG_TRACE, Facts,
    InterruptFacts, MemoryKind, NO_PA, RegionFacts, RegionOwner, RuleFacts, Text, Window,
};
use vmm_core::uart;

use crate::board::{IdleKind, SeedKind, Uart};
use crate::error::PlanError;
use crate::firmware::CallAction;
use crate::irq::Trigger;
use crate::memory::{Kind, Owner, RegionName, redistributors};
use crate::nodes;
use crate::plan::Plan;
use crate::span::{Address, Size, Span, length};
use crate::wish::{Host, Unowned};

fn window<A: Address>(span: Span<A>) -> Window {
    Window { ipa: span.base().number(), size: span.size() }
}

/// Copies `from` into the fixed table `to`; the count, or an error naming `what`.
fn fill<T>(to: &mut [T], from: Vec<T>, asked: &'static str) -> Result<u32, PlanError> {
    let (room, count) = (to.len(), from.len());
    if count > room {
        return Err(PlanError::Wish {
            asked,
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
    let version = GicVersion::new(plan.gic.into())
        .ok_or_else(|| unheard_of("the GIC's version", plan.gic.into(), "2 or 3"))?;
    let console = match board.console.kind {
        Uart::Pl011 => uart::Uart::Pl011,
        Uart::Imx => uart::Uart::Imx,
    };
    let mut facts = Facts::new(&board.name, version, console);
    facts.accepted = Text::new(&accepted(plan));
    facts.vcpus = VcpuCount::new(plan.wish.vcpus)
        .ok_or_else(|| unheard_of("the number of CPUs", plan.wish.vcpus, "1 to 4"))?;
    let aborts = plan.wish.unowned.unwrap_or(board.unowned) == Unowned::Abort;
    let flag = |is, flag| if is { flag } else { 0 };
    facts.flags = flag(plan.wish.trace, FLAG_TRACE)
        | flag(aborts, FLAG_ABORT)
        | flag(plan.shares_cores(), FLAG_SHARED);
    facts.ram = window(plan.layout.ram);
    facts.kernel = Window { ipa: plan.layout.kernel.base().0, size: plan.layout.kernel_file };
    facts.device_tree = Window { ipa: plan.layout.tree.base().0, size: length(&plan.dtb) };
    facts.device_tree_checksum = vmm_core::plan::checksum(&plan.dtb);
    facts.initrd = window(plan.layout.initrd);
    facts.gic.intid_count = plan.intids;
    gic(plan, &mut facts);
    facts.console.window = window(board.console.registers);
    facts.idle_timer.channel = plan.idle_channel;
    facts.idle_timer.kind = match plan.idle().map(|idle| idle.kind) {
        Some(IdleKind::Cntp) => layout::IdleKind::Cntp,
        Some(IdleKind::ImxGpt) => layout::IdleKind::ImxGpt,
        // Its own EL2 timer does for any board what CNTP does on seL4; the board's table is for seL4.
        None if plan.wish.host == Host::Baremetal => layout::IdleKind::Cntp,
        None => layout::IdleKind::None,
    };
    facts.seed = match plan.seed().map(|seed| seed.kind) {
        Some(SeedKind::DeviceTree) => layout::SeedKind::DeviceTree,
        None => layout::SeedKind::None,
    };
    facts.device_count = fill(&mut facts.devices, devices(plan), "the number of emulated devices")?;
    facts.interrupt_count =
        fill(&mut facts.interrupts, interrupts(plan), "the number of device interrupts")?;
    facts.rule_count = fill(&mut facts.rules, rules(plan), "the number of firmware-call rules")?;
    facts.region_count = fill(&mut facts.regions, regions(plan), "the number of regions")?;
    let nodes = nodes::table(plan);
    facts.node_count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::new();
    vmm_core::plan::write(&facts, &nodes, |piece| bytes.extend_from_slice(piece));
    let room = plan.region(RegionName::Plan).map_or(0, |region| region.size);
    if length(&bytes) > room {
        return Err(PlanError::Wish {
            asked: "the number of devices in the board's tree",
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

/// The error for what a board or a wish cannot say.
fn unheard_of(asked: &'static str, value: u32, range: &str) -> PlanError {
    PlanError::Wish { asked, value: value.to_string(), range: range.into() }
}

fn gic(plan: &Plan, facts: &mut Facts) {
    let (v2, v3) = (&plan.board.gic.v2, &plan.board.gic.v3);
    match (facts.gic.version, v2, v3) {
        (GicVersion::V2, Some(gic), _) => facts.gic.distributor = window(gic.distributor),
        (GicVersion::V3, _, Some(gic)) => {
            facts.gic.distributor = window(gic.distributor);
            let frames = redistributors(gic.redistributors, plan.wish.vcpus);
            facts.gic.redistributors = window(frames);
        }
        _ => {}
    }
}

/// What the monitor emulates besides the interrupt controller: a line for each.
fn devices(plan: &Plan) -> Vec<DeviceFacts> {
    let device = |kind, span| DeviceFacts { kind, reserved: 0, window: window(span) };
    let clock = plan.clock().map(|clock| device(DeviceKind::Rtc, clock.registers));
    [device(DeviceKind::Marker, plan.board.marker.registers)].into_iter().chain(clock).collect()
}

fn interrupts(plan: &Plan) -> Vec<InterruptFacts> {
    plan.lines
        .iter()
        .map(|line| InterruptFacts {
            intid: line.intid,
            trigger: match line.trigger {
                Trigger::Level => ids::Trigger::Level,
                Trigger::Edge => ids::Trigger::Edge,
            },
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
                CallAction::Answer => layout::RuleAction::Answer,
                CallAction::Forward => layout::RuleAction::Forward,
            },
            value: rule.value,
        })
        .collect()
}

fn regions(plan: &Plan) -> Vec<RegionFacts> {
    plan.regions
        .iter()
        .map(|region| RegionFacts {
            window: Window { ipa: region.ipa.map_or(0, |ipa| ipa.0), size: region.size },
            pa: region.pa.map_or(NO_PA, |pa| pa.0),
            owner: match region.owner {
                Owner::Guest => RegionOwner::Guest,
                Owner::Monitor => RegionOwner::Monitor,
                Owner::MonitorOnceStopped => RegionOwner::MonitorOnceStopped,
            },
            kind: match region.kind {
                Kind::Normal => MemoryKind::Normal,
                Kind::Device => MemoryKind::Device,
            },
            name: Text::new(region.name.symbol()),
        })
        .collect()
}
