// SPDX-License-Identifier: BSD-2-Clause
//! Makes the linker write each guest as a raw arm64 `Image`, so that no other tool is needed.

fn main() {
    println!("cargo::rerun-if-changed=image.ld");
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    // Position independent, because the boot protocol names the place only when the guest starts
    // (Linux Documentation/arch/arm64/booting.rst, 4). The code is built for a fixed place, so
    // there are addresses in read-only sections too: `-z notext` lets start.s relocate those.
    for argument in [
        &format!("-T{folder}/image.ld"),
        "-pie",
        "--no-dynamic-linker",
        "-znotext",
        "--oformat=binary",
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
