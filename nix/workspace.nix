# SPDX-License-Identifier: BSD-2-Clause
# The main cargo workspace: the commands that come out of it, and its checks. Dependencies are
# compiled once for all of them.
{
  lib,
  advisory-db,
  craneLib,
  sources,
}:
let
  manifest = lib.importTOML ../Cargo.toml;
  common = {
    pname = "workspace";
    inherit (manifest.workspace.package) version;
    src = sources.workspace;
    strictDeps = true;
    cargoArtifacts = null;
  };
  command =
    {
      package,
      name,
      description,
    }:
    craneLib.buildPackage (
      common
      // {
        pname = name;
        cargoExtraArgs = "--locked --package ${package}";
        # The check 'tests' runs them all.
        doCheck = false;
        meta = {
          inherit description;
          license = lib.licenses.bsd2;
          mainProgram = name;
        };
      }
    );
in
{
  guestplan = command {
    package = "vmm-plan";
    name = "guestplan";
    description = "From board facts to everything that a guest needs, checked before it boots";
  };
  harness = command {
    package = "ci-harness";
    name = "ci-harness";
    description = "The program behind the commands in ci/";
  };

  checks = {
    clippy = craneLib.cargoClippy (
      common // { cargoClippyExtraArgs = "--all-targets -- --deny warnings"; }
    );
    tests = craneLib.cargoTest (common // { src = sources.everything; });
    docs = craneLib.cargoDoc (
      common
      // {
        cargoDocExtraArgs = "--no-deps";
        env.RUSTDOCFLAGS = "--deny warnings";
      }
    );
    deny = craneLib.cargoDeny common;
    audit = craneLib.cargoAudit (common // { inherit advisory-db; });
  };
}
