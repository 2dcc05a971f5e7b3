# SPDX-License-Identifier: BSD-2-Clause
# boards/*/board.toml, by alias. guestplan judges the facts; here stand only the few that this
# folder uses, each with a sentence if it is not there.
{ lib, sources }:
let
  inherit (builtins) fromTOML pathExists readDir readFile;

  folders = lib.attrNames (
    lib.filterAttrs (
      name: type: type == "directory" && pathExists (sources.boards + "/${name}/board.toml")
    ) (readDir sources.boards)
  );

  need =
    folder: facts: path:
    lib.attrByPath path (throw "boards/${folder}/board.toml has no '${lib.concatStringsSep "." path}': nix/board-facts.nix needs it") facts;

  read =
    folder:
    let
      facts = fromTOML (readFile (sources.boards + "/${folder}/board.toml"));
      needed = need folder facts;
    in
    facts
    // {
      inherit folder;
      alias = needed [ "alias" ];
      title = needed [ "title" ];
      # Microkit names the boards that are QEMU's own machines so.
      virtual = lib.hasPrefix "qemu_" (needed [
        "microkit"
        "board"
      ]);
      microkit = facts.microkit // {
        board = needed [ "microkit" "board" ];
        loader_address = needed [ "microkit" "loader_address" ];
      };
    };

  byAlias = lib.groupBy (facts: facts.alias) (map read folders);
in
lib.mapAttrs (
  alias: twins:
  lib.throwIf (lib.length twins > 1)
    "alias '${alias}' is claimed by ${lib.concatMapStringsSep " and " (facts: "boards/${facts.folder}") twins}: give each board its own"
    (lib.head twins)
) byAlias
