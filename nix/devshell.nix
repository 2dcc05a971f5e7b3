# SPDX-License-Identifier: BSD-2-Clause
# `nix develop`: what the commands in ci/ use, and an SDK that is already built.
{
  lib,
  cargo-audit,
  cargo-deny,
  cargo-nextest,
  cpio,
  dtc,
  gdb,
  lld,
  llvmPackages,
  microkit-sdk,
  mkShell,
  mtools,
  qemu,
  shellcheck,
  toolchain,
  treefmt,
  ubootTools,
}:
mkShell {
  packages = [
    cargo-audit
    cargo-deny
    cargo-nextest
    cpio
    dtc
    gdb
    lld
    mtools
    qemu
    shellcheck
    toolchain
    treefmt.config.build.wrapper
    ubootTools
  ];
  MICROKIT_SDK = microkit-sdk;
  LIBCLANG_PATH = "${lib.getLib llvmPackages.libclang}/lib";
}
