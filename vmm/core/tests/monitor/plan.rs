// SPDX-License-Identifier: BSD-2-Clause
//! The plan block: what is written is read back, what is wrong is refused by name.

use proptest::prelude::*;
use vmm_core::ids::VcpuCount;
use vmm_core::plan::{
    DeviceFacts, DeviceKind, FLAG_TRACE, Facts, GuestNode, Header, InterruptFacts, MemoryKind,
    NO_PA, Node, NodeState, PlanBlock, PlanError, RegionFacts, RegionOwner, RuleAction, RuleFacts,
    Text, Window, checksum,
};

use std::mem::offset_of;

use crate::common::Spec;
use crate::common::spec::aligned;

const FIXED: usize = size_of::<Header>() + size_of::<Facts>();

fn node(ipa: u64, path: &str) -> Node {
    Node {
        window: Window { ipa, size: 0x1000 },
        state: NodeState::Enabled,
        guest: GuestNode::Absent,
        guest_path: Text::new(""),
        path: Text::new(path),
        compatible: Text::new("vendor,device"),
        option: Text::new("DEVICE"),
    }
}

/// What reading these bytes says.
fn refused(bytes: &[u8]) -> PlanError {
    PlanBlock::read(aligned(bytes)).unwrap_err()
}

/// The refusal of a block with changed facts.
fn wrong(change: impl FnOnce(&mut Facts)) -> String {
    let mut spec = Spec::new(3, 1);
    change(&mut spec.facts);
    refused(&spec.block()).to_string()
}

/// The refusal of a block with another number at an offset in its facts, or behind them.
fn patched(at: usize, value: u32) -> String {
    let mut spec = Spec::new(3, 1);
    spec.nodes = vec![node(0x1000, "/a")];
    let mut block = spec.block();
    let at = size_of::<Header>() + at;
    block[at..at + 4].copy_from_slice(&value.to_le_bytes());
    refused(&sealed(block)).to_string()
}

/// A block with its checksum made right again.
fn sealed(mut block: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&block[size_of::<Header>()..]);
    block[16..24].copy_from_slice(&sum.to_le_bytes());
    block
}

#[test]
fn a_block_comes_back_as_it_was_written() {
    let mut spec = Spec::new(3, 4);
    spec.rule(0xc200_0006, RuleAction::Answer, 77);
    spec.facts.flags = FLAG_TRACE;
    spec.facts.regions[0] = RegionFacts {
        window: Window { ipa: 0x4000_0000, size: 0x1000 },
        pa: NO_PA,
        owner: RegionOwner::MonitorOnceStopped,
        kind: MemoryKind::Device,
        name: Text::new("ram"),
    };
    spec.facts.region_count = 1;
    spec.nodes = vec![node(0x1000, "/a"), node(0x5000, "/b")];
    let plan = spec.plan();
    let facts = plan.facts();
    assert_eq!(
        (facts.vcpus, facts.gic, facts.ram),
        (VcpuCount::Four, spec.facts.gic, spec.facts.ram)
    );
    assert_eq!((facts.kernel, facts.initrd), (spec.facts.kernel, spec.facts.initrd));
    assert_eq!(plan.device(DeviceKind::Marker), Some(spec.facts.devices[0].window));
    assert_eq!(facts.board.as_str(), "test_board");
    assert_eq!(plan.nodes(), spec.nodes);
    let intids = plan.interrupts().map(|interrupt| interrupt.intid.number());
    assert_eq!(intids.collect::<Vec<_>>(), [33, 40, 47, 50]);
    assert_eq!(plan.rules().map(|rule| rule.value).collect::<Vec<_>>(), [77]);
    assert_eq!(plan.regions().next(), Some(&spec.facts.regions[0]));
    assert!(plan.traces());
    assert!(!Spec::new(2, 1).plan().traces());
}

#[test]
fn padding_behind_a_block_is_fine() {
    let mut bytes = Spec::new(2, 1).block();
    bytes.resize(0x2000, 0xff);
    assert!(PlanBlock::read(aligned(&bytes)).is_ok());
}

#[test]
fn only_what_counts_is_listed() {
    let mut spec = Spec::new(2, 1);
    spec.facts.interrupt_count = 1;
    spec.nodes = vec![node(0x1000, "/a")];
    let block = spec.block();
    let at = size_of::<Header>() + offset_of!(Facts, node_count);
    let mut fewer = block.clone();
    fewer[at..at + 4].copy_from_slice(&0_u32.to_le_bytes());
    let plan = PlanBlock::read(aligned(&sealed(fewer))).unwrap();
    assert_eq!((plan.interrupts().count(), plan.nodes().len()), (1, 0));
    let mut more = block;
    more[at..at + 4].copy_from_slice(&2_u32.to_le_bytes());
    assert_eq!(
        refused(&sealed(more)).to_string(),
        "plan block: node_count is 0x2, outside the nodes that follow"
    );
}

#[test]
fn nothing_at_all_is_short() {
    assert_eq!(PlanBlock::read(&[]).unwrap_err(), PlanError::Short { have: 0, need: FIXED });
    assert_eq!(
        refused(&[0; 23]).to_string(),
        format!("the plan block is cut short: 23 bytes of {FIXED}")
    );
}

#[test]
fn a_block_that_lost_its_end_is_short() {
    let block = Spec::new(2, 1).block();
    let have = block.len() - 1;
    assert_eq!(refused(&block[..have]), PlanError::Short { have, need: block.len() });
}

#[test]
fn a_block_between_words_is_refused() {
    let mut bytes = vec![0];
    bytes.extend(Spec::new(2, 1).block());
    let error = PlanBlock::read(&aligned(&bytes)[1..]).unwrap_err();
    assert_eq!(error, PlanError::Alignment);
    assert_eq!(error.to_string(), "the plan block does not lie on a multiple of 8 bytes");
}

#[test]
fn another_file_is_no_plan() {
    let error = refused(&[0x7f; 4096]);
    assert_eq!(error, PlanError::Magic);
    assert_eq!(
        error.to_string(),
        "this is not a plan block: no magic word; was the image built with guestplan?"
    );
}

#[test]
fn another_version_is_refused_by_name() {
    let mut block = Spec::new(2, 1).block();
    block[8..12].copy_from_slice(&7_u32.to_le_bytes());
    let error = refused(&block);
    assert_eq!(error, PlanError::Version { found: 7 });
    assert_eq!(
        error.to_string(),
        "the plan block has layout 7, this monitor reads 6: build both from one revision"
    );
}

#[test]
fn a_damaged_block_is_refused() {
    let mut block = Spec::new(2, 1).block();
    let (found, last) = (u64::from_le_bytes(block[16..24].try_into().unwrap()), block.len() - 1);
    block[last] ^= 1;
    let should = checksum(&block[size_of::<Header>()..]);
    let error = refused(&block);
    assert_eq!(error, PlanError::Checksum { found, should });
    let text = format!("the plan block is damaged: checksum {found:#x}, should be {should:#x}");
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_length_that_holds_no_facts_is_refused() {
    for length in [0_u32, 23, 24, FIXED as u32 - 1] {
        let mut block = Spec::new(2, 1).block();
        block[12..16].copy_from_slice(&length.to_le_bytes());
        let text = format!(
            "plan block: length is {length:#x}, outside the fixed part and a whole number of nodes"
        );
        assert_eq!(refused(&block).to_string(), text);
    }
}

#[test]
fn half_a_node_is_refused() {
    let mut spec = Spec::new(2, 1);
    spec.nodes = vec![node(0x1000, "/a")];
    let mut block = spec.block();
    let length = FIXED + size_of::<Node>() / 2;
    block.truncate(length);
    block[12..16].copy_from_slice(&(length as u32).to_le_bytes());
    let error = refused(&sealed(block));
    assert!(matches!(error, PlanError::Field { field: "length", .. }), "{error}");
}

#[test]
fn counts() {
    let text = "plan block: interrupt_count is 0x3d, outside 0 to 60";
    assert_eq!(wrong(|f| f.interrupt_count = 61), text);
    assert_eq!(wrong(|f| f.device_count = 5), "plan block: device_count is 0x5, outside 0 to 4");
    assert_eq!(wrong(|f| f.rule_count = 17), "plan block: rule_count is 0x11, outside 0 to 16");
    assert_eq!(wrong(|f| f.region_count = 33), "plan block: region_count is 0x21, outside 0 to 32");
}

#[test]
fn intids() {
    for count in [0_u32, 32, 63, 65, 1000, 1024, u32::MAX] {
        let range = "multiples of 32 from 64 to 992";
        let text = format!("plan block: gic.intid_count is {count:#x}, outside {range}");
        assert_eq!(wrong(|f| f.gic.intid_count = count), text);
    }
}

/// Every enumeration, wherever it is: the numbers beside those that have a meaning are refused by
/// name, in entries that do not count as well.
#[test]
fn numbers_without_a_meaning() {
    const LAST: usize = usize::MAX;
    let entry = |table: usize, size: usize, count: usize, n: usize, field: usize| {
        table + n.min(count - 1) * size + field
    };
    let device = |n| {
        entry(
            offset_of!(Facts, devices),
            size_of::<DeviceFacts>(),
            4,
            n,
            offset_of!(DeviceFacts, kind),
        )
    };
    let interrupt = |n| {
        let field = offset_of!(InterruptFacts, trigger);
        entry(offset_of!(Facts, interrupts), size_of::<InterruptFacts>(), 60, n, field)
    };
    let rule = |n| {
        entry(
            offset_of!(Facts, rules),
            size_of::<RuleFacts>(),
            16,
            n,
            offset_of!(RuleFacts, action),
        )
    };
    let region =
        |n, field| entry(offset_of!(Facts, regions), size_of::<RegionFacts>(), 32, n, field);
    let (owner, kind) = (offset_of!(RegionFacts, owner), offset_of!(RegionFacts, kind));
    for (at, field, bad, range) in [
        (offset_of!(Facts, vcpus), "vcpus", [0, 5], "1 to 4"),
        (offset_of!(Facts, gic.version), "gic.version", [1, 4], "2 or 3"),
        (offset_of!(Facts, console.kind), "console.kind", [0, 3], "1 (PL011) or 2 (i.MX)"),
        (offset_of!(Facts, idle_timer.kind), "idle_timer.kind", [3, 4], "0, 1 or 2"),
        (offset_of!(Facts, seed), "seed", [2, 3], "0 or 1"),
        (device(0), "device.kind", [0, 3], "1 (marker) or 2 (rtc)"),
        (device(LAST), "device.kind", [0, 3], "1 (marker) or 2 (rtc)"),
        (interrupt(3), "interrupt.trigger", [2, 3], "0 (level) or 1 (edge)"),
        (interrupt(LAST), "interrupt.trigger", [2, 3], "0 (level) or 1 (edge)"),
        (rule(0), "rule.action", [0, 3], "1 or 2"),
        (rule(LAST), "rule.action", [0, 3], "1 or 2"),
        (region(0, owner), "region.owner", [3, 4], "0, 1 or 2"),
        (region(LAST, kind), "region.kind", [2, 3], "0 or 1"),
        (size_of::<Facts>() + offset_of!(Node, state), "node.state", [3, 4], "0, 1 or 2"),
        (size_of::<Facts>() + offset_of!(Node, guest), "node.guest", [3, 4], "0, 1 or 2"),
    ] {
        for value in [bad[0], bad[1], u32::MAX] {
            let text = format!("plan block: {field} is {value:#x}, outside {range}");
            assert_eq!(patched(at, value), text);
        }
    }
}

#[test]
fn windows_that_wrap() {
    let wrap = Window { ipa: u64::MAX - 0xfff, size: 0x1000 };
    type Change = fn(&mut Facts, Window);
    let changes: [(&str, Change); 8] = [
        ("ram", |f, w| f.ram = w),
        ("kernel", |f, w| f.kernel = w),
        ("device_tree", |f, w| f.device_tree = w),
        ("initrd", |f, w| f.initrd = w),
        ("gic.distributor", |f, w| f.gic.distributor = w),
        ("gic.redistributors", |f, w| f.gic.redistributors = w),
        ("console.window", |f, w| f.console.window = w),
        ("device.window", |f, w| f.devices[0].window = w),
    ];
    for (name, change) in changes {
        let text =
            format!("plan block: {name} is 0x1000, outside what is left of the address space");
        assert_eq!(wrong(|f| change(f, wrap)), text);
    }
}

#[test]
fn device_interrupts() {
    for intid in [0, 31, 64, 1020, u32::MAX] {
        let text =
            format!("plan block: interrupt.intid is {intid:#x}, outside 32 to gic.intid_count - 1");
        assert_eq!(wrong(|f| f.interrupts[1].intid = intid), text);
    }
}

#[test]
fn a_region_that_wraps() {
    let text =
        "plan block: region.size is 0xfffffffffffffffe, outside what is left of the address space";
    let refused = wrong(|f| {
        f.region_count = 1;
        f.regions[0].window = Window { ipa: 2, size: u64::MAX - 1 };
    });
    assert_eq!(refused, text);
}

#[test]
fn texts_are_cut_and_cleaned() {
    assert_eq!(Text::<8>::new("virt").as_str(), "virt");
    assert_eq!(Text::<4>::new("aarch64").as_str(), "aarc");
    assert_eq!(Text::<16>::new("a\"b\\c\nd\u{e9}").as_str(), "a?b?c?d??");
    assert_eq!(Text([0xff, 0, 0, 0]).as_str(), "");
    assert_eq!(format!("{:?}", Text::<8>::new("virt")), "\"virt\"");
}

#[test]
fn a_window_that_wraps_is_empty() {
    assert!(Window { ipa: u64::MAX, size: 2 }.range().is_empty());
    assert_eq!(Window { ipa: 0x1000, size: 0x10 }.range().to_string(), "0x1000..0x1010");
}

#[test]
fn the_checksum_is_fnv_1a() {
    assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(checksum(b"foobar"), 0x8594_4171_f739_67e8);
}

/// The layout is part of the hand-over: a change without a new version is refused here.
#[test]
fn the_layout_of_version_6() {
    assert_eq!(vmm_core::plan::VERSION, 6);
    assert_eq!((size_of::<Header>(), size_of::<Facts>(), size_of::<Node>()), (24, 3312, 248));
    assert_eq!(offset_of!(Facts, ram), 296);
    assert_eq!(offset_of!(Facts, gic), 368);
}

/// Uses everything that a plan has, so that nothing hides behind a lazy reader.
fn read_all(plan: &PlanBlock<'_>) {
    let tables = [plan.interrupts().count(), plan.rules().count(), plan.regions().count()];
    let _ = (tables, plan.devices().count());
    for node in plan.nodes() {
        let _ = (
            node.window.range(),
            node.path.as_str(),
            node.compatible.as_str(),
            node.option.as_str(),
        );
    }
    let facts = plan.facts();
    let _ = (
        facts.ram.range(),
        plan.device(DeviceKind::Marker).map(Window::range),
        facts.gic.redistributors.range(),
        facts.board.as_str(),
    );
}

proptest! {
    #[test]
    fn a_flipped_byte_is_found(at: prop::sample::Index, bit in 0_u32..8) {
        let mut block = Spec::new(3, 2).block();
        let at = at.index(block.len());
        block[at] ^= 1 << bit;
        prop_assert!(PlanBlock::read(aligned(&block)).is_err(), "byte {}", at);
    }

    #[test]
    fn a_block_changed_on_purpose_is_refused_or_safe(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut: Option<prop::sample::Index>,
    ) {
        let mut spec = Spec::new(3, 2);
        spec.nodes = vec![node(0x1000, "/a"), node(u64::MAX, "/b")];
        let mut block = spec.block();
        for (at, byte) in changes {
            let at = at.index(block.len());
            block[at] = byte;
        }
        let mut block = sealed(block);
        if let Some(cut) = cut {
            block.truncate(cut.index(block.len()));
        }
        if let Ok(plan) = PlanBlock::read(aligned(&block)) {
            read_all(&plan);
            if let Ok(mut vm) = vmm_core::vm::Vm::new(plan, 4) {
                let mut fake = spec.fake();
                let _ = vm.start(&mut fake);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(PlanBlock::read(aligned(&bytes)).is_err());
    }

    #[test]
    fn any_facts_are_refused_or_safe(
        vcpus in 0_u32..7,
        version in 1_u32..5,
        intids: u32,
        windows: [(u64, u64); 3],
    ) {
        let mut spec = Spec::new(3, 1);
        let facts = &mut spec.facts;
        facts.gic.intid_count = intids;
        let [ram, gicd, gicr] = windows.map(|(ipa, size)| Window { ipa, size });
        (facts.ram, facts.gic.distributor, facts.gic.redistributors) = (ram, gicd, gicr);
        let mut block = spec.block();
        for (at, value) in [(offset_of!(Facts, vcpus), vcpus), (offset_of!(Facts, gic.version), version)] {
            let at = size_of::<Header>() + at;
            block[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        if let Ok(plan) = PlanBlock::read(aligned(&sealed(block))) {
            read_all(&plan);
            let _ = vmm_core::vm::Vm::new(plan, 4);
        }
    }
}
