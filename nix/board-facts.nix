# SPDX-License-Identifier: BSD-2-Clause
# boards/*/board.toml, by alias. guestplan judges the facts; here stand only the few that this
# folder uses, each with a sentence if it is not there.
{ lib, sources }:
let
  folders = lib.attrNames (
    lib.filterAttrs (
      name: type: type == "directory" && lib.pathExists (sources.boards + "/${name}/board.toml")
    ) (builtins.readDir sources.boards)
  );

  required = [
    "alias"
    "title"
    "gic"
    "marker.registers.base"
    "microkit.board"
    "microkit.loader_address"
  ];

  read =
    folder:
    let
      facts = lib.importTOML (sources.boards + "/${folder}/board.toml");
      missing = lib.filter (path: !lib.hasAttrByPath (lib.splitString "." path) facts) required;
    in
    lib.throwIf (missing != [ ])
      "boards/${folder}/board.toml has no ${lib.concatStringsSep ", no " missing}: write what the other boards have there"
      facts
    // {
      inherit folder;
      # Microkit names the boards that are QEMU's own machines so.
      virtual = lib.hasPrefix "qemu_" facts.microkit.board;
      # The interrupt controller that a host drives if nobody says which: the first that names it.
      gicOn =
        host:
        let
          versions = lib.filter (version: lib.elem host (facts.gic.${version}.hosts or [ ])) (lib.attrNames facts.gic);
        in
        lib.throwIf (versions == [ ])
          "boards/${folder}/board.toml has no [gic.v*] whose hosts name '${host}': no image of it could boot"
          (lib.toInt (lib.removePrefix "v" (lib.head versions)));
    };

  byAlias = lib.groupBy (facts: facts.alias) (map read folders);
in
lib.mapAttrs (
  alias: twins:
  lib.throwIf (lib.length twins > 1) "alias '${alias}' is claimed by ${
    lib.concatMapStringsSep " and " (facts: "boards/${facts.folder}") twins
  }: give each board its own" (lib.head twins)
) byAlias
