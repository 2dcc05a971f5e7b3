// SPDX-License-Identifier: BSD-2-Clause
//! Links at the address of `memory.ld` with the section layout of aarch64-rt.

fn main() {
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-arg-bins=-Tmemory.ld");
    println!("cargo::rustc-link-arg-bins=-Timage.ld");
    println!("cargo::rerun-if-changed=memory.ld");
}
