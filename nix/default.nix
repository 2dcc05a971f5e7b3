# SPDX-License-Identifier: BSD-2-Clause
# The project's packages for one package set: a scope, so that every file in this folder names what
# it needs in its argument list and anything can be replaced with `overrideScope`.
{ inputs, pkgs }:
let
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
    # A file that gives a function.
    callSetIn =
      scope: file: arguments:
      removeAttrs (scope.callPackage file { } arguments) [ "override" ];
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
    # Also for boards that others bring: where Microkit has theirs already, this is the same SDK.
    microkit-sdk = self.callPackage ./microkit-sdk.nix {
      boards =
        let
          ours = callSet ./board-facts.nix { sources.boards = ../boards; };
          names = lib.mapAttrsToList (_: facts: facts.microkit.board);
        in
        lib.unique (names ours ++ names self.boardFacts);
      configs = [
        "release"
        "debug"
        "smp-release"
      ];
    };

    bareEnv = callSet ./bare-env.nix { };
    workspace = callSet ./workspace.nix { };
    inherit (self.workspace) guestplan harness;
    crates = callSet ./crates.nix { };
    programs = self.callPackage ./programs.nix { };
    guest-env = self.callPackage ./guest-env.nix { };

    # The public interface: README.md, 'For others'.
    mkGuest = import ./make-guest.nix { inherit lib; };
    mkSystem =
      wish:
      let
        own = lib.intersectAttrs {
          boards = null;
          profiles = null;
        } wish;
        scope = self.overrideScope (_: previous: { sources = previous.sources // own; });
        # With nothing of its own the same packages, not others that are equal.
        chosen = if own == { } then self else scope;
      in
      callSetIn chosen ./system.nix (removeAttrs wish (lib.attrNames own));

    # Facts of every board under boards/, by alias; and its system, with its own guest.
    boardFacts = callSet ./board-facts.nix { };
    systems = lib.mapAttrs (
      alias: _:
      self.mkSystem {
        board = alias;
        # The guest's own test, and guest/buildroot/README.md's promises.
        run = [ "guest-selftest" ];
        expect = "^guest login: ";
        initWithin = 0.6;
      }
    ) self.boardFacts;
    boards = lib.mapAttrs (_: system: system.internal) self.systems;
    forBoards = outputsOf: lib.concatMapAttrs outputsOf self.systems;
    images = self.callPackage ./images.nix { };

    # The demonstration: the first board that is an emulator's own machine, without seL4.
    demo =
      (lib.findFirst (board: board.facts.virtual) null (lib.attrValues self.boards)).emulator.baremetal;
    treefmt = inputs.treefmt-nix.lib.evalModule pkgs (
      import ./treefmt.nix { inherit (self) toolchain; }
    );
    checks = callSet ./checks.nix { flake = inputs.self; };
    devShells = callSet ./devshell.nix { };
    reproduce = self.callPackage ./reproduce.nix { };
  }
)
