// SPDX-License-Identifier: BSD-2-Clause
//! What a board's own tree says against a plan, and what of a passed node cannot be planned: each
//! mistake brings its finding, with the node's path.

mod common;

use common::{Build, board, board_tree, boards, images};
use dtoolkit::model::{DeviceTree, DeviceTreeProperty};
use vmm_core::addr::Ipa;
use vmm_plan::check::CheckInput;
use vmm_plan::dt::{self, Tree};
use vmm_plan::finding::{Finding, Rule, Severity};
use vmm_plan::irq::{GicInterrupt, Trigger};
use vmm_plan::wish::{Accept, Pass};
use vmm_plan::{Board, Checked, Host, Plan, PlanError, Wish};

/// The small tree of the QEMU board with more in it.
fn tree(change: impl FnOnce(&mut DeviceTree)) -> DeviceTree {
    let mut tree = board_tree();
    change(&mut tree);
    tree
}

fn on_soc(node: Build) -> DeviceTree {
    tree(|tree| tree.find_node_mut("/soc").unwrap().add_child(node.0))
}

fn wish(pass: &str) -> Wish {
    Wish { pass: vec![Pass::parse(pass).unwrap()], ..Wish::default() }
}

fn plan(tree: &DeviceTree, wish: &Wish) -> Result<Plan, PlanError> {
    Plan::with_tree(&board("qemu"), wish, images(), Some(Tree::new(tree)))
}

/// What is wrong with a plan that passes `pass`.
fn findings(tree: &DeviceTree, pass: &str) -> Vec<Finding> {
    CheckInput::from_plan(&plan(tree, &wish(pass)).unwrap()).findings()
}

fn ids(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.rule.id()).collect()
}

fn set(tree: &mut DeviceTree, path: &str, name: &str, value: impl dtoolkit::ToPropertyValue) {
    let node = tree.find_node_mut(path).unwrap();
    node.add_property(DeviceTreeProperty::new(name, value).unwrap());
}

/// A device that nothing is to be said against.
fn gpio(name: &str) -> Build {
    Build::new(name).with("compatible", "arm,pl061")
}

#[test]
fn the_readme_has_a_row_for_every_rule() {
    let readme = include_str!("../README.md");
    let table = readme.split("| Finding | What | Why it matters | Way out |").nth(1).unwrap();
    let rows: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let rules: Vec<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    let named: Vec<_> = rows.iter().map(|row| row.split('`').nth(1).unwrap()).collect();
    assert_eq!(named, rules);
    for (row, rule) in rows.iter().zip(Rule::ALL) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 6, "{row}");
        assert!(cells[2..5].iter().all(|cell| cell.len() > 3), "{row}");
        assert_eq!(cells[2].ends_with("(note)"), rule.severity() == Severity::Note, "{row}");
    }
}

/// Issue 17, item 2.
#[test]
fn what_is_not_known_to_leave_memory_alone_is_named() {
    let device = |compatible: &str| {
        findings(&on_soc(Build::device("thing@b100000", compatible, 0xb10_0000, 0x1000)), "thing")
    };
    for compatible in ["fsl,imx8mq-csi", "arm,coresight-tmc", "arm,primecell", "fsl,ls-pcie-ep"] {
        let found = device(compatible);
        assert_eq!(ids(&found), ["dma-unknown"], "{compatible}");
        assert_eq!(found[0].subject, "/soc/thing@b100000");
        assert_eq!(found[0].severity, Severity::Error);
        assert!(found[0].problem.contains(compatible), "{}", found[0]);
        assert!(found[0].way_out.contains("no_dma.txt") && found[0].way_out.contains("--accept"));
    }
    assert_eq!(device("arm,pl061"), []);
    // The board's own tree decides what is there, not what the guest's calls it.
    let board_tree = on_soc(Build::device("thing@b100000", "test,camera", 0xb10_0000, 0x1000));
    let plan = plan(&board_tree, &wish("thing")).unwrap();
    let mut subject = CheckInput::from_plan(&plan);
    let mut guest = plan.tree.clone();
    set(&mut guest, "/soc/thing@b100000", "compatible", "arm,pl061");
    subject.tree = Tree::new(&guest);
    assert!(ids(&subject.findings()).contains(&"dma-unknown"));
}

/// Issue 17, item 3.
#[test]
fn a_bridge_to_pci_is_refused_with_its_node() {
    let bridge = |kind: Option<&str>, cells: u32| {
        let mut node = Build::device("bridge@b200000", "arm,pl061", 0xb20_0000, 0x1000)
            .with("#address-cells", cells)
            .with("#size-cells", 2_u32)
            .with("ranges", [0x200_0000_u32, 0, 0xc00_0000, 0xc00_0000, 0, 0x10_0000])
            .with("#interrupt-cells", 1_u32)
            .with("interrupt-map-mask", [0_u32, 0, 0, 7])
            .with("interrupt-map", [0_u32, 0, 0, 1, 1, 0, 40, 4]);
        if let Some(kind) = kind {
            node = node.with("device_type", kind);
        }
        on_soc(node)
    };
    for tree in [bridge(Some("pci"), 3), bridge(None, 3)] {
        let found = findings(&tree, "bridge");
        assert_eq!(ids(&found), ["irq-unresolved", "bus-bridge"]);
        assert!(found.iter().all(|finding| finding.subject == "/soc/bridge@b200000"));
        assert!(found[1].problem.contains("PCI"), "{}", found[1]);
        let plan = plan(&tree, &wish("bridge")).unwrap();
        assert!(!plan.tree_source().contains("interrupt-map"), "{}", plan.tree_source());
    }
}

/// Issue 17, item 4.
#[test]
fn an_interrupt_beyond_the_kernels_last_is_refused() {
    let tree = |spi: u32| {
        on_soc(
            gpio("gpio@b300000")
                .with("reg", [0xb30_0000_u32, 0x1000])
                .with("interrupts", [0, spi, 4]),
        )
    };
    let on = |host, spi| {
        let wish = Wish { host, ..wish("gpio") };
        CheckInput::from_plan(&plan(&tree(spi), &wish).unwrap()).findings()
    };
    // seL4's MAX_IRQ is 159 on the QEMU board: SPI 127 is the last.
    assert_eq!(on(Host::Microkit, 127), []);
    for (host, spi, limit) in [
        (Host::Microkit, 128, "160"),
        (Host::Microkit, 990, "160"),
        (Host::Microkit, 5000, "160"),
        (Host::Baremetal, 990, "1020"),
    ] {
        let found = on(host, spi);
        assert_eq!(ids(&found), ["irq-out-of-range"], "{spi}");
        assert_eq!(found[0].subject, format!("INTID {}", spi + 32));
        for say in ["/soc/gpio@b300000", limit] {
            assert!(found[0].problem.contains(say), "{}", found[0]);
        }
    }
    assert_eq!(on(Host::Baremetal, 987), []);
}

/// Issue 17, item 5: a whole number of large pages in size, but not in place.
#[test]
fn large_pages_only_where_everything_is_aligned_to_them() {
    let system = |base: u32| {
        let name = format!("gpio@{base:x}");
        let tree = on_soc(gpio(&name).with("reg", [base, 0x20_0000]));
        let plan = plan(&tree, &wish("gpio")).unwrap();
        assert_eq!(CheckInput::from_plan(&plan).findings(), []);
        let system = plan.system().unwrap();
        let line = system.lines().find(|line| line.contains(&format!("phys_addr=\"{base:#x}\"")));
        line.unwrap().to_owned()
    };
    let line = system(0x3850_0000);
    assert!(line.contains("page_size=\"0x1000\" size=\"0x200000\""), "{line}");
    let line = system(0x3860_0000);
    assert!(line.contains("page_size=\"0x200000\" size=\"0x200000\""), "{line}");
}

/// Issue 17, item 6.
#[test]
fn a_reg_that_leads_nowhere_is_named_with_the_reason() {
    let bus = |ranges: Option<&[u32]>, size: u32, reg: &[u32]| {
        let mut bus = Build::new("bus@c000000")
            .with("compatible", "simple-bus")
            .with("#address-cells", 1_u32)
            .with("#size-cells", size)
            .child(gpio("gpio@100").with("reg", reg.to_vec()));
        if let Some(ranges) = ranges {
            bus = bus.with("ranges", ranges.to_vec());
        }
        on_soc(bus)
    };
    let window: Option<&[u32]> = Some(&[0, 0xc00_0000, 0x1000]);
    for (tree, say) in [
        (bus(None, 1, &[0x100, 0x10]), "/soc/bus@c000000 has no ranges"),
        (
            bus(window, 1, &[0x1000, 0x10]),
            "0x1000 is in no window of the ranges of /soc/bus@c000000",
        ),
        (bus(window, 0, &[0x100]), "#address-cells = 1 and #size-cells = 0"),
        (bus(window, 1, &[0x100, 0x10, 0x200]), "reg has 3 cells, and its entries have 2 each"),
        (bus(window, 1, &[0x100, 0]), "the entry at 0x100 has a size of 0"),
    ] {
        let found = findings(&tree, "gpio");
        assert_eq!(ids(&found), ["registers-missing"], "{say}");
        assert_eq!(found[0].subject, "/soc/bus@c000000/gpio@100");
        assert!(found[0].problem.contains(say), "{}", found[0]);
    }
    // Where it starts decides, as in Linux: the registers cross the window and are given whole.
    let crossing = plan(&bus(window, 1, &[0xf00, 0x1200]), &wish("gpio")).unwrap();
    assert_eq!(CheckInput::from_plan(&crossing).findings(), []);
    let region =
        crossing.regions.iter().find(|region| region.name.symbol().starts_with("gpio")).unwrap();
    assert_eq!((region.ipa, region.size), (Some(Ipa(0xc00_0000)), 0x3000));
    // A bus alone gives nothing.
    let found = findings(&bus(window, 1, &[0x100, 0x10]), "bus@c000000");
    assert_eq!(ids(&found), ["registers-missing"]);
    assert!(found[0].way_out.contains("/soc/bus@c000000/gpio@100"), "{}", found[0]);
}

/// A device on an I2C bus comes with its controller, and its address is none of the CPU.
#[test]
fn a_device_behind_a_controller_needs_no_registers() {
    let clock = Build::new("rtc@68").with("compatible", "test,rtc").with("reg", 0x68_u32);
    let i2c = Build::device("i2c@b400000", "fsl,imx21-i2c", 0xb40_0000, 0x1000)
        .with("#address-cells", 1_u32)
        .with("#size-cells", 0_u32)
        .child(clock);
    assert_eq!(findings(&on_soc(i2c), "rtc"), []);
}

/// Issue 17, item 8.
#[test]
fn interrupts_through_a_nexus_are_followed() {
    // On the bus, interrupt 5 of the device at 0x100 is SPI 21, a falling edge of its own.
    let bus = |map: &[u32]| {
        Build::new("bus@c000000")
            .with("compatible", "simple-bus")
            .with("#address-cells", 1_u32)
            .with("#size-cells", 1_u32)
            .with("ranges", [0_u32, 0xc00_0000, 0x1000])
            .with("#interrupt-cells", 1_u32)
            .with("interrupt-map-mask", [0xff00_u32, 0xff])
            .with("interrupt-map", map.to_vec())
            .child(gpio("gpio@100").with("reg", [0x108_u32, 0x10]).with("interrupts", 5_u32))
    };
    let tree = on_soc(bus(&[0x200, 5, 1, 0, 20, 4, 0x100, 5, 1, 0, 21, 1]));
    let plan = plan(&tree, &wish("gpio")).unwrap();
    assert_eq!(CheckInput::from_plan(&plan).findings(), []);
    assert!(plan.lines.iter().any(|line| (line.intid, line.trigger) == (53, Trigger::Edge)));
    let (_, guest) = dt::read("guest", &plan.dtb).unwrap();
    let node = guest.node(guest.by_path("/soc/bus@c000000/gpio@100").unwrap());
    assert_eq!(node.cells("interrupts-extended")[1..], [0, 21, 1]);
    assert_eq!(node.interrupts[0].gic, Some(GicInterrupt { intid: 53, trigger: Trigger::Edge }));

    let found = findings(&on_soc(bus(&[0x100, 6, 1, 0, 21, 1])), "gpio");
    assert_eq!(ids(&found), ["irq-unresolved"]);
    assert!(found[0].problem.contains("no entry of the interrupt-map of /soc/bus@c000000"));
}

#[test]
fn interrupts_that_do_not_lead_to_the_gic_say_why() {
    let tree = |interrupts: &[u32], parent: u32| {
        let inner = Build::device("inner@b500000", "test,inner", 0xb50_0000, 0x1000)
            .with("#interrupt-cells", 1_u32)
            .flag("interrupt-controller")
            .with("phandle", 90_u32);
        let mut tree = on_soc(inner);
        let device = gpio("gpio@b600000")
            .with("reg", [0xb60_0000_u32, 0x1000])
            .with("interrupt-parent", parent)
            .with("interrupts", interrupts.to_vec());
        tree.find_node_mut("/soc").unwrap().add_child(device.0);
        tree
    };
    for (tree, say, way_out) in [
        (tree(&[7], 90), "goes to /soc/inner@b500000 (\"test,inner\")", "/soc/inner@b500000"),
        (tree(&[0, 7], 1), "a specifier of 2 cells, and its controller asks for 3", "drop=others"),
        (tree(&[2, 7, 4], 1), "of type 2", "drop=others"),
        (tree(&[1, 16, 4], 1), "PPI 16: there are 0 to 15", "drop=others"),
        (tree(&[0, 7, 4], 91), "phandle 0x5b, which no node has", "drop=others"),
    ] {
        let found = findings(&tree, "gpio");
        assert_eq!(ids(&found), ["irq-unresolved"], "{say}");
        assert_eq!(found[0].subject, "/soc/gpio@b600000");
        assert!(found[0].problem.contains(say), "{}", found[0]);
        assert!(found[0].way_out.contains(way_out), "{}", found[0]);
        // The way out is one.
        assert_eq!(findings(&tree, "gpio,drop=others"), [], "{say}");
    }
}

/// Issue 17, item 9.
#[test]
fn a_root_that_cannot_say_the_addresses_is_refused() {
    let mut high = board("qemu");
    high.ram.base = 0x1_4000_0000;
    let error = Plan::with_tree(&high, &Wish::default(), images(), Some(Tree::new(&board_tree())));
    let error = error.unwrap_err().to_string();
    for say in ["#address-cells = 1", "guest RAM", "0x140000000", "RAM below 4 GiB"] {
        assert!(error.contains(say), "{error}");
    }
    let three = tree(|tree| set(tree, "/", "#address-cells", 3_u32));
    let error = plan(&three, &Wish::default()).unwrap_err().to_string();
    assert!(error.contains("#address-cells = 3"), "{error}");
}

/// Issue 17, item 10.
#[test]
fn another_boards_tree_is_named() {
    let none = ["clocks"; 0];
    let of = |change: fn(&mut DeviceTree)| {
        CheckInput::from_plan(&plan(&tree(change), &Wish::default()).unwrap()).findings()
    };
    assert_eq!(ids(&of(|_| ())), none);
    let gic = "/gic@8000000";
    let timer = |ppi: u32| {
        Build::new("timer")
            .with("compatible", "arm,armv8-timer")
            .with("interrupts", [1, 13, 4, 1, ppi, 4, 1, 11, 4, 1, 10, 4])
    };
    let with_timer = |ppi| {
        let tree = tree(|tree| tree.root.add_child(timer(ppi).0));
        CheckInput::from_plan(&plan(&tree, &Wish::default()).unwrap()).findings()
    };
    assert_eq!(ids(&with_timer(14)), none);
    for (found, say) in [
        (
            of(|tree| set(tree, "/", "compatible", "acme,board")),
            "\"acme,board\", board.toml says \"linux,dummy-virt\"",
        ),
        (
            of(|tree| set(tree, "/soc/serial@9000000", "reg", [0x901_0000_u32, 0x1000])),
            "console's UART at 0x9000000, and no node",
        ),
        (
            of(|tree| set(tree, "/soc/serial@9000000", "interrupts", [0_u32, 2, 4])),
            "it raises INTID 34 (Level), board.toml's console INTID 33",
        ),
        (
            of(|tree| set(tree, "/soc/serial@9000000", "compatible", "arm,pl061")),
            "compatible with \"arm,pl061\"",
        ),
        (
            of(|tree| {
                set(tree, "/gic@8000000", "reg", [0x800_0000_u32, 0x1_0000, 0x802_0000, 0x1000])
            }),
            "GICC at 0x8020000, board.toml at 0x8010000",
        ),
        (
            of(|tree| set(tree, "/gic@8000000", "compatible", "arm,gic-v3")),
            "has a GICv3, the plan is for a GICv2",
        ),
        (with_timer(12), "[29, 28, 27, 26]"),
    ] {
        assert_eq!(ids(&found), ["board-mismatch"], "{say}: {found:?}");
        assert!(found[0].problem.contains(say), "{}", found[0]);
        assert!(!found[0].way_out.is_empty());
    }
    assert!(board_tree().find_node(gic).is_some());
}

#[test]
fn memory_that_the_board_keeps_for_others_is_named() {
    let keep = |name: &str, base: u32, flag: Option<&str>| {
        let mut node = Build::new(&format!("{name}@{base:x}")).with("reg", [base, 0x10_0000]);
        if let Some(flag) = flag {
            node = node.flag(flag);
        }
        let reserved = Build::new("reserved-memory")
            .with("#address-cells", 1_u32)
            .with("#size-cells", 1_u32)
            .flag("ranges")
            .child(node);
        tree(|tree| tree.root.add_child(reserved.0))
    };
    let on = |tree: &DeviceTree, host| {
        let wish = Wish { host, ..Wish::default() };
        CheckInput::from_plan(&plan(tree, &wish).unwrap()).findings()
    };
    // On seL4 the kernel chooses from 0x60000000..0xc0000000, on bare metal RAM is placed.
    for (host, base) in [(Host::Microkit, 0x7000_0000), (Host::Baremetal, 0x5800_0000)] {
        let found = on(&keep("firmware", base, Some("no-map")), host);
        assert_eq!(ids(&found), ["ram-over-reserved"], "{host:?} {found:?}");
        assert!(
            found[0].problem.contains(&format!("/reserved-memory/firmware@{base:x}")),
            "{}",
            found[0]
        );
        assert_eq!(on(&keep("pool", base, Some("reusable")), host), []);
    }
    // What seL4's own tree of the board reserves for virtual machines is not for others.
    let seed = || keep("vm-memory", 0x4000_0000, Some("no-map"));
    assert_eq!(on(&seed(), Host::Microkit), []);
    assert_eq!(
        ids(&on(&keep("vm-memory", 0x4010_0000, None), Host::Microkit)),
        ["ram-over-reserved"]
    );
    let mut reserve = board_tree();
    let entry = dtoolkit::memreserve::MemoryReservation::new(0x7000_0000, 0x1000);
    reserve.memory_reservations.push(entry);
    let (_, read) = dt::read("reserve", &reserve.to_dtb()).unwrap();
    let plan = Plan::with_tree(&board("qemu"), &Wish::default(), images(), Some(read)).unwrap();
    let found = CheckInput::from_plan(&plan).findings();
    assert_eq!(ids(&found), ["ram-over-reserved"]);
    assert!(found[0].problem.contains("/memreserve/"), "{}", found[0]);

    let hole = |sizes: &[u32]| {
        let node =
            Build::new("memory@40000000").with("device_type", "memory").with("reg", sizes.to_vec());
        on(&tree(|tree| tree.root.add_child(node.0)), Host::Microkit)
    };
    assert_eq!(hole(&[0x4000_0000, 0x8000_0000]), []);
    let found = hole(&[0x4000_0000, 0x3000_0000, 0x8000_0000, 0x4000_0000]);
    assert_eq!(ids(&found), ["ram-over-reserved"]);
    assert!(found[0].problem.contains("there is no memory at 0x70000000"), "{}", found[0]);
}

#[test]
fn two_boards_of_one_alias_are_refused_by_name() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("two-boards");
    for name in ["one", "two"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        let file = folder.join(name).join("board.toml");
        std::fs::copy(boards().join("qemu_virt_aarch64/board.toml"), file).unwrap();
    }
    let error = Board::find(&folder, "qemu").unwrap_err().to_string();
    assert!(error.contains("alias 'qemu' is claimed by"), "{error}");
    assert!(error.contains("two-boards/one") && error.contains("two-boards/two"), "{error}");
}

/// Issue 17, item 11: every reference of a passed node to what the guest does not have is found,
/// and none is left in the guest's tree.
#[test]
fn no_reference_dangles_in_a_plan() {
    let target = 0x77_u32;
    for (name, value) in [
        ("gpio-ranges", vec![target, 0, 0, 8]),
        ("interrupt-affinity", vec![target]),
        ("msi-parent", vec![target, 1]),
        ("msi-map", vec![0, target, 0, 0x1000]),
        ("iommu-map", vec![0, target, 0, 0x1000]),
        ("regmap", vec![target]),
        ("syscon", vec![target, 4]),
        ("fsl,syscon", vec![target, 4]),
        ("fsl,stop-mode", vec![target, 16, 3]),
        ("rockchip,grf", vec![target]),
        ("phy-handle", vec![target]),
        ("pcs-handle", vec![target]),
        ("mdio-parent-bus", vec![target]),
        ("required-opps", vec![target]),
        ("performance-domains", vec![target, 1]),
        ("access-controllers", vec![target, 1]),
        ("cpus", vec![target]),
        ("clocks", vec![target, 1]),
        ("resets", vec![target, 1]),
        ("iommus", vec![target, 1]),
    ] {
        let mut tree = on_soc(
            gpio("gpio@b700000").with("reg", [0xb70_0000_u32, 0x1000]).with(name, value.clone()),
        );
        let mut provider = Build::device("provider@b800000", "test,provider", 0xb80_0000, 0x1000)
            .with("phandle", target);
        for count in ["msi", "performance-domain", "access-controller", "clock", "reset", "iommu"] {
            provider = provider.with(&format!("#{count}-cells"), 1_u32);
        }
        tree.find_node_mut("/soc").unwrap().add_child(provider.0);
        let found = findings(&tree, "gpio");
        let missing: Vec<_> =
            found.iter().filter(|finding| finding.rule == Rule::ProviderMissing).collect();
        assert_eq!(missing.len(), 1, "{name}: {found:?}");
        for say in [name, "/soc/provider@b800000"] {
            assert!(missing[0].problem.contains(say), "{}", missing[0]);
        }
        let plan = plan(&tree, &wish("gpio")).unwrap();
        let (_, guest) = dt::read("guest", &plan.dtb).unwrap();
        let node = guest.node(guest.by_path("/soc/gpio@b700000").unwrap());
        assert!(!node.properties.contains_key(name), "{name} dangles");
        // Given as well, nothing is missing.
        let mut both = wish("gpio");
        both.pass.push(Pass::parse("provider").unwrap());
        let whole =
            Plan::with_tree(&board("qemu"), &both, images(), Some(Tree::new(&tree))).unwrap();
        assert_eq!(whole.missing, [], "{name}");
        // A guest's tree of somebody else's making.
        let mut subject = CheckInput::from_plan(&plan);
        let mut foreign = plan.tree.clone();
        set(&mut foreign, "/soc/gpio@b700000", name, value);
        subject.tree = Tree::new(&foreign);
        subject.missing.clear();
        assert!(ids(&subject.findings()).contains(&"provider-missing"), "{name}");
    }
}

/// Processors, memory and timer are the monitor's: they come along with nothing.
#[test]
fn what_every_guest_has_of_its_own_is_not_passed() {
    let cpu =
        Build::new("cpu@0").with("device_type", "cpu").with("reg", 0_u32).with("phandle", 80_u32);
    let cpus =
        Build::new("cpus").with("#address-cells", 1_u32).with("#size-cells", 0_u32).child(cpu);
    let mut tree = tree(|tree| tree.root.add_child(cpus.0));
    let pmu = Build::new("pmu")
        .with("compatible", "arm,cortex-a53-pmu")
        .with("interrupts", [0_u32, 9, 4])
        .with("interrupt-affinity", 80_u32);
    tree.root.add_child(pmu.0);
    let found = findings(&tree, "pmu");
    assert_eq!(ids(&found), ["provider-missing"]);
    assert!(found[0].problem.contains("/cpus/cpu@0") && !found[0].way_out.contains("pass /cpus"));
    assert_eq!(findings(&tree, "pmu,drop=others"), []);
    for node in ["/cpus", "/cpus/cpu@0", "/gic@8000000", "/"] {
        let error = plan(&tree, &wish(node)).unwrap_err().to_string();
        assert!(error.contains(node) && error.contains("the monitor's"), "{error}");
    }
}

/// Issue 17, item 12: what the plan block has no room for is a finding, not an error afterwards.
#[test]
fn more_interrupts_than_the_monitor_has_room_for_are_found() {
    let plan = |count: u32| {
        let lines: Vec<u32> = (40..40 + count).flat_map(|spi| [0, spi, 4]).collect();
        let node =
            gpio("gpio@b300000").with("reg", [0xb30_0000_u32, 0x1000]).with("interrupts", lines);
        plan(&on_soc(node), &wish("gpio")).unwrap()
    };
    // One is the console's.
    let room = u32::try_from(vmm_core::plan::MAX_INTERRUPTS).unwrap() - 1;
    assert_eq!(CheckInput::from_plan(&plan(room)).findings(), []);
    assert!(plan(room).block().is_ok());
    let found = CheckInput::from_plan(&plan(room + 1)).findings();
    assert_eq!(ids(&found), ["plan-too-large"]);
    assert_eq!(found[0].subject, "device interrupts");
    assert!(found[0].problem.contains("60 of /soc/gpio@b300000"), "{}", found[0]);
    assert!(found[0].way_out.contains("pass fewer devices"), "{}", found[0]);
}

/// All errors are named in the way to accept them, each once, and nothing that is none.
#[test]
fn the_way_to_accept_names_every_error() {
    let mut tree = on_soc(Build::device("thing@b100000", "test,thing", 0xb10_0000, 0x1000));
    set(&mut tree, "/soc/thing@b100000", "clocks", [77_u32, 1]);
    let refused = |accept: &[&str]| {
        let accept = accept.iter().map(|rule| Accept::parse(rule).unwrap()).collect();
        let wish = Wish { accept, entropy: false, ..wish("thing") };
        Checked::new(&board("qemu"), &wish, images(), Some(Tree::new(&tree)))
    };
    let error = refused(&[]).unwrap_err().to_string();
    let all = ["dma-unknown /soc/thing@b100000", "provider-missing /soc/thing@b100000"];
    let line = format!(
        "by name: --accept '{0}' --accept '{1}', or accept = [\"{0}\", \"{1}\"] above",
        all[0], all[1]
    );
    assert!(error.contains(&line), "{error}");
    let error = refused(&all[..1]).unwrap_err().to_string();
    assert!(error.contains("accepted dma-unknown"), "{error}");
    assert!(error.contains(&format!("by name: --accept '{}', or", all[1])), "{error}");
    assert!(refused(&all).is_ok());
    // Of many it says how many.
    let lines: Vec<u32> = (200..210).flat_map(|spi| [0, spi, 4]).collect();
    let many = gpio("gpio@b300000").with("reg", [0xb30_0000_u32, 0x1000]).with("interrupts", lines);
    let tree = Some(Tree::new(&on_soc(many)));
    let error =
        Checked::new(&board("qemu"), &wish("gpio"), images(), tree).unwrap_err().to_string();
    assert!(error.ends_with("board.toml; 2 more in the same way"), "{error}");
    assert_eq!(error.matches("--accept 'irq-out-of-range INTID ").count(), 8, "{error}");
}

#[test]
fn a_tree_that_was_cut_short_says_how_much_is_missing() {
    let whole = board_tree().to_dtb();
    for cut in [8, 40, 100, whole.len() - 1] {
        let error = dt::read("cut", &whole[..cut]).unwrap_err().to_string();
        let say = format!(
            "cut short: its header says {} bytes, {cut} are there, {} are missing",
            whole.len(),
            whole.len() - cut
        );
        assert!(error.contains(&say), "{error}");
    }
}

/// Issue 17, item 14.
#[test]
fn a_console_that_the_guest_does_not_have_is_found() {
    for (name, right, wrong) in [("qemu", "ttyAMA0", "ttyS0"), ("maaxboard", "ttymxc0", "ttyAMA0")]
    {
        let found = |append: &str| {
            let wish = Wish { append: append.into(), ..Wish::default() };
            let plan = Plan::new(&board(name), &wish, images()).unwrap();
            common::errors(&CheckInput::from_plan(&plan))
        };
        for clean in [
            "",
            "quiet",
            &format!("console={right}"),
            &format!("console=tty0 console={right},115200"),
        ] {
            assert_eq!(found(clean), [], "{clean}");
        }
        for (append, asked) in
            [(format!("console={wrong},115200"), wrong), ("console=tty0 quiet".into(), "tty0")]
        {
            let found = found(&append);
            assert_eq!(ids(&found), ["console-mismatch"]);
            for say in [asked, right] {
                assert!(found[0].problem.contains(say), "{}", found[0]);
            }
            assert!(found[0].way_out.contains(&format!("console={right}")), "{}", found[0]);
        }
    }
}

/// Issue 17, item 14: what is said where nothing comes.
#[test]
fn the_consoles_that_the_guest_has_and_asks_for_are_in_words() {
    let words = |name: &str, append: &str| {
        let wish = Wish { append: append.into(), ..Wish::default() };
        Plan::new(&board(name), &wish, images()).unwrap().facts().console
    };
    assert_eq!(
        words("qemu", ""),
        "the guest's console is ttyAMA0 (/serial@9000000), and its boot arguments name none"
    );
    assert_eq!(
        words("maaxboard", "quiet console=tty0 console=ttyS1,115200n8"),
        "the guest's console is ttymxc0 (/serial@30860000), and its boot arguments ask for \
         console=tty0 console=ttyS1"
    );
}

/// Debian's own kernel, whole and cut: half of it was planned once, and then nothing came.
#[test]
fn debians_kernel_is_whole_or_refused() {
    let Some(kernel) = common::debians_kernel() else { return };
    let plan = |kernel: &[u8]| {
        let images = vmm_plan::Images { kernel: kernel.to_vec(), ..images() };
        Plan::new(&board("qemu"), &Wish::default(), images)
    };
    assert!(plan(&kernel).is_ok());
    for part in [64, kernel.len() / 2, kernel.len() / 100 * 91] {
        let error = plan(&kernel[..part]).unwrap_err().to_string();
        assert!(error.contains("cut short"), "{error}");
    }
}

/// The flake plans with the device trees that the SDK has (`nix/plan.nix`).
#[test]
fn the_trees_of_the_sdk_make_clean_plans() {
    let Some(sdk) = std::env::var_os("MICROKIT_SDK").filter(|sdk| !sdk.is_empty()) else {
        return println!("left out: MICROKIT_SDK is not set");
    };
    for name in ["qemu", "maaxboard"] {
        let board = board(name);
        let path = std::path::Path::new(&sdk).join("board").join(&board.microkit.board);
        let bytes = std::fs::read(path.join("kernel.dtb")).unwrap();
        for host in [Host::Microkit, Host::Baremetal] {
            let (_, read) = dt::read("kernel.dtb", &bytes).unwrap();
            let wish = Wish { host, ..Wish::default() };
            let plan = Plan::with_tree(&board, &wish, images(), Some(read)).unwrap();
            let found = CheckInput::from_plan(&plan).findings();
            let errors: Vec<_> = found.iter().filter(|f| f.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{name} {host:?} {errors:?}");
        }
    }
}
