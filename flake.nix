# SPDX-License-Identifier: BSD-2-Clause
{
  description = "A Linux guest on seL4: a Rust monitor, its guest and bootable images, all from pinned sources";

  # No build result decides what is evaluated: `nix flake show` needs no builder.
  nixConfig.allow-import-from-derivation = false;

  inputs = {
    # Compilers, emulators and everyday tools; its own package set, without overlays.
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    # Cargo builds from vendored sources, one fixed-output fetch per crate.
    crane.url = "github:ipetkov/crane";
    # The nightly that rust-sel4 is tested with, as vmm/hosts/microkit/rust-toolchain.toml names it.
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    # One `nix fmt` for Nix, Rust, TOML and shell.
    treefmt-nix = {
      url = "github:numtide/treefmt-nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    # The system that the monitor is a protection domain of: tool, loader, monitor, initialiser.
    microkit = {
      url = "github:seL4/microkit/2.3.0";
      flake = false;
    };
    # The kernel that this Microkit release is made for.
    sel4 = {
      url = "github:seL4/seL4/16.0.0";
      flake = false;
    };
    # The guest's kernel and root file system (a release with long-term support).
    buildroot = {
      url = "github:buildroot/buildroot/2026.02.3";
      flake = false;
    };
    # Known holes in crates, for `cargo audit` without network.
    advisory-db = {
      url = "github:rustsec/advisory-db";
      flake = false;
    };
  };

  outputs =
    { nixpkgs, ... }@inputs:
    let
      inherit (nixpkgs) lib;
      # One scope of packages for each system that can build (nix/default.nix).
      scopes = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
        system: import ./nix { inherit inputs system; }
      );
      perSystem = outputsOf: lib.mapAttrs (_: outputsOf) scopes;
    in
    {
      packages = perSystem (
        project:
        {
          inherit (project)
            toolchain
            microkit-tool
            microkit-sdk
            guestplan
            harness
            programs
            ;
          default = project.images;
        }
        // project.forBoards (
          alias: board: {
            "vmm-${alias}" = board.vmm;
            "guest-${alias}" = board.guest;
            "plan-${alias}" = board.plan;
            "${alias}-image" = board.card;
            "release-${alias}" = board.release;
          }
        )
      );

      # The whole scope, for `overrideScope`: another guest, kernel or compiler. Nix looks in here
      # first for `.#packages.<system>.<name>`, and stops at the scope's own function 'packages'.
      legacyPackages = lib.mapAttrs (_: scope: removeAttrs scope [ "packages" ]) scopes;

      apps = perSystem (
        project:
        {
          inherit (project) demo;
        }
        // project.forBoards (
          _: board: {
            ${board.emulator.name} = board.emulator.image;
          }
        )
      );

      checks = perSystem (project: project.checks);

      devShells = perSystem (project: {
        default = project.devshell;
      });

      formatter = perSystem (project: project.treefmt.config.build.wrapper);
    };
}
