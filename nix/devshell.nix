# SPDX-License-Identifier: BSD-2-Clause
# `nix develop`: what the commands in ci/ use, an SDK and a test guest, both built before the first
# prompt. `nix develop .#bare`: the tools alone, which a public binary cache has.
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
  linkFarm,
  llvmPackages,
  microkit-sdk,
  mkShell,
  mtools,
  qemu,
  shellcheck,
  systems,
  toolchain,
  treefmt,
  ubootTools,
  util-linux,
}:
let
  shell =
    name: more:
    mkShell (
      {
        inherit name;
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
        LIBCLANG_PATH = "${lib.getLib llvmPackages.libclang}/lib";
        # ci/toolchain.sh leaves PATH as it is, ci/setup has nothing to do.
        VMM_TOOLS = "provided";
      }
      // more
    );
  inherit ((lib.head (lib.attrValues systems)).internal) guest initrd;
in
{
  default = shell "vmm" {
    MICROKIT_SDK = microkit-sdk;
    # What ci/boot boots without --kernel.
    VMM_GUEST = linkFarm "test-guest" {
      Image = guest.kernel;
      "initrd.cpio" = initrd;
    };
  };
  bare = shell "vmm-bare" { };
}
