# SPDX-License-Identifier: BSD-2-Clause
# For programs without an operating system. The pinned toolchain brings `core` for their target and
# a linker.
{ lib, llvmPackages }:
{
  target = "aarch64-unknown-none";
  env = {
    # Panics and debug information embed the paths of sources: cargo names them by package.
    CARGO_UNSTABLE_TRIM_PATHS = "true";
    CARGO_PROFILE_RELEASE_TRIM_PATHS = "all";
    # bindgen reads the kernel's headers with it.
    LIBCLANG_PATH = "${lib.getLib llvmPackages.libclang}/lib";
  };
}
