// SPDX-License-Identifier: BSD-2-Clause
//! Board files: refused by name, or a board that plans, or says why not, for every host.

use vmm_plan::{Board, Host, Images, Plan, Wish};

use crate::trees::use_plan;

/// QEMU's board file.
pub const QEMU: &str = include_str!("../../boards/qemu_virt_aarch64/board.toml");
/// The MaaXBoard's.
pub const MAAXBOARD: &str = include_str!("../../boards/maaxboard/board.toml");

/// The target.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let board = match Board::parse("fuzzed", text) {
        Ok(board) => board,
        Err(error) => return assert!(!error.is_empty()),
    };
    for (host, gic) in
        [(Host::Microkit, None), (Host::Baremetal, Some(2)), (Host::Baremetal, Some(3))]
    {
        let wish = Wish { host, gic, vcpus: board.cpu.max_vcpus.min(2), ..Wish::default() };
        match Plan::new(&board, &wish, Images::none()) {
            Ok(plan) => use_plan(&plan),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    for rule in &board.smc.rules {
        assert!(!vmm_plan::explain::smc(rule.function, Some(&board)).is_empty());
    }
}
