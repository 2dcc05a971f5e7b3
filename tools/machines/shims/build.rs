// SPDX-License-Identifier: BSD-2-Clause
//! Gives each shim its linker script.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for (bin, script) in [("imx8mp-el2", "el2.ld"), ("imx8mp-el3", "el3.ld")] {
        println!("cargo:rustc-link-arg-bin={bin}=-T{folder}/{script}");
        println!("cargo:rerun-if-changed={script}");
    }
    println!("cargo:rustc-link-arg-bin=imx8mp-el2=--oformat=binary");
}
