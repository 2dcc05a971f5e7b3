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
  LIBCLANG_PATH = "${lib.getLib llvmPackages.libclang}/lib";
  # Panics embed the paths of sources: each gets a name outside the store.
  remapPaths = ''
    export CARGO_TARGET_AARCH64_UNKNOWN_NONE_RUSTFLAGS="${
      lib.concatMapStringsSep " " (prefix: "--remap-path-prefix=${prefix}") [
        "$cargoVendorDir=vendor"
        "${toolchain}=toolchain"
        "$PWD=source"
      ]
    }"
  '';
}
