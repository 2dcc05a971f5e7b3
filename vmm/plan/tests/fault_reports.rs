// SPDX-License-Identifier: BSD-2-Clause
//! What the monitor says of a device that a guest was not given. The golden files were written by
//! the release image on seL4, after `devmem ADDRESS` at the guest's shell; here the same plan
//! block and the same fault must give the same text.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{board, evk, images};
use vmm_core::addr::Ipa;
use vmm_core::fault::{Fault, FaultReport, Place};
use vmm_core::host::{Gpr, Vcpu};
use vmm_core::plan::Plan as Block;
use vmm_core::syndrome::Access;
use vmm_plan::{Plan, Wish, dt};

/// A load by Debian's static busybox, whose addresses do not move.
fn report(ipa: u64, esr: u64) -> FaultReport {
    let access = Access { write: false, size: 4, signed: false, wide: false, reg: Gpr::new(3) };
    FaultReport {
        fault: Fault::UnownedAddress { ipa: Ipa(ipa), access: Some(access) },
        vcpu: Vcpu(0),
        at: Some(Place { pc: 0x4c_7ed8, lr: 0x4c_7e10 }),
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
    let text = text.replace('\r', "");
    assert_eq!(text.trim(), std::fs::read_to_string(path).unwrap().trim());
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
