# SPDX-License-Identifier: BSD-2-Clause
# The project's packages for one system: a scope, so that every file in this folder names what it
# needs in its argument list and anything can be replaced with `overrideScope`.
{ inputs, system }:
let
  pkgs = inputs.nixpkgs.legacyPackages.${system};
  inherit (pkgs) lib;
in
lib.makeScope pkgs.newScope (
  self:
  let
    # A file that gives a plain set: without what callPackage adds to it.
    callSet =
      file: arguments:
      removeAttrs (self.callPackage file arguments) [
        "override"
        "overrideDerivation"
      ];
  in
  {
    inherit (inputs) advisory-db;
    microkit-src = inputs.microkit;
    sel4-src = inputs.sel4;
    buildroot-src = inputs.buildroot;

    # Of this tree, for manifests.
    revision = inputs.self.rev or inputs.self.dirtyRev or "unknown";

    sources = callSet ./sources.nix { };
    pins = callSet ./pins.nix { };

    # The one compiler, for host programs, the SDK's initialiser and the monitor alike.
    toolchain =
      (inputs.rust-overlay.lib.mkRustBin { } pkgs).fromRustupToolchainFile
        self.sources.toolchainFile;
    craneLib = (inputs.crane.mkLib pkgs).overrideToolchain (_: self.toolchain);

    microkit-tool = self.callPackage ./microkit-tool.nix { };
    microkit-sdk = self.callPackage ./microkit-sdk.nix {
      boards = lib.mapAttrsToList (_: facts: facts.microkit.board) self.boardFacts;
      configs = [
        "release"
        "debug"
      ];
    };

    bareEnv = callSet ./bare-env.nix { };
    workspace = callSet ./workspace.nix { };
    inherit (self.workspace) guestplan harness;
    crates = callSet ./crates.nix { };
    programs = self.callPackage ./programs.nix { };
    guest-env = self.callPackage ./guest-env.nix { };

    # Facts of every board under boards/, and its packages; both by alias.
    boardFacts = callSet ./board-facts.nix { };
    boards = lib.mapAttrs (_: facts: self.callPackage ./board.nix { inherit facts; }) self.boardFacts;
    forBoards = outputsOf: lib.concatMapAttrs outputsOf self.boards;
    images = self.callPackage ./images.nix { };

    # The demonstration: the first board that is an emulator's own machine, without seL4.
    demo =
      (lib.findFirst (board: board.facts.virtual) null (lib.attrValues self.boards)).emulator.baremetal;
    treefmt = inputs.treefmt-nix.lib.evalModule pkgs (
      import ./treefmt.nix { inherit (self) toolchain; }
    );
    checks = callSet ./checks.nix { flake = inputs.self; };
    devshell = self.callPackage ./devshell.nix { };
  }
)
