# SPDX-License-Identifier: BSD-2-Clause
# Which files each package is made of: a change elsewhere rebuilds nothing.
{ lib }:
let
  inherit (lib) fileset;
  root = ../.;
  tree =
    files:
    fileset.toSource {
      inherit root;
      fileset = fileset.unions files;
    };
in
{
  toolchainFile = ../vmm/hosts/microkit/rust-toolchain.toml;
  boards = ../boards;
  profiles = ../tools/machines;

  # The main workspace, whole: cargo reads the manifest of every member. The protection domain is
  # a workspace of its own.
  workspace = tree [
    ../Cargo.toml
    ../Cargo.lock
    ../clippy.toml
    ../rustfmt.toml
    ../boards
    ../guest/conformance
    ../tools
    (fileset.difference ../vmm ../vmm/hosts/microkit)
  ];

  # The whole tree: a test compares README.md with it.
  everything = tree [ root ];

  # The monitor on seL4. Left out is its .cargo/config.toml, which builds `core` from source for
  # compilers that bring none for this target: the pinned toolchain does.
  vmm = tree [
    ../Cargo.toml
    ../vmm/core
    ../vmm/report
    ../vmm/hosts/microkit-abi
    (fileset.difference ../vmm/hosts/microkit (fileset.maybeMissing ../vmm/hosts/microkit/.cargo))
  ];

  # What ci/image reads when it runs.
  run = tree [
    ../boards
    ../ci/image
    ../ci/toolchain.sh
    ./pins.json
  ];

  # Buildroot's external tree, without what stands beside it: text, another build, checks.
  guest = tree [
    (fileset.difference ../guest/buildroot (
      fileset.unions [
        ../guest/buildroot/README.md
        ../guest/buildroot/check-buildroot
        ../guest/buildroot/debian-build
        ../guest/buildroot/test-check-options
      ]
    ))
  ];

  # What the conformance guests have to do.
  declared = tree [ ../guest/conformance/guests.toml ];

  # What the checks of the tree's own shape read.
  shape = tree [
    (fileset.maybeMissing ../README.md)
    ../boards
    ../flake.nix
    ./.
  ];
}
