// SPDX-License-Identifier: BSD-2-Clause
//! For random trees and wishes: a plan that passes `check` has no overlap, seen by other eyes than
//! the checker's (issue 5, line 4).

mod common;

use common::{Build, board, kernel};
use dtoolkit::model::{DeviceTree, DeviceTreeNode};
use proptest::prelude::*;
use vmm_core::addr::Ipa;
use vmm_plan::check::CheckInput;
use vmm_plan::dt::{self, Tree};
use vmm_plan::finding::Severity;
use vmm_plan::memory::{Owner, Region};
use vmm_plan::span::Address;
use vmm_plan::wish::{Need, Pass};
use vmm_plan::{Host, Images, Plan, Span, Wish};

/// A device of a random tree.
#[derive(Clone, Debug)]
struct Device {
    base: u32,
    size: u32,
    spi: u32,
    edge: bool,
    disabled: bool,
    needs_clock: bool,
    master: bool,
    wished: bool,
}

/// Places around everything that matters on the board, many of them in one page or the same.
fn address() -> impl Strategy<Value = u32> {
    let near = prop::sample::select(vec![
        0x800_0000_u32,
        0x801_0000,
        0x804_0000,
        0x80a_0000,
        0x900_0000,
        0xb00_0000,
        0xa00_0000,
        0x3fff_f000,
        0x4000_0000,
        0x5fff_f000,
    ]);
    (near, 0_u32..8).prop_map(|(base, step)| base.wrapping_add(step * 0x800))
}

prop_compose! {
    fn device()(
        base in address(),
        size in prop::sample::select(vec![0x40_u32, 0x800, 0x1000, 0x1_0000]),
        spi in 0_u32..48,
        edge: bool,
        disabled in prop::bool::weighted(0.2),
        needs_clock in prop::bool::weighted(0.3),
        master in prop::bool::weighted(0.1),
        wished in prop::bool::weighted(0.4),
    ) -> Device {
        Device { base, size, spi, edge, disabled, needs_clock, master, wished }
    }
}

fn tree(devices: &[Device]) -> DeviceTree {
    let mut soc = Build::new("soc")
        .with("compatible", "simple-bus")
        .with("#address-cells", 1_u32)
        .with("#size-cells", 1_u32)
        .flag("ranges");
    for (index, device) in devices.iter().enumerate() {
        let name =
            format!("{}{index}@{:x}", if device.master { "usb" } else { "dev" }, device.base);
        let trigger = if device.edge { 1 } else { 4 };
        let mut node = Build::device(&name, "arm,pl061", device.base, device.size)
            .with("interrupts", [0, device.spi, trigger]);
        if device.disabled {
            node = node.with("status", "disabled");
        }
        if device.needs_clock {
            node = node.with("clocks", [2_u32, 1]);
        }
        if device.master {
            node = node.flag("dma-coherent");
        }
        soc = soc.child(node);
    }
    let gic = Build::new("gic@8000000")
        .with("compatible", "arm,cortex-a15-gic")
        .with("reg", [0_u32, 0x800_0000, 0, 0x1_0000, 0, 0x801_0000, 0, 0x1000])
        .with("#interrupt-cells", 3_u32)
        .flag("interrupt-controller")
        .with("phandle", 1_u32);
    let clock = Build::device("clock@1000", "test,clock", 0x1000, 0x1000)
        .with("#clock-cells", 1_u32)
        .with("phandle", 2_u32);
    let console = Build::new("pl011@9000000")
        .with("compatible", &["arm,pl011", "arm,primecell"][..])
        .with("reg", [0_u32, 0x900_0000, 0, 0x1000])
        .with("interrupts", [0_u32, 1, 4]);
    Build(DeviceTreeNode::default())
        .with("compatible", "linux,dummy-virt")
        .with("#address-cells", 2_u32)
        .with("#size-cells", 2_u32)
        .with("interrupt-parent", 1_u32)
        .child(gic)
        .child(console)
        .child(soc.child(clock))
        .tree()
}

prop_compose! {
    fn wish()(
        host in prop::sample::select(vec![(Host::Microkit, 2), (Host::Baremetal, 2), (Host::Baremetal, 3)]),
        ram in 1_u64..1100,
        identity in prop::bool::weighted(0.3),
        vcpus in 1_u32..5,
        drop in prop::bool::ANY,
        image in 0x1000_u64..0x400_0000,
        initrd in 0_usize..0x2000,
    ) -> (Wish, bool, Images) {
        let (host, gic) = host;
        let wish = Wish { host, gic: Some(gic), ram_mib: Some(ram * 2), identity, vcpus, ..Wish::default() };
        (wish, drop, Images { kernel: kernel(image), initrd: Some(common::archive(initrd)), dtb: None })
    }
}

/// Pairs of spans that overlap.
fn overlaps<A: Address>(spans: &[Span<A>]) -> usize {
    let pairs =
        spans.iter().enumerate().flat_map(|(i, a)| spans[i + 1..].iter().map(move |b| (a, b)));
    pairs
        .filter(|(a, b)| {
            let (first, second) = (a.base().number(), b.base().number());
            first < second + b.size() && second < first + a.size() && a.size() > 0 && b.size() > 0
        })
        .count()
}

fn holds(plan: &Plan) -> Result<(), TestCaseError> {
    // What the guest sees: regions, and what the monitor emulates.
    let at = |base, size| Span::new(Ipa(base), size).unwrap();
    let mut guest: Vec<_> = plan.regions.iter().filter_map(Region::guest_span).collect();
    guest.push(at(plan.board.marker.registers.base(), 0x1000));
    guest.push(at(0x800_0000, 0x1_0000));
    if plan.gic == 3 {
        guest.push(at(0x80a_0000, u64::from(plan.wish.vcpus) * 0x2_0000));
    }
    prop_assert_eq!(overlaps(&guest), 0, "guest {:?}", guest);
    // What the board has: each owner alone.
    let physical: Vec<_> = plan.regions.iter().filter_map(Region::physical_span).collect();
    prop_assert_eq!(overlaps(&physical), 0, "physical {:?}", physical);
    let layout = &plan.layout;
    prop_assert_eq!(overlaps(&[layout.kernel, layout.tree, layout.initrd]), 0);
    let owners =
        plan.regions.iter().filter(|region| region.owner == Owner::MonitorOnceStopped).count();
    prop_assert_eq!(owners, 1);
    let mut intids: Vec<_> = plan.lines.iter().map(|line| line.intid).collect();
    intids.sort_unstable();
    intids.dedup();
    prop_assert_eq!(intids.len(), plan.lines.len());
    prop_assert!(plan.lines.iter().all(|line| line.intid < plan.intids));
    // The guest's tree is well-formed and has no reference to nothing.
    let (_, guest) = dt::read("guest", &plan.dtb).unwrap();
    for (_, node) in guest.nodes() {
        for reference in &node.references {
            prop_assert!(reference.target.is_some(), "{} {}", node.path, reference.property);
        }
        for interrupt in &node.interrupts {
            prop_assert!(interrupt.gic.is_some(), "{}", node.path);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_that_passes_check_overlaps(
        devices in prop::collection::vec(device(), 0..6),
        (mut wish, drop, images) in wish(),
    ) {
        let board = board("qemu_virt_aarch64");
        let tree = Tree::new(&tree(&devices));
        for (_, node) in tree.nodes() {
            let device = devices.iter().enumerate().find(|(index, _)| {
                node.name.starts_with(&format!("dev{index}@")) || node.name.starts_with(&format!("usb{index}@"))
            });
            if device.is_some_and(|(_, device)| device.wished) {
                let drop = if drop { vec![Need::Clocks] } else { Vec::new() };
                wish.pass.push(Pass { node: node.path.clone(), drop, clocks: Vec::new() });
            }
        }
        if let Ok(plan) = Plan::with_tree(&board, &wish, images, Some(tree)) {
            let findings = CheckInput::from_plan(&plan).findings();
            if findings.iter().all(|finding| finding.severity == Severity::Note) {
                holds(&plan)?;
            }
        }
    }
}

#[test]
fn the_property_is_not_empty() {
    // A guest with devices passes, so the property above is about something.
    let devices = [Device {
        base: 0xa00_0000,
        size: 0x1000,
        spi: 9,
        edge: false,
        disabled: true,
        needs_clock: false,
        master: false,
        wished: true,
    }];
    let tree = Tree::new(&tree(&devices));
    let wish = Wish { pass: vec![Pass::parse("/soc/dev0@a000000").unwrap()], ..Wish::default() };
    let plan = Plan::with_tree(&board("qemu"), &wish, common::images(), Some(tree)).unwrap();
    assert_eq!(CheckInput::from_plan(&plan).findings(), []);
    assert_eq!(plan.lines.len(), 2);
    holds(&plan).unwrap();
}
