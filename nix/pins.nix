# SPDX-License-Identifier: BSD-2-Clause
# What pins.json says, in the forms that other files here need.
{ lib }:
let
  inherit (lib.importJSON ./pins.json) inputs;
  # The key of crane's outputHashes is the source string of a Cargo.lock. With the hash, a git
  # dependency is fetched like a tarball; without it, evaluation would fetch it.
  cargoSource =
    pin:
    let
      query = if pin ? ref then "tag=${pin.ref}" else "rev=${pin.rev}";
    in
    "git+https://github.com/${pin.owner}/${pin.repo}?${query}#${pin.rev}";
in
{
  inherit inputs;
  # rust-sel4: one revision for the monitor, one that Microkit's own lock names.
  outputHashes = lib.listToAttrs (
    map (pin: lib.nameValuePair (cargoSource pin) pin.narHash) [
      inputs.rust-sel4
      inputs.rust-sel4-in-microkit
    ]
  );

  # A source tree whose VERSION is not the pinned one: these releases belong together.
  requireVersion =
    name: src: value:
    let
      found = lib.fileContents "${src}/VERSION";
      wanted = inputs.${name}.ref;
    in
    lib.throwIf (found != wanted)
      "input '${name}' is version ${found}, but rust-sel4 ${inputs.rust-sel4.ref} and this tree are made for ${wanted}: take that one, or change nix/pins.json and the monitor together"
      value;
}
