// SPDX-License-Identifier: BSD-2-Clause
//! Microkit system files of somebody else's making: refused by name, or checked.

use std::sync::LazyLock;

use vmm_plan::check::{CheckInput, Files};
use vmm_plan::dt::Tree;
use vmm_plan::{Board, Images, Plan, Wish, sdf};

use crate::boards::QEMU;

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let board = Board::parse("qemu_virt_aarch64", QEMU).unwrap();
    Plan::new(&board, &Wish::default(), Images::none()).unwrap()
});

/// The target.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let system = match sdf::read(text, PLAN.board.microkit.memory.span()) {
        Ok(system) => system,
        Err(error) => return assert!(!error.is_empty()),
    };
    assert!(system.vcpus >= 1);
    // Checked with the tree of a guest that is well.
    let tree = Tree::new(&PLAN.tree);
    let kernel = Some(&PLAN.images.kernel[..]);
    let files = Files { system, tree: tree.clone(), kernel, initrd: None };
    let subject = CheckInput::from_files(&PLAN.board, Some(&tree), files);
    for finding in subject.unwrap().findings() {
        assert!(!finding.to_string().is_empty());
    }
}
