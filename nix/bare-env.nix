# SPDX-License-Identifier: BSD-2-Clause
# For programs without an operating system: the pinned toolchain brings `core` for their target.
{
  lib,
  lld,
  llvmPackages,
  toolchain,
}:
rec {
  target = "aarch64-unknown-none";
  nativeBuildInputs = [ lld ];
  env = {
    CARGO_TARGET_AARCH64_UNKNOWN_NONE_LINKER = "ld.lld";
    # For bindgen, which reads the kernel's headers.
    LIBCLANG_PATH = "${lib.getLib llvmPackages.libclang}/lib";
  };
  # Panics embed the paths of sources: each gets a name outside the store.
  remapPaths = ''
    export CARGO_TARGET_AARCH64_UNKNOWN_NONE_RUSTFLAGS="${
      lib.concatStringsSep " " (
        map (prefix: "--remap-path-prefix=${prefix}") [
          "$cargoVendorDir=vendor"
          "${toolchain}=toolchain"
          "$PWD=source"
        ]
      )
    }"
  '';
}
