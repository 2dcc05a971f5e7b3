// SPDX-License-Identifier: BSD-2-Clause
//! What the monitor says of a device that a guest was not given. The golden files are what the
//! release image on seL4 says, after `devmem ADDRESS` at the guest's shell; here the same plan
//! block and the same fault must give the same text. `ci/drills` boots what the ways out ask for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Build, board, boards, evk, images};
use dtoolkit::model::{DeviceTree, DeviceTreeProperty};
use vmm_core::addr::Ipa;
use vmm_core::arm::syndrome::Access;
use vmm_core::fault::{CodeLocation, Fault, FaultReport};
use vmm_core::ids::{Gpr, Vcpu};
use vmm_core::plan::{NodeState, PlanBlock as Block};
use vmm_plan::dt::Tree;
use vmm_plan::wish::Pass;
use vmm_plan::{Images, Plan, Wish, dt};

/// A load by Debian's static busybox, whose addresses do not move.
fn report(ipa: u64, esr: u64) -> FaultReport {
    let access = Access { write: false, size: 4, signed: false, wide: false, reg: Gpr::new(3) };
    FaultReport {
        fault: Fault::UnownedAddress { ipa: Ipa(ipa), access: Some(access) },
        vcpu: Vcpu(0),
        at: Some(CodeLocation { pc: 0x4c_7ed8, lr: 0x4c_7e10 }),
        esr: Some(esr),
    }
}

fn compare(name: &str, tree: &[u8], report: &FaultReport, golden: &str) {
    let tree = dt::read("of the board", tree).unwrap().1;
    let plan = Plan::with_tree(&board(name), &Wish::default(), images(), Some(tree)).unwrap();
    let bytes = plan.block().unwrap();
    // The heap's alignment is enough for a plan block.
    let block = Block::read(&bytes).unwrap();
    let mut text = String::new();
    report.render(&block, &mut text).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(golden);
    // What the harness knows the monitor by is no word of it.
    let text = text.replace(['\r', '\u{18}'], "");
    assert_eq!(text.trim(), std::fs::read_to_string(path).unwrap().trim());
}

/// The report of a touch at `ipa`, in a guest whose own tree is the computed one after `change`.
fn with_tree(ipa: u64, change: impl FnOnce(&mut DeviceTree)) -> String {
    let (board, wish) = (board("qemu"), Wish::default());
    let board_tree = || Build::new("").child(pl031("pl031@9010000")).tree();
    let mut tree = Plan::new(&board, &wish, images()).unwrap().tree;
    change(&mut tree);
    let images = Images { dtb: Some(tree.to_dtb()), ..images() };
    let mut own = board_tree();
    for name in ["#address-cells", "#size-cells"] {
        own.root.add_property(DeviceTreeProperty::new(name, 2_u32).unwrap());
    }
    let plan = Plan::with_tree(&board, &wish, images, Some(Tree::new(&own))).unwrap();
    let bytes = plan.block().unwrap();
    let mut text = String::new();
    report(ipa, 0x9383_0007).render(&Block::read(&bytes).unwrap(), &mut text).unwrap();
    text.replace('\r', "")
}

fn pl031(name: &str) -> Build {
    Build::new(name)
        .with("compatible", &["arm,pl031", "arm,primecell"][..])
        .with("reg", [0, 0x901_0000_u32, 0, 0x1000])
}

/// Issue 17, item 13: an enabled node of the guest's own tree is not given by being there.
#[test]
fn a_node_that_only_the_guests_tree_has_enabled_has_three_ways_out() {
    let text = with_tree(0x901_0000, |tree| tree.root.add_child(pl031("rtc@9010000").0));
    for line in [
        "/pl031@9010000 (\"arm,pl031\", enabled on the board, not the guest's)",
        "1. Disable the node in the guest's device tree:",
        "@        &{/rtc@9010000} { status = \"disabled\"; };",
        "# CONFIG_RTC_DRV_PL031 is not set",
        "--pass /pl031@9010000",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

/// Linux's gic-v2m does not look at `status`.
#[test]
fn a_node_that_is_disabled_in_vain_is_to_be_deleted() {
    let disabled = || pl031("pl031@9010000").with("status", "disabled");
    let text = with_tree(0x901_0000, |tree| tree.root.add_child(disabled().0));
    assert!(text.contains("@        /delete-node/ &{/pl031@9010000};"), "{text}");
    assert!(!text.contains("status ="), "{text}");
}

/// Linux's bus for PrimeCells reads the last 32 bytes of their registers by itself: there the second
/// way is none, and the report says so; elsewhere it does not.
#[test]
fn of_a_primecells_identification_the_second_way_is_none() {
    let note = "of a PrimeCell Linux's bus reads this register with or without a driver";
    let said =
        |ipa| with_tree(ipa, |tree| tree.root.add_child(pl031("pl031@9010000").0)).contains(note);
    assert!(said(0x901_0fe0) && said(0x901_0ffc));
    assert!(!said(0x901_0fdc) && !said(0x901_000c));
}

/// What is mapped is given, whatever the trees say.
#[test]
fn what_is_mapped_or_emulated_is_the_guests_own() {
    let pass = Wish { pass: vec![Pass::parse("pl031@9010000").unwrap()], ..Wish::default() };
    let mut own = Build::new("").child(pl031("pl031@9010000")).tree();
    for name in ["#address-cells", "#size-cells"] {
        own.root.add_property(DeviceTreeProperty::new(name, 2_u32).unwrap());
    }
    let tree = || Some(Tree::new(&own));
    let state = |wish: &Wish| {
        let plan = Plan::with_tree(&board("qemu"), wish, images(), tree()).unwrap();
        // A guest that has the board's clock needs no other.
        assert_eq!(plan.clock().is_none(), !wish.pass.is_empty());
        let bytes = plan.block().unwrap();
        Block::read(&bytes).unwrap().nodes()[0].state
    };
    assert_eq!((state(&pass), state(&Wish::default())), (NodeState::Given, NodeState::Enabled));
}

/// The lines of the third way, at the end of the board's file as the report says.
#[test]
fn the_third_way_out_is_pasted_as_printed() {
    let text = with_tree(0x901_0000, |_| ());
    let lines: Vec<_> = text.lines().map(|line| line.trim_start_matches("@").trim()).collect();
    let from = lines.iter().position(|line| *line == "[[pass]]").unwrap();
    assert!(lines[from - 1].ends_with("at the end of boards/qemu_virt_aarch64/board.toml:"));
    let facts = std::fs::read_to_string(boards().join("qemu_virt_aarch64/board.toml")).unwrap();
    let facts = format!("{facts}\n{}\n", lines[from..from + 2].join("\n"));
    let board = vmm_plan::Board::parse("qemu_virt_aarch64", &facts).unwrap();
    assert_eq!(board.pass, [Pass::parse("/pl031@9010000").unwrap()]);
    assert_eq!(board.smc.rules, []);
}

#[test]
fn the_clock_controller_of_the_maaxboard() {
    if let Some(tree) = evk() {
        compare(
            "maaxboard",
            &tree,
            &report(0x3038_0000, 0x9383_0006),
            "report-maaxboard-30380000.txt",
        );
    }
}

#[test]
fn the_pin_controller_of_the_maaxboard() {
    if let Some(tree) = evk() {
        compare(
            "maaxboard",
            &tree,
            &report(0x3033_0000, 0x9383_0006),
            "report-maaxboard-30330000.txt",
        );
    }
}

#[test]
fn the_clock_of_qemus_machine() {
    let path = std::env::temp_dir().join(format!("fault-report-{}.dtb", std::process::id()));
    let dump = format!("virt,gic-version=2,dumpdtb={}", path.display());
    let qemu = Command::new("qemu-system-aarch64")
        .args(["-machine", &dump, "-cpu", "cortex-a53", "-display", "none", "-nic", "none"])
        .output();
    if qemu.is_err() {
        println!("skipped: no qemu-system-aarch64 (ci/setup installs it)");
        return;
    }
    let tree = std::fs::read(&path).expect("QEMU writes its device tree");
    std::fs::remove_file(&path).unwrap();
    compare("qemu", &tree, &report(0x0901_0000, 0x9383_0007), "report-qemu-pl031.txt");
}
