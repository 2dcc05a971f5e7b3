// SPDX-License-Identifier: BSD-2-Clause
//! Device trees of somebody else's making: refused by name, or planned with as far as it goes.

use std::sync::LazyLock;

use vmm_plan::check::CheckInput;
use vmm_plan::closure::Closure;
use vmm_plan::drivers::Drivers;
use vmm_plan::wish::Pass;
use vmm_plan::{Board, Host, Images, Plan, Wish, dt};

use crate::boards::QEMU;

static BOARD: LazyLock<Board> = LazyLock::new(|| Board::parse("qemu_virt_aarch64", QEMU).unwrap());
static DRIVERS: LazyLock<Drivers> = LazyLock::new(Drivers::built_in);

/// What `guestplan` does with a plan.
pub fn use_plan(plan: &Plan) {
    for finding in CheckInput::from_plan(plan).findings() {
        assert!(!finding.to_string().is_empty());
    }
    // More lines, rules or regions than the block has room for is an answer.
    let _ = plan.block();
    let _ = plan.system();
    let _ = plan.tree_source();
    let map = vmm_plan::map::Map::new(plan, true);
    assert!(!map.text().is_empty() && !map.markdown().is_empty() && map.svg().starts_with("<svg"));
}

/// The target.
pub fn run(bytes: &[u8]) {
    let (_, tree) = match dt::read("fuzzed", bytes) {
        Ok(read) => read,
        Err(error) => return assert!(error.to_string().starts_with("device tree fuzzed: ")),
    };
    assert_eq!(crate::same::difference(bytes, &tree), None);
    let _ = tree.stdout();
    let _ = DRIVERS.clone().only_for(std::slice::from_ref(&tree));
    let wished = tree.nodes().filter(|(_, node)| !node.registers.is_empty()).take(3);
    let pass: Vec<_> = wished
        .map(|(_, node)| Pass { node: node.path.clone(), clocks: vec![1], ..Pass::default() })
        .collect();
    if let Ok(closure) = Closure::new(&tree, &pass) {
        assert!(closure.nodes.len() <= tree.nodes().count() + 1);
    }
    // As the board's own, and as one given for the guest.
    let wish = Wish { pass, ..Wish::default() };
    if let Ok(plan) = Plan::with_tree(&BOARD, &wish, Images::none(), Some(tree)) {
        use_plan(&plan);
        let _ = vmm_plan::explain::address(&plan, 0x900_0000);
    }
    let images = Images { dtb: Some(bytes.to_vec()), ..Images::none() };
    let wish = Wish { host: Host::Baremetal, ..Wish::default() };
    if let Ok(plan) = Plan::new(&BOARD, &wish, images) {
        use_plan(&plan);
    }
}
