// SPDX-License-Identifier: BSD-2-Clause
//! Every board of the repository on every host and interrupt controller: clean, complete, and
//! readable by the monitor.

mod common;

use common::{archive, board, boards, errors, evk, images, kernel};
use vmm_core::addr::{Ipa, Pa};
use vmm_core::plan::{NodeState, PlanBlock as Block};
use vmm_plan::check::{CheckInput, Files};
use vmm_plan::dt::{self, Tree, is_gic};
use vmm_plan::irq::{GicInterrupt, Trigger};
use vmm_plan::memory::{Kind, RegionName};
use vmm_plan::wish::{Pass, Unowned};
use vmm_plan::{Board, Host, Images, Plan, Wish};

/// Every host and GIC of a board.
fn variants(board: &Board) -> Vec<Wish> {
    let gics = board.gics().flat_map(|gic| {
        gic.hosts().iter().map(move |host| (*host, gic.version())).collect::<Vec<_>>()
    });
    gics.map(|(host, gic)| Wish { host, gic: Some(gic), ..Wish::default() }).collect()
}

#[test]
fn every_board_is_clean_on_every_host() {
    for board in Board::all(&boards()).unwrap() {
        for wish in variants(&board) {
            let plan = Plan::new(&board, &wish, images()).unwrap();
            assert_eq!(errors(&CheckInput::from_plan(&plan)), [], "{} {:?}", board.name, wish);
            assert!(!plan.profiles().is_empty());
        }
    }
}

#[test]
fn the_monitor_reads_every_plan_block() {
    for board in Board::all(&boards()).unwrap() {
        for wish in variants(&board) {
            let plan = Plan::new(&board, &wish, images()).unwrap();
            let bytes = plan.block().unwrap();
            // The monitor maps it on a page; a test has to see to the alignment.
            let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
            zerocopy::IntoBytes::as_mut_bytes(aligned.as_mut_slice())[..bytes.len()]
                .copy_from_slice(&bytes);
            let block = Block::read(zerocopy::IntoBytes::as_bytes(aligned.as_slice())).unwrap();
            assert_eq!(block.facts().board.as_str(), board.name);
            assert_eq!(block.facts().ram.size, plan.layout.ram.size());
            assert_eq!(block.regions().count(), plan.regions.len());
            assert_eq!(block.interrupts().count(), plan.lines.len());
        }
    }
}

#[test]
fn the_wish_or_the_board_decides_what_meets_nobody() {
    let aborts = |board: &Board, unowned| {
        let wish = Wish { unowned, ..Wish::default() };
        let bytes = Plan::new(board, &wish, images()).unwrap().block().unwrap();
        let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
        zerocopy::IntoBytes::as_mut_bytes(aligned.as_mut_slice())[..bytes.len()]
            .copy_from_slice(&bytes);
        Block::read(zerocopy::IntoBytes::as_bytes(aligned.as_slice())).unwrap().aborts()
    };
    let mut board = board("maaxboard");
    assert!(!aborts(&board, None), "a stop, if nobody says anything");
    assert!(aborts(&board, Some(Unowned::Abort)));
    board.unowned = Unowned::Abort;
    assert!(aborts(&board, None));
    assert!(!aborts(&board, Some(Unowned::Stop)));
}

#[test]
fn the_system_file_reads_back_as_what_was_planned() {
    for board in Board::all(&boards()).unwrap() {
        let plan = Plan::new(&board, &Wish::default(), images()).unwrap();
        let memory = board.microkit.memory.span();
        let system = vmm_plan::sdf::read(&plan.system().unwrap(), memory).unwrap();
        let lines: Vec<_> =
            system.lines.iter().filter(|line| line.channel != plan.idle_channel).copied().collect();
        assert_eq!(lines, plan.lines);
        for region in &plan.regions {
            let read = system.regions.iter().find(|read| read.name == region.name).unwrap();
            assert_eq!(
                (read.ipa, read.pa, read.owner),
                (region.ipa, region.pa, region.owner),
                "{}",
                region.name
            );
        }
        let tree = dt::read("planned", &plan.dtb).unwrap().1;
        let (kernel, initrd) = (Some(&plan.images.kernel[..]), plan.images.initrd.as_deref());
        let files = Files { system, tree, kernel, initrd };
        let subject = CheckInput::from_files(&board, None, files).unwrap();
        assert_eq!(errors(&subject), []);
    }
}

/// Issue 5, line 2.
#[test]
fn one_wish_makes_a_maaxboard_guest_from_debians_tree() {
    let Some(blob) = evk() else { return };
    let (_, tree) = dt::read("evk", &blob).unwrap();
    let board = board("maaxboard");
    let wish = Wish {
        pass: vec![Pass::parse("serial@30860000,clocks=25000000,drop=pins+dmas").unwrap()],
        ..Wish::default()
    };
    let plan = Plan::with_tree(&board, &wish, images(), Some(tree)).unwrap();
    assert_eq!(errors(&CheckInput::from_plan(&plan)), []);
    let pages: Vec<_> = plan
        .regions
        .iter()
        .filter(|region| region.kind == Kind::Device && region.ipa.is_some())
        .collect();
    assert_eq!(pages.len(), 1);
    assert_eq!((pages[0].ipa, pages[0].size), (Some(Ipa(0x3086_0000)), 0x1_0000));
    let guest = Tree::new(&plan.tree);
    assert!(guest.nodes().count() < 25, "{} nodes", guest.nodes().count());
    assert_eq!(plan.lines.len(), 1);
    // The wake-up controller in between is not there, and the interrupt goes to the GIC.
    let uart = guest.node(guest.stdout().unwrap());
    assert_eq!(uart.interrupts[0].gic, Some(GicInterrupt { intid: 58, trigger: Trigger::Level }));
}

#[test]
fn the_node_table_says_what_the_board_has() {
    let Some(blob) = evk() else { return };
    let (_, tree) = dt::read("evk", &blob).unwrap();
    let plan =
        Plan::with_tree(&board("maaxboard"), &Wish::default(), images(), Some(tree)).unwrap();
    let bytes = plan.block().unwrap();
    let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
    zerocopy::IntoBytes::as_mut_bytes(aligned.as_mut_slice())[..bytes.len()]
        .copy_from_slice(&bytes);
    let block = Block::read(zerocopy::IntoBytes::as_bytes(aligned.as_slice())).unwrap();
    let at = |ipa: u64| block.nodes().iter().find(|node| node.window.ipa == ipa).unwrap();
    assert_eq!(at(0x3086_0000).state, NodeState::Given);
    assert_eq!(at(0x3038_0000).state, NodeState::Enabled);
    assert_eq!(at(0x3038_0000).option.as_str(), "CLK_IMX8MQ");
    assert_eq!(at(0x3038_0000).path.as_str(), "/soc@0/bus@30000000/clock-controller@30380000");
    assert_eq!(at(0x30a6_0000).state, NodeState::Disabled);
}

#[test]
fn what_does_not_fit_says_how_big_and_what_is_left() {
    let maaxboard = board("maaxboard");
    let plan = |ram, host| {
        Plan::new(&maaxboard, &Wish { ram_mib: Some(ram), host, ..Wish::default() }, images())
    };
    for ram in [256, 512, 1024] {
        assert!(plan(ram, Host::Microkit).is_ok());
        assert!(plan(ram, Host::Baremetal).is_ok());
    }
    let error = plan(2048, Host::Microkit).unwrap_err().to_string();
    assert!(error.contains("2 GiB") && error.contains("--ram 20"), "{error}");
    assert!(plan(2048, Host::Baremetal).unwrap_err().to_string().contains("are left"));
    let error = plan(3, Host::Microkit).unwrap_err().to_string();
    assert!(error.contains("multiple of 2"), "{error}");
}

#[test]
fn equal_addresses_take_the_places_that_the_board_has() {
    let maaxboard = board("maaxboard");
    let wish = |ram, host| Wish { ram_mib: Some(ram), host, identity: true, ..Wish::default() };
    for host in [Host::Microkit, Host::Baremetal] {
        let plan = Plan::new(&maaxboard, &wish(1024, host), images()).unwrap();
        let ram = plan.region(RegionName::Ram).unwrap();
        assert_eq!((ram.ipa, ram.pa), (Some(Ipa(0x6000_0000)), Some(Pa(0x6000_0000))));
        assert_eq!(errors(&CheckInput::from_plan(&plan)), []);
    }
    let error =
        Plan::new(&maaxboard, &wish(1536, Host::Microkit), images()).unwrap_err().to_string();
    assert!(error.contains("1 GiB"), "{error}");
}

/// Issue 17, item 16: whatever does not fit, the number that does is named and is one.
#[test]
fn the_most_ram_that_fits_is_named_and_fits() {
    let images = || Images { initrd: Some(archive(0x12_3456)), ..images() };
    let plan = |board: &Board, wish: Wish| {
        Plan::new(board, &wish, images()).map_err(|error| error.to_string()).err()
    };
    for (name, host, identity) in [
        ("qemu", Host::Microkit, false),
        ("qemu", Host::Microkit, true),
        ("qemu", Host::Baremetal, false),
        ("qemu", Host::Baremetal, true),
        ("maaxboard", Host::Microkit, false),
        ("maaxboard", Host::Microkit, true),
        ("maaxboard", Host::Baremetal, false),
        ("maaxboard", Host::Baremetal, true),
    ] {
        let board = board(name);
        let of = |ram| Wish { ram_mib: Some(ram), host, identity, ..Wish::default() };
        for asked in [2046, 4096] {
            let error =
                plan(&board, of(asked)).unwrap_or_else(|| panic!("{name} {host:?} {asked}"));
            let most = error.split("--ram ").nth(1).and_then(|rest| rest.split(' ').next());
            let most: u64 =
                most.and_then(|most| most.parse().ok()).unwrap_or_else(|| panic!("{error}"));
            assert!(error.contains("is the most with"), "{error}");
            if host == Host::Baremetal && !identity {
                assert!(error.contains("memory ends at 0xc0000000"), "{error}");
            }
            assert_eq!(plan(&board, of(most)), None, "{name} {host:?} {identity}: {error}");
            assert!(plan(&board, of(most + 2)).is_some(), "{name} {host:?} {identity}: {error}");
        }
    }
    // The images are in its way: less RAM would not help.
    let mut close = board("qemu");
    close.ram.identity[0].base = 0x5420_0000;
    let wish = |host| Wish { host, identity: true, ..Wish::default() };
    let error = plan(&close, wish(Host::Baremetal)).unwrap();
    assert!(error.contains("smaller images, or no --identity"), "{error}");
    close.ram.identity.clear();
    let error = plan(&close, wish(Host::Microkit)).unwrap();
    assert!(error.contains("no [[ram.identity]] in board.toml"), "{error}");
}

#[test]
fn wishes_that_cannot_be_are_refused_by_name() {
    let qemu = board("qemu");
    let error = |wish: Wish| Plan::new(&qemu, &wish, images()).unwrap_err().to_string();
    assert!(error(Wish { gic: Some(3), ..Wish::default() }).contains("GICv3 on baremetal"));
    assert_eq!(
        error(Wish { vcpus: 9, ..Wish::default() }),
        "the number of virtual CPUs is 9: it must be 1 to 4 on board qemu_virt_aarch64 (--cpus N)"
    );
    assert!(error(Wish { vcpus: 0, ..Wish::default() }).contains("is 0"));
    assert!(
        error(Wish { pass: vec![Pass::parse("uart").unwrap()], ..Wish::default() })
            .contains("--tree")
    );
    let big = Images { kernel: kernel(0x2000_0000), ..Images::default() };
    let error = Plan::new(&qemu, &Wish::default(), big).unwrap_err().to_string();
    assert!(error.contains("only 256 MiB of guest RAM"), "{error}");
}

#[test]
fn one_number_makes_processors_of_every_kind() {
    for (name, gic, cores, vcpus) in
        [("qemu", 2, 1, 1), ("qemu", 2, 4, 4), ("qemu", 3, 1, 3), ("maaxboard", 3, 2, 4)]
    {
        let host = if (name, gic) == ("qemu", 3) { Host::Baremetal } else { Host::Microkit };
        let wish = Wish { gic: Some(gic), host, vcpus, cores, ..Wish::default() };
        let plan = Plan::new(&board(name), &wish, images()).unwrap();
        assert_eq!(errors(&CheckInput::from_plan(&plan)), []);
        let tree = Tree::new(&plan.tree);
        let node = |path: &str| tree.node(tree.by_path(path).unwrap());
        let cpus: Vec<_> = tree.nodes().filter(|(_, n)| n.path.starts_with("/cpus/")).collect();
        assert_eq!(cpus.len(), vcpus as usize);
        for (number, (_, cpu)) in (0..).zip(cpus) {
            assert_eq!(
                (cpu.cell("reg"), cpu.strings("enable-method")),
                (Some(number), vec!["psci".into()])
            );
        }
        assert_eq!(node("/psci").strings("method"), ["smc"]);
        let flags: Vec<_> =
            node("/timer").cells("interrupts").chunks(3).map(|ppi| ppi[2]).collect();
        let mask = if gic == 2 { (1 << vcpus) - 1 } else { 0 };
        assert_eq!(flags, [4 | mask << 8; 4]);
        let (_, controller) = tree.nodes().find(|(_, node)| is_gic(node)).unwrap();
        if gic == 3 {
            assert_eq!(controller.registers[1].size(), u64::from(vcpus) * 0x2_0000);
        }
        if host == Host::Microkit {
            let system = plan.system().unwrap();
            for vcpu in 0..vcpus {
                let line = match cores {
                    1 => format!("<vcpu id=\"{vcpu}\" />"),
                    _ => format!("<vcpu id=\"{vcpu}\" cpu=\"{}\" />", vcpu % cores),
                };
                assert!(system.contains(&line), "{line} in {system}");
            }
            assert_eq!(system.matches("<vcpu ").count(), vcpus as usize);
            let slice = if vcpus > cores { "budget=\"1000\"" } else { "budget=\"100000\"" };
            let machine = system.lines().find(|line| line.contains("<virtual_machine ")).unwrap();
            assert!(machine.contains(slice), "{machine}");
        }
    }
}

/// A seed in an image would be everyone's: what a plan writes holds zeros in its place, and no file
/// differs from run to run.
#[test]
fn no_file_of_a_plan_holds_a_seed() {
    for board in Board::all(&common::boards()).unwrap() {
        let plan = Plan::new(&board, &Wish::default(), images()).unwrap();
        for (name, length) in [("rng-seed", 32), ("kaslr-seed", 8)] {
            let found = vmm_core::chosen::property(&plan.dtb, name).map(|found| found.value);
            assert_eq!(found.is_some(), board.seed.is_some(), "{name} of {}", board.name);
            if let Some(value) = found {
                assert_eq!(plan.dtb[value], vec![0; length], "{name} of {}", board.name);
            }
        }
        assert!(plan.region(RegionName::Seed).is_none_or(|region| region.prefill.is_none()));
        let withheld = Wish { entropy: false, ..Wish::default() };
        let plan = Plan::new(&board, &withheld, images()).unwrap();
        assert!(vmm_core::chosen::property(&plan.dtb, "rng-seed").is_none());
        assert!(plan.region(RegionName::Seed).is_none());
    }
}

/// The emulated clock is where the board's own is read: not on a board without one, and not for a
/// guest that is given the board's.
#[test]
fn a_guest_has_a_clock_where_the_monitor_reads_one() {
    let clock = |name: &str, wish: &Wish, images: Images| {
        let plan = Plan::new(&board(name), wish, images).unwrap();
        let node = Tree::new(&plan.tree).by_path("/rtc@b001000").is_some();
        let read = plan.region(RegionName::Clock).map(|region| (region.ipa, region.pa));
        let emulated = plan.emulated().iter().any(|emulated| emulated.name == "real-time clock");
        assert_eq!((node, emulated), (read.is_some(), read.is_some()));
        read
    };
    let seen = Some((None, Some(Pa(0x0901_0000))));
    assert_eq!(clock("qemu", &Wish::default(), images()), seen);
    assert_eq!(clock("qemu", &Wish { host: Host::Baremetal, ..Wish::default() }, images()), seen);
    assert_eq!(clock("maaxboard", &Wish::default(), images()), None);
}
