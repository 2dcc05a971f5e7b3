// SPDX-License-Identifier: BSD-2-Clause
//! Gives the program the addresses of its board ([`program::VARIABLE`]): constants for `src/board.rs`
//! and the place that it is linked at, with the section layout of aarch64-rt.

use std::path::Path;
use std::process::ExitCode;

use vmm_plan::program;

fn main() -> ExitCode {
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error={why}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), String> {
    let board = program::board(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.."))?;
    let out = std::env::var("OUT_DIR").map_err(|error| error.to_string())?;
    let write = |name: &str, text: Result<String, vmm_plan::PlanError>| {
        let text = text.map_err(|error| error.to_string())?;
        std::fs::write(Path::new(&out).join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    write("board.rs", program::constants(&board))?;
    write("memory.ld", program::linker_memory(&board))?;
    println!("cargo::rustc-link-search={out}");
    println!("cargo::rustc-link-arg-bins=-Tmemory.ld");
    println!("cargo::rustc-link-arg-bins=-Timage.ld");
    Ok(())
}
