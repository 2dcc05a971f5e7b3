# SPDX-License-Identifier: BSD-2-Clause
# For programs without an operating system. The pinned toolchain brings `core` for their target and
# a linker.
{
  lib,
  llvmPackages,
  toolchain,
}:
{
  target = "aarch64-unknown-none";
  # bindgen reads the kernel's headers with it.
  env.LIBCLANG_PATH = "${lib.getLib llvmPackages.libclang}/lib";
  # Panics and debug information embed the paths of sources: each gets a name outside the store.
  # (Cargo's trim-paths leaves vendored git dependencies as they are.)
  trimPaths = ''
    export CARGO_TARGET_AARCH64_UNKNOWN_NONE_RUSTFLAGS="${
      lib.concatStringsSep " " [
        "--remap-path-prefix=$cargoVendorDir=vendor"
        "--remap-path-prefix=${toolchain}=toolchain"
        "--remap-path-prefix=$PWD=source"
        "-Zremap-cwd-prefix=."
      ]
    }"
  '';
}
