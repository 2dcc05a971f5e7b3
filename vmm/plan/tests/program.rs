// SPDX-License-Identifier: BSD-2-Clause
//! What the programs with no seL4 under them are built with is what `board.toml` says, and a board
//! file that does not say it is refused with the field's name.

mod common;

use common::boards;
use vmm_plan::Board;
use vmm_plan::program::{Firmware, constants, linker_memory};

fn text(board: &str) -> String {
    std::fs::read_to_string(boards().join(board).join("board.toml")).unwrap()
}

#[test]
fn each_address_of_a_program_is_its_boards() {
    for (board, base, console, at) in [
        ("qemu_virt_aarch64", 0x5000_0000_u64, "Pl011", "0x9000000"),
        ("maaxboard", 0x5000_0000, "Imx", "0x30860000"),
    ] {
        // The same board elsewhere: nothing is left where it was.
        for moved in [0, 0x400_0000] {
            let there = format!("monitor = {{ base = {:#x}", base + moved);
            let here = "monitor = { base = 0x50000000";
            assert!(text(board).contains(here));
            let board_facts = Board::parse(board, &text(board).replace(here, &there)).unwrap();
            let (start, end) = (base + moved, base + moved + 0x400_0000);
            let constants = constants(&board_facts).unwrap();
            for line in [
                format!("pub const NAME: &str = \"{board}\";"),
                format!("pub const MONITOR: Range<u64> = {start:#x}..{end:#x};"),
                format!("pub const PLAN: Range<u64> = {end:#x}..{:#x};", end + 0x4_0000),
                "pub const MEMORY: Range<u64> = 0x40000000..0xc0000000;".into(),
                format!("pub const CONSOLE: Uart = Uart::{console};"),
                format!("pub const CONSOLE_BASE: usize = {at};"),
            ] {
                assert!(constants.lines().any(|is| is == line), "{line} in {constants}");
            }
            let linked = linker_memory(&board_facts).unwrap();
            assert!(
                linked.contains(&format!("ORIGIN = {start:#x}, LENGTH = 0x4000000")),
                "{linked}"
            );
        }
    }
}

#[test]
fn a_board_file_that_leaves_out_or_misplaces_an_address_is_refused_by_the_fields_name() {
    let whole = text("maaxboard");
    let monitor = "monitor = { base = 0x50000000, size = 0x04000000 }";
    let memory = "memory = { base = 0x40000000, size = 0x80000000 }";
    for (from, to, says) in [
        (monitor, "", "missing field `monitor`"),
        (memory, "", "missing field `memory`"),
        (monitor, "monitor = { base = 0x50000000 }", "missing field `size`"),
        (monitor, "monitor = { base = 0x50001000, size = 0x04000000 }", "whole 2 MiB pages"),
        (monitor, "monitor = { base = 0x3f000000, size = 0x04000000 }", "within baremetal.memory"),
        (monitor, "monitor = { base = 0x50000000, size = 0 }", "baremetal.monitor: "),
        (memory, "memory = { base = 0x40000000, size = 0x50000000 }", "whole GiB"),
        (memory, "memory = { base = 0x8000000000, size = 0x40000000 }", "below 0x8000000000"),
        (memory, "memory = 0x40000000", "invalid type"),
    ] {
        assert!(whole.contains(from));
        let error = Board::parse("x", &whole.replace(from, to)).unwrap_err();
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_program_is_not_built_for_a_board_without_what_it_needs() {
    let maaxboard = Board::parse("maaxboard", &text("maaxboard")).unwrap();
    let firmware = Firmware {
        entry: 0x5000_0000,
        ram: 0x4000_0000,
        distributor: 0x3880_0000,
        redistributors: 0x3888_0000,
    };
    assert_eq!(Firmware::of(&maaxboard).unwrap(), firmware);
    let refused = |board: &Board| {
        (constants(board).map(|_| ()), Firmware::of(board).unwrap_err().to_string())
    };
    let without = Board { baremetal: None, ..maaxboard.clone() };
    let (program, shim) = refused(&without);
    assert!(program.unwrap_err().to_string().contains("no [baremetal] facts"));
    assert!(shim.contains("maaxboard: no [baremetal] facts"), "{shim}");
    let mut without = maaxboard.clone();
    without.gic.v3 = None;
    let (program, shim) = refused(&without);
    assert!(program.is_ok() && shim.contains("no [gic.v3]"), "{shim}");
    let mut apart = maaxboard;
    apart.microkit.loader_address = 0x7000_0000;
    let (program, shim) = refused(&apart);
    assert!(program.is_ok() && shim.contains("microkit.loader_address is 0x70000000"), "{shim}");
}
