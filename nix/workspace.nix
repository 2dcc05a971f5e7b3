# SPDX-License-Identifier: BSD-2-Clause
# The main cargo workspace: the commands that come out of it, and the checks of its code.
{
  lib,
  bareEnv,
  boardFacts,
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
    # Nothing builds on what another compiled: each keeps its result alone.
    doInstallCargoArtifacts = false;
  };
  clippy =
    {
      env ? { },
      targets ? "",
      allowed ? [ ],
    }:
    craneLib.cargoClippy (
      common
      // {
        inherit env;
        cargoClippyExtraArgs = "${targets} -- --deny warnings ${
          lib.concatMapStringsSep " " (lint: "--allow clippy::${lint}") allowed
        }";
      }
    );
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
    package = "harness";
    name = "harness";
    description = "The program behind the commands in ci/";
  };

  checks = {
    clippy = clippy { };
    # A test may panic, index and calculate: a failed test is what that is. As in ci/test.
    clippy-tests = clippy {
      targets = "--tests";
      allowed = [
        "arithmetic_side_effects"
        "cast_possible_truncation"
        "expect_used"
        "indexing_slicing"
        "panic"
        "unreachable"
        "unwrap_used"
      ];
    };
    # For any one board: each of them is built for its own.
    clippy-bare = clippy {
      env.VMM_BOARD = "boards/${(lib.head (lib.attrValues boardFacts)).folder}/board.toml";
      targets = "--target ${bareEnv.target} --package vmm-core --package vmm-baremetal --package guest-conformance";
    };
    tests = craneLib.cargoTest (common // { src = sources.everything; });
    docs = craneLib.cargoDoc (
      common
      // {
        cargoDocExtraArgs = "--no-deps --all-features";
        env.RUSTDOCFLAGS = "--deny warnings";
      }
    );
  };
}
