# SPDX-License-Identifier: BSD-2-Clause
# `nix flake check`: everything that can be checked without a board.
{
  lib,
  boards,
  crates,
  deadnix,
  flake,
  pins,
  programs,
  runCommand,
  runCommandLocal,
  sources,
  statix,
  treefmt,
  workspace,
}:
let
  inherit (lib) concatMapAttrs mapAttrs' nameValuePair;

  # A check that is one command over the tree.
  over =
    name: tools: command:
    runCommandLocal name { nativeBuildInputs = tools; } ''
      cd ${sources.shape}
      ${command}
      touch $out
    '';

  bootCheck = import ./boot-check.nix { inherit lib runCommand; };
  conformance = import ./conformance.nix { inherit lib runCommand programs; };

  perBoard =
    alias: board:
    {
      # Findings of guestplan, and every option that the guest's fragments ask for.
      "plan-${alias}" = board.plan;
      "options-${alias}" = runCommandLocal "options-${alias}" { } ''
        cd ${sources.guest}/guest/buildroot
        sh ./check-options --board ${board.facts.folder} --config ${board.guest}/linux.config \
          kernel/common.config kernel/${board.facts.folder}.config
        touch $out
      '';
      # Nothing in the image names the store that it was made in.
      "image-${alias}" = runCommandLocal "image-${alias}" { } ''
        if grep -a -o -m 3 '${builtins.storeDir}/[a-z0-9.-]*' ${board.card}/*; then
          echo "the image for ${board.facts.title} names the store"; exit 1
        fi
        touch $out
      '';
    }
    // mapAttrs' (
      name: machine: nameValuePair "boot-${alias}-${name}" (bootCheck "${alias}-${name}" machine.command)
    ) board.machines
    // mapAttrs' (
      name: machine:
      nameValuePair "conformance-${alias}-${name}" (conformance "${alias}-${name}" board machine)
    ) board.machines;

  # Pins and lock, compared when this is evaluated.
  locked = (lib.importJSON ../flake.lock).nodes;
  strays = lib.filter (
    name:
    lib.any (field: locked.${name}.locked.${field} != pins.inputs.${name}.${field}) [
      "owner"
      "repo"
      "rev"
      "narHash"
      "lastModified"
    ]
  ) (lib.attrNames (lib.removeAttrs locked [ "root" ]));
in
workspace.checks
// crates
// {
  formatting = treefmt.config.build.check flake;
  deadnix = over "deadnix" [ deadnix ] "deadnix --fail flake.nix nix";
  statix = over "statix" [ statix ] "statix check .";

  lock = over "lock" [ ] (
    lib.concatMapStrings (
      name:
      "echo 'flake.lock and nix/pins.json differ in ${name}: check the new revision, then change both'; exit 1\n"
    ) strays
  );

  # Every board has its row; no file here grew beyond what one can read at once; no board's name
  # is in this folder.
  shape = over "shape" [ ] ''
    fail() { echo "$1"; exit 1; }
    for file in flake.nix nix/*; do
      [ "$(wc -l <"$file")" -le 150 ] || fail "$file has more than 150 lines"
    done
    ${lib.concatMapStrings (board: ''
      grep -q 'boards/${board.facts.folder}' README.md || fail "README.md has no row for boards/${board.facts.folder}"
      ! grep -n '${board.facts.folder}' flake.nix nix/*.nix || fail "Nix code names a board"
    '') (lib.attrValues boards)}
  '';
}
// concatMapAttrs perBoard boards
