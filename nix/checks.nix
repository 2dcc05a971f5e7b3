# SPDX-License-Identifier: BSD-2-Clause
# `nix flake check`: everything that can be checked without a board.
{
  lib,
  callPackage,
  crates,
  deadnix,
  flake,
  jq,
  pins,
  runCommandLocal,
  sources,
  statix,
  systems,
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

  conformance = callPackage ./conformance.nix { };

  perBoard =
    alias: system:
    let
      board = system.internal;
    in
    # Plan, image, boots.
    mapAttrs' (
      name:
      nameValuePair (
        if lib.hasPrefix "boot-" name then "boot-${alias}${lib.removePrefix "boot" name}" else "${name}-${alias}"
      )
    ) system.checks
    // {
      # Every option that the guest's fragments ask for.
      "options-${alias}" = runCommandLocal "options-${alias}" { } ''
        cd ${sources.guest}/guest/buildroot
        sh ./check-options --board ${board.facts.folder} --config ${board.buildroot}/linux.config \
          kernel/common.config kernel/${board.facts.folder}.config
        touch $out
      '';
      # Each part of the guest says in the bill of materials where its upstream source is and what
      # the hash of that is.
      "sbom-${alias}" = runCommandLocal "sbom-${alias}" { nativeBuildInputs = [ jq ]; } ''
        jq -er --argjson own '${builtins.toJSON withoutSource}' '
          def sourced: any(.externalReferences[]?; .type == "source-distribution" and
            (.url | test("^https?://")) and (.hashes | length > 0));
          (.components | map(select(sourced | not).name) - $own) as $bare |
          if $bare == [] and any(.components[]; sourced)
          then "\(.components | map(select(sourced)) | length) of \(.components | length) components have a source address and a hash"
          else error("no source address and hash: \($bare | join(", "))") end
        ' ${board.buildroot}/sbom.cdx.json >$out
        cat $out
      '';
    }
    // mapAttrs' (
      name: machine:
      nameValuePair "conformance-${alias}-${name}" (conformance "${alias}-${name}" board machine)
    ) board.machines;

  # Parts of the guest whose source is Buildroot itself.
  withoutSource = [
    "fakedate"
    "initscripts"
    "makedevs"
    "musl-compat-headers"
    "skeleton"
    "skeleton-init-common"
    "skeleton-init-sysv"
  ];

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
    for file in flake.nix nix/*.*; do
      [ "$(wc -l <"$file")" -le 150 ] || fail "$file has more than 150 lines"
    done
    ${lib.concatMapStrings (board: ''
      grep -q 'boards/${board.facts.folder}' README.md || fail "README.md has no row for boards/${board.facts.folder}"
      ! grep -n '${board.facts.folder}' flake.nix nix/*.nix || fail "Nix code names a board"
    '') (map (system: system.internal) (lib.attrValues systems))}
  '';
}
// concatMapAttrs perBoard systems
