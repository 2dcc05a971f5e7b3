// SPDX-License-Identifier: BSD-2-Clause
//! Gives each shim its linker script, and the addresses of its board ([`program::VARIABLE`]).

use std::path::Path;
use std::process::ExitCode;

use vmm_plan::program::{self, Firmware};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

fn main() -> ExitCode {
    let facts = program::board(&Path::new(FOLDER).join("../../.."))
        .and_then(|board| Firmware::of(&board).map_err(|error| error.to_string()));
    let Firmware { entry, ram, distributor, redistributors } = match facts {
        Ok(facts) => facts,
        Err(why) => {
            println!("cargo::error={why}");
            return ExitCode::FAILURE;
        }
    };
    for (name, value) in [("ENTRY", entry), ("GICD", distributor), ("GICR", redistributors)] {
        println!("cargo::rustc-env={name}={value:#x}");
    }
    for (bin, script) in [("imx8mp-el2", "el2.ld"), ("imx8mp-el3", "el3.ld")] {
        println!("cargo::rustc-link-arg-bin={bin}=-T{FOLDER}/{script}");
        println!("cargo::rerun-if-changed={script}");
    }
    println!("cargo::rustc-link-arg-bin=imx8mp-el2=--defsym=ram={ram:#x}");
    println!("cargo::rustc-link-arg-bin=imx8mp-el2=--oformat=binary");
    ExitCode::SUCCESS
}
