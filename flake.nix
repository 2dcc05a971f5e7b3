# SPDX-License-Identifier: BSD-2-Clause
{
  description = "A Linux guest on seL4: a Rust monitor, its guest and bootable images, all from pinned sources";

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
      # The oldest that this was run with.
      leastNix = "2.26";
      inherit (nixpkgs) lib;
      # One scope of packages for each system that can build (nix/default.nix).
      scopes = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
        system:
        import ./nix {
          inherit inputs;
          pkgs = nixpkgs.legacyPackages.${system};
        }
      );
      perSystem = outputsOf: lib.mapAttrs (_: outputsOf) scopes;
      app = program: {
        type = "app";
        program = lib.getExe program;
        meta.description = program.meta.description;
      };
    in
    if builtins.compareVersions builtins.nixVersion leastNix < 0 then
      throw "this flake needs Nix ${leastNix} or newer, and this is Nix ${builtins.nixVersion}: take a newer one from https://nixos.org/download"
    else
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
            alias: system: {
              "vmm-${alias}" = system.internal.vmm;
              "guest-${alias}" = system.internal.buildroot;
              "plan-${alias}" = system.plan;
              "${alias}-image" = system.image;
              "release-${alias}" = system.release;
            }
            # The guest with each other long-term kernel.
            // lib.mapAttrs' (series: guest: {
              name = "guest-${alias}-linux-${lib.replaceStrings [ "." ] [ "_" ] series}";
              value = guest;
            }) system.internal.linuxes
          )
        );

        apps = perSystem (
          project:
          {
            default = app project.demo;
            demo = app project.demo;
            reproduce = app project.reproduce;
          }
          // project.forBoards (
            _: system: { ${system.internal.emulator.name} = system.qemu; }
          )
        );

        # For others: nix/README.md.
        lib = {
          mkGuest = import ./nix/make-guest.nix { inherit lib; };
          mkSystem =
            { system, ... }@wish:
            (scopes.${system}
              or (throw "mkSystem: this flake builds on ${lib.concatStringsSep " and " (lib.attrNames scopes)}, not on '${system}'")
            ).mkSystem
              (removeAttrs wish [ "system" ]);
        };
        overlays.default = final: _: {
          sel4-linux-vmm = import ./nix {
            inherit inputs;
            pkgs = final;
          };
        };
        templates = {
          default = {
            path = ./nix/templates/guest;
            description = "An own guest on one of the boards here";
          };
          board = {
            path = ./nix/templates/board;
            description = "An own board";
          };
        };

        checks = perSystem (project: project.checks);

        # What CI builds.
        hydraJobs = perSystem (project: {
          inherit (project) checks images toolchain microkit-sdk;
        });

        devShells = perSystem (project: project.devShells);

        formatter = perSystem (project: project.treefmt.config.build.wrapper);
      };
}
