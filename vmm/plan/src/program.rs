// SPDX-License-Identifier: BSD-2-Clause
//! What a program with no seL4 under it is built with: the addresses of one board, from its
//! `board.toml`. The build scripts of `vmm/hosts/baremetal` and `tools/machines/shims` ask here, so
//! that their sources name no address of a board (but for the register by which the shim that plays
//! firmware turns its one machine off).

use std::fmt::Write;
use std::path::Path;

use crate::board::{Baremetal, Board, GicV3, Uart};
use crate::error::PlanError;
use crate::memory::BLOCK_SIZE;
use crate::span::Span;

/// The environment variable that names the board file, from the root of the workspace.
pub const VARIABLE: &str = "VMM_BOARD";

/// Reads the board file that [`VARIABLE`] names, and tells cargo to build again when either changes.
///
/// # Errors
/// The variable is not set, or the board file does not read; in words.
pub fn board(root: &Path) -> Result<Board, String> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let path = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).ok_or_else(|| {
        format!(
            "{VARIABLE} is not set: it names the board file that this program is built for, for example \
             {VARIABLE}=boards/maaxboard/board.toml (ci/boot sets it)"
        )
    })?;
    let path = root.join(path);
    println!("cargo::rerun-if-changed={}", path.display());
    Board::read(&path).map_err(|error| error.to_string())
}

fn lacks(board: &Board, lack: &str) -> PlanError {
    PlanError::BoardLacks { board: board.name.clone(), lack: lack.into() }
}

/// The bare-metal monitor's constants, as Rust.
///
/// # Errors
/// As [`Board::bare_metal`].
pub fn constants(board: &Board) -> Result<String, PlanError> {
    let facts = board.bare_metal()?;
    let kind = match board.console.kind {
        Uart::Pl011 => "Pl011",
        Uart::Imx => "Imx",
    };
    let plan = Span::until(facts.monitor.end(), facts.monitor.end().saturating_add(BLOCK_SIZE));
    let mut out = String::new();
    let mut constant = |name: &str, kind: &str, value: &dyn std::fmt::Display| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "pub const {name}: {kind} = {value};");
    };
    constant("NAME", "&str", &format_args!("{:?}", board.name));
    constant("MONITOR", "Range<u64>", &facts.monitor);
    constant("PLAN", "Range<u64>", &plan);
    constant("MEMORY", "Range<u64>", &facts.memory);
    constant("CONSOLE", "Uart", &format_args!("Uart::{kind}"));
    constant("CONSOLE_BASE", "usize", &format_args!("{:#x}", board.console.registers.base()));
    Ok(out)
}

/// The bare-metal monitor's place, for the linker.
///
/// # Errors
/// As [`Board::bare_metal`].
pub fn linker_memory(board: &Board) -> Result<String, PlanError> {
    let monitor = board.bare_metal()?.monitor;
    let (base, size) = (monitor.base(), monitor.size());
    Ok(format!("MEMORY\n{{\n\timage : ORIGIN = {base:#x}, LENGTH = {size:#x}\n}}\n"))
}

/// What plays a board's firmware has to know of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// What it enters: where a boot loader puts the system image, with seL4 and without.
    pub entry: u64,
    /// First address of the board's RAM.
    pub ram: u64,
    /// GICD.
    pub distributor: u64,
    /// The first GICR frame.
    pub redistributors: u64,
}

impl Firmware {
    /// From the facts of a board.
    ///
    /// # Errors
    /// The board has no GICv3 or no bare-metal host, or its images are entered at different addresses.
    pub fn of(board: &Board) -> Result<Self, PlanError> {
        let Baremetal { monitor, memory, .. } = board.bare_metal()?;
        let Some(GicV3 { distributor, redistributors, .. }) = &board.gic.v3 else {
            return Err(lacks(board, "no [gic.v3], whose interrupt groups a firmware shim sets"));
        };
        let entry = board.microkit.loader_address;
        if entry != monitor.base() {
            let lack = format!(
                "no one address to enter: microkit.loader_address is {entry:#x}, baremetal.monitor is \
                 at {:#x}; a firmware shim enters both at the same",
                monitor.base()
            );
            return Err(lacks(board, &lack));
        }
        Ok(Self {
            entry,
            ram: memory.base(),
            distributor: distributor.base(),
            redistributors: redistributors.base(),
        })
    }
}
