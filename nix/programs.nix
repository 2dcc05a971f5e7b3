# SPDX-License-Identifier: BSD-2-Clause
# What runs with no operating system under it, besides the monitor on seL4: the conformance guests,
# and for one board (machines.nix) the monitor's bare-metal host or the shims that play its firmware.
# Those have the board's addresses in them (vmm/plan/src/program.rs).
{
  lib,
  bareEnv,
  craneLib,
  sources,
  toolchain,
  package ? "guest-conformance",
  facts ? null,
}:
craneLib.buildPackage {
  pname = package;
  inherit ((lib.importTOML ../Cargo.toml).workspace.package) version;
  src = sources.workspace;
  cargoArtifacts = null;
  cargoExtraArgs = lib.concatStringsSep " " [
    "--locked"
    "--target ${bareEnv.target}"
    "--package ${package}"
  ];
  env = lib.optionalAttrs (facts != null) {
    VMM_BOARD = "${sources.boards}/${facts.folder}/board.toml";
  };
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
    description = "What runs with no operating system under it: ${package}";
    license = lib.licenses.bsd2;
  };
}
