# SPDX-License-Identifier: BSD-2-Clause
# `nix develop`: what the commands in ci/ use, and an SDK that is already built.
{
  lib,
  cargo-audit,
  cargo-deny,
  cargo-nextest,
  cpio,
  dosfstools,
  dtc,
  gdb,
  jq,
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
  util-linux,
}:
mkShell {
  packages = [
    cargo-audit
    cargo-deny
    cargo-nextest
    cpio
    dosfstools
    dtc
    gdb
    jq
    lld
    mtools
    qemu
    shellcheck
    toolchain
    treefmt.config.build.wrapper
    ubootTools
    util-linux
  ];
  MICROKIT_SDK = microkit-sdk;
  LIBCLANG_PATH = "${lib.getLib llvmPackages.libclang}/lib";
}
