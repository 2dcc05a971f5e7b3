// SPDX-License-Identifier: BSD-2-Clause
//! Every finding both ways: a clean guest has none, and planting the mistake brings exactly its id.

mod common;

use std::collections::BTreeSet;

use common::{Build, archive, board, board_tree, errors, images};
use dtoolkit::model::{DeviceTree, DeviceTreeProperty};
use vmm_core::addr::{Ipa, Pa};
use vmm_plan::board::Board;
use vmm_plan::check::{CheckInput, Initramfs};
use vmm_plan::dt::Tree;
use vmm_plan::finding::{Rule, Severity};
use vmm_plan::initramfs::Unpacked;
use vmm_plan::irq::{Line, Trigger};
use vmm_plan::memory::{Kind, Label, Owner, Region, RegionName};
use vmm_plan::wish::Pass;
use vmm_plan::{Host, Plan, Span, Wish};

/// A clean guest: console and a second UART passed through.
struct Clean {
    board: Board,
    plan: Plan,
}

impl Clean {
    fn new() -> Self {
        let board = board("qemu_virt_aarch64");
        let pass =
            |node: &str| Pass::parse(&format!("{node},clocks=24000000,drop=pins+power")).unwrap();
        let wish = Wish { pass: vec![pass("serial0"), pass("serial1")], ..Wish::default() };
        let tree = Tree::new(&board_tree());
        let plan = Plan::with_tree(&board, &wish, images(), Some(tree)).unwrap();
        Self { board, plan }
    }

    fn subject(&self) -> CheckInput<'_> {
        CheckInput { board: &self.board, ..CheckInput::from_plan(&self.plan) }
    }

    /// The guest's tree after `change`.
    fn tree(&self, change: impl FnOnce(&mut DeviceTree)) -> Tree {
        let mut tree = self.plan.tree.clone();
        change(&mut tree);
        Tree::new(&tree)
    }
}

fn ids(subject: &CheckInput<'_>) -> BTreeSet<&'static str> {
    subject.findings().iter().map(|finding| finding.rule.id()).collect()
}

/// The ids of a clean guest after `plant`.
fn planted(plant: impl FnOnce(&Clean, &mut CheckInput<'_>)) -> BTreeSet<&'static str> {
    let clean = Clean::new();
    let mut subject = clean.subject();
    plant(&clean, &mut subject);
    ids(&subject)
}

fn set(tree: &mut DeviceTree, path: &str, name: &str, value: impl dtoolkit::ToPropertyValue) {
    let node = tree.find_node_mut(path).unwrap();
    node.add_property(DeviceTreeProperty::new(name, value).unwrap());
}

fn device(name: &str, base: u64, size: u64, owner: Owner) -> Region {
    let ipa = Some(Ipa(base)).filter(|_| owner != Owner::Monitor);
    let (name, pa) = (Label::from_symbol(name), Some(Pa(base)));
    Region { name, ipa, pa, size, owner, kind: Kind::Device, vaddr: None, prefill: None }
}

fn region<'s>(subject: &'s mut CheckInput<'_>, name: RegionName) -> &'s mut Region {
    subject.regions.iter_mut().find(|region| region.name == name).unwrap()
}

const UART: &str = "/soc/serial@9040000";

#[test]
fn a_clean_guest_has_no_findings() {
    let clean = Clean::new();
    assert_eq!(clean.subject().findings(), []);
    assert_eq!(clean.plan.lines.len(), 2);
}

/// One planted mistake for each rule; the second column is all that it may bring.
#[test]
fn every_rule_is_found() {
    let mut seen = BTreeSet::new();
    let mut expect = |ids: BTreeSet<&'static str>, wanted: &[&'static str]| {
        assert_eq!(ids, wanted.iter().copied().collect(), "planted {wanted:?}");
        seen.extend(ids);
    };
    expect(
        planted(|clean, subject| {
            subject.tree = clean
                .tree(|tree| set(tree, "/memory@40000000", "reg", [0x4000_0000_u32, 0x400_0000]))
        }),
        &["memory-mismatch"],
    );
    expect(
        planted(|_, subject| {
            subject.regions.push(device("marker", 0xb00_0000, 0x1000, Owner::Guest))
        }),
        &["region-overlap", "region-without-node"],
    );
    expect(planted(|_, subject| subject.foreign_lines.push(33)), &["two-owners"]);
    expect(
        planted(|_, subject| {
            subject.regions.push(device("mine", 0x904_0000, 0x1000, Owner::Monitor))
        }),
        &["two-owners"],
    );
    expect(
        planted(|_, subject| region(subject, RegionName::Ram).pa = Some(Pa(0x5800_0000))),
        &["mixed-memory"],
    );
    expect(
        planted(|clean, subject| {
            region(subject, RegionName::Ram).size = 0x6000_0000;
            subject.tree = clean
                .tree(|tree| set(tree, "/memory@40000000", "reg", [0x4000_0000_u32, 0x6000_0000]));
        }),
        &["region-too-large"],
    );
    for (host, base) in [(Host::Microkit, 1 << 40), (Host::Baremetal, 1 << 32)] {
        let far = |base: u64| {
            planted(|_, subject| {
                subject.host = host;
                subject.regions.push(device("far", base, 0x1000, Owner::Guest));
            })
        };
        expect(far(base), &["region-out-of-range", "region-without-node"]);
        expect(far(base - 0x1000), &["region-without-node"]);
    }
    expect(
        planted(|_, subject| {
            subject.regions.retain(|region| !region.name.symbol().starts_with("serial"))
        }),
        &["node-unmapped"],
    );
    expect(
        planted(|_, subject| {
            subject.regions.push(device("spare", 0xc00_0000, 0x1000, Owner::Guest))
        }),
        &["region-without-node"],
    );
    expect(
        planted(|clean, subject| {
            // The Ethernet's page also holds the fuses.
            let node = Build::device("ethernet@a010000", "test,eth", 0xa01_0000, 0x800);
            subject.tree = clean.tree(|tree| tree.find_node_mut("/soc").unwrap().add_child(node.0));
            subject.regions.push(device("eth", 0xa01_0000, 0x1000, Owner::Guest));
            region(subject, RegionName::Ram).pa = Some(Pa(0x4000_0000));
            // It is there, too.
            subject.regions.retain(|region| region.name != RegionName::Seed);
        }),
        &["page-exposes-neighbour", "dma-no-smmu", "dma-unknown"],
    );
    expect(
        planted(|_, subject| {
            subject
                .lines
                .iter_mut()
                .for_each(|line| line.intid -= if line.intid == 40 { 32 } else { 0 })
        }),
        &["irq-offset"],
    );
    expect(planted(|_, subject| subject.lines[1].trigger = Trigger::Edge), &["irq-trigger"]);
    expect(
        planted(|_, subject| {
            subject.lines.push(Line { intid: 99, trigger: Trigger::Level, channel: 9 })
        }),
        &["irq-of-disabled-node"],
    );
    expect(
        planted(|clean, subject| {
            subject.tree = clean.tree(|tree| set(tree, UART, "status", "disabled"))
        }),
        &["irq-of-disabled-node", "region-without-node", "page-exposes-neighbour"],
    );
    expect(planted(|_, subject| subject.lines.truncate(1)), &["irq-missing"]);
    expect(
        planted(|clean, subject| {
            subject.tree = clean.tree(|tree| set(tree, UART, "clocks", [77_u32, 1]))
        }),
        &["provider-missing"],
    );
    expect(
        planted(|clean, subject| {
            let node = Build::device("clock@a000000", "test,clock", 0xa00_0000, 0x1000);
            subject.tree = clean.tree(|tree| tree.find_node_mut("/soc").unwrap().add_child(node.0));
            subject.regions.push(device("clock", 0xa00_0000, 0x1000, Owner::Guest));
        }),
        &["provider-owns-console", "dma-unknown"],
    );
    expect(
        planted(|clean, subject| {
            subject.tree = clean.tree(|tree| set(tree, UART, "dma-coherent", Vec::<u8>::new()))
        }),
        &["dma-no-smmu", "dma-addresses"],
    );
    expect(
        planted(|clean, subject| {
            let node = Build::new("watchdog").with("compatible", "arm,smc-wdt");
            subject.tree = clean.tree(|tree| tree.root.add_child(node.0));
        }),
        &["driver-needs-firmware"],
    );
    expect(
        planted(|clean, subject| {
            subject.tree = clean
                .tree(|tree| set(tree, "/interrupt-controller@8000000", "compatible", "arm,gic-v3"))
        }),
        &["gic-mismatch"],
    );
    expect(
        planted(|clean, subject| {
            let reg = [0x800_0000_u32, 0x1_0000, 0x802_0000, 0x1000];
            subject.tree =
                clean.tree(|tree| set(tree, "/interrupt-controller@8000000", "reg", reg));
            // The page that stands for GICC is then nobody's.
            subject.regions.retain(|region| region.name != RegionName::Gicv);
        }),
        &["gic-mismatch"],
    );
    expect(planted(|_, subject| (subject.vcpus, subject.cores) = (2, 2)), &["vcpu-count"]);
    expect(planted(|_, subject| subject.vcpus = 0), &["vcpu-count"]);
    expect(
        planted(|clean, subject| {
            subject.tree = clean.tree(|tree| set(tree, "/psci", "method", "hvc"))
        }),
        &["vcpu-count"],
    );
    expect(
        planted(|clean, subject| {
            subject.tree = clean.tree(|tree| set(tree, "/chosen", "stdout-path", "/psci"))
        }),
        &["stdout-unmapped"],
    );
    expect(
        planted(|clean, subject| {
            subject.tree = clean.tree(|tree| set(tree, "/chosen", "stdout-path", "serial9"))
        }),
        &["stdout-unmapped"],
    );
    expect(
        planted(|_, subject| subject.kernel = Span::new(Ipa(0x4000_0000), 0x500_0000)),
        &["image-overlap"],
    );
    expect(
        planted(|_, subject| {
            subject.initramfs = Some(Initramfs { unpacked: Unpacked::Known(0), packed: 1 })
        }),
        &["image-overlap"],
    );
    let packed = |unpacked| {
        move |subject: &mut CheckInput<'_>| subject.initramfs.as_mut().unwrap().unpacked = unpacked
    };
    expect(
        planted(|_, subject| packed(Unpacked::Known(200 << 20))(subject)),
        &["initramfs-too-big"],
    );
    expect(
        planted(|_, subject| packed(Unpacked::AtLeast(0, "xz"))(subject)),
        &["initramfs-unknown"],
    );
    expect(
        planted(|_, subject| packed(Unpacked::Unusable("a disk", "make one"))(subject)),
        &["initramfs-unusable"],
    );
    let arguments = |text: String| {
        planted(move |clean, subject| {
            subject.tree = clean.tree(|tree| set(tree, "/chosen", "bootargs", text.as_str()))
        })
    };
    expect(arguments("console=ttyS0".into()), &["console-mismatch"]);
    expect(arguments("x".repeat(2048)), &["arguments-cut"]);
    expect(arguments("x".repeat(2047)), &[]);
    expect(planted(|_, subject| packed(Unpacked::Damaged(0))(subject)), &["initramfs-unknown"]);
    expect(planted(|_, subject| subject.debug_kernel = true), &["debug-console"]);
    expect(planted(|_, subject| subject.entropy = false), &["no-entropy"]);
    expect(planted(|_, subject| subject.cores = 0), &["shared-core"]);
    expect(
        planted(|_, subject| {
            subject.lines.push(Line { intid: 160, trigger: Trigger::Level, channel: 9 })
        }),
        &["irq-out-of-range", "irq-of-disabled-node"],
    );
    // Planted in the board's tree; see tests/rules.rs.
    seen.extend([
        "board-mismatch",
        "bus-bridge",
        "irq-unresolved",
        "plan-too-large",
        "ram-over-reserved",
        "registers-missing",
    ]);
    // Only a board with a GICv3 has the page that this one is about; see below.
    seen.insert("gicv-on-gicv3");
    let all: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(seen, all);
}

#[test]
fn an_initrd_that_was_cut_short_is_not_planned() {
    let mut images = images();
    let initrd = images.initrd.as_mut().unwrap();
    initrd.extend(archive(5000));
    initrd.truncate(initrd.len() - 2000);
    let error = Plan::new(&board("qemu_virt_aarch64"), &Wish::default(), images).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("cut short") && error.contains("at byte 240"), "{error}");
}

#[test]
fn the_virtual_cpu_interface_is_no_gicv3_guests() {
    let board = board("maaxboard");
    let plan = Plan::new(&board, &Wish::default(), images()).unwrap();
    let mut subject = CheckInput::from_plan(&plan);
    assert_eq!(errors(&subject), []);
    subject.regions.push(device("gicv", 0x3102_0000, 0x1000, Owner::Guest));
    assert!(ids(&subject).contains("gicv-on-gicv3"));
}

#[test]
fn a_provider_that_is_neither_given_nor_replaced_is_found_in_a_plan() {
    let board = board("qemu_virt_aarch64");
    let plan = |pass: &str| {
        let wish = Wish { pass: vec![Pass::parse(pass).unwrap()], ..Wish::default() };
        Plan::with_tree(&board, &wish, images(), Some(Tree::new(&board_tree()))).unwrap()
    };
    let bare = plan("serial1");
    let missing: Vec<_> = bare.missing.iter().map(|missing| missing.property.as_str()).collect();
    assert_eq!(missing, ["assigned-clocks", "clocks", "pinctrl-0", "power-domains"]);
    assert!(ids(&CheckInput::from_plan(&bare)).contains("provider-missing"));
    let helped = plan("serial1,clocks=24000000,drop=pins+power");
    assert_eq!(CheckInput::from_plan(&helped).findings(), []);
}

#[test]
fn notes_are_only_these() {
    let notes: Vec<_> = Rule::ALL
        .iter()
        .filter(|rule| rule.severity() == Severity::Note)
        .map(|rule| rule.id())
        .collect();
    assert_eq!(notes, ["initramfs-unknown", "no-entropy", "shared-core", "debug-console"]);
    assert!(Rule::ALL.iter().all(|rule| rule.text().len() > 100));
}

/// What a change to the tree of a guest with four virtual CPUs brings.
fn of_four(name: &str, change: impl FnOnce(&mut DeviceTree)) -> BTreeSet<&'static str> {
    let board = board(name);
    let plan =
        Plan::new(&board, &Wish { vcpus: 4, cores: 4, ..Wish::default() }, images()).unwrap();
    let mut subject = CheckInput::from_plan(&plan);
    let mut tree = plan.tree.clone();
    change(&mut tree);
    subject.tree = Tree::new(&tree);
    // What this is about needs no seed.
    subject.entropy = true;
    ids(&subject)
}

#[test]
fn a_plan_says_what_it_has_no_seed_or_no_core_for() {
    let found = |name: &str, wish: Wish| {
        let plan = Plan::new(&board(name), &wish, images()).unwrap();
        ids(&CheckInput::from_plan(&plan))
    };
    let entropy = BTreeSet::from(["no-entropy"]);
    assert!(found("qemu", Wish::default()).is_empty());
    assert_eq!(found("qemu", Wish { entropy: false, ..Wish::default() }), entropy);
    assert_eq!(found("maaxboard", Wish::default()), entropy);
    let shared = BTreeSet::from(["shared-core"]);
    assert_eq!(found("qemu", Wish { vcpus: 2, ..Wish::default() }), shared);
    assert_eq!(found("qemu", Wish { vcpus: 4, cores: 2, ..Wish::default() }), shared);
    assert!(found("qemu", Wish { vcpus: 4, cores: 4, ..Wish::default() }).is_empty());
    // On bare metal each has its own.
    let baremetal = Wish { vcpus: 4, host: vmm_plan::Host::Baremetal, ..Wish::default() };
    assert!(found("qemu", baremetal).is_empty());
}

#[test]
fn processors_that_nobody_can_start_are_found() {
    assert!(of_four("qemu", |_| ()).is_empty());
    let count = BTreeSet::from(["vcpu-count"]);
    assert_eq!(of_four("qemu", |tree| set(tree, "/cpus/cpu@3", "reg", 0x100_u32)), count);
    assert_eq!(
        of_four("qemu", |tree| set(tree, "/cpus/cpu@1", "enable-method", "spin-table")),
        count
    );
    assert_eq!(of_four("qemu", |tree| set(tree, "/cpus/cpu@2", "status", "disabled")), count);
    assert_eq!(of_four("qemu", |tree| set(tree, "/psci", "method", "hvc")), count);
}

#[test]
fn redistributors_for_fewer_processors_are_found() {
    let frames = |size: u32| {
        of_four("maaxboard", |tree| {
            let gicr = [0, 0x3880_0000, 0, 0x1_0000, 0, 0x3888_0000, 0, size];
            set(tree, "/interrupt-controller@38800000", "reg", gicr);
        })
    };
    assert_eq!(frames(0x6_0000), BTreeSet::from(["gic-mismatch"]));
    assert!(frames(0x8_0000).is_empty() && frames(0xc_0000).is_empty());
}
