# SPDX-License-Identifier: BSD-2-Clause
# What runs with no operating system under it, besides the monitor on seL4: the monitor's
# bare-metal host, the conformance guests, and the shims that play a board's firmware.
{
  lib,
  bareEnv,
  craneLib,
  sources,
  toolchain,
}:
craneLib.buildPackage {
  pname = "programs";
  inherit ((lib.importTOML ../Cargo.toml).workspace.package) version;
  src = sources.workspace;
  cargoArtifacts = null;
  cargoExtraArgs = lib.concatStringsSep " " [
    "--locked"
    "--target ${bareEnv.target}"
    "--package vmm-baremetal"
    "--package guest-conformance"
    "--package machine-shims"
  ];
  strictDeps = true;
  preBuild = bareEnv.trimPaths;
  doCheck = false;
  dontStrip = true;
  dontPatchELF = true;
  disallowedReferences = [
    sources.workspace
    toolchain
  ];
  meta = {
    description = "Bare-metal monitor, conformance guests and firmware shims";
    license = lib.licenses.bsd2;
  };
}
