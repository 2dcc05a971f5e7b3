# SPDX-License-Identifier: BSD-2-Clause
# `lib.mkSystem`: one board and one guest, and all that comes of them. Our own packages are made
# by it (default.nix, 'systems').
{
  lib,
  boardFacts,
  callPackage,
  runCommandLocal,
}:
{
  # Alias of a board.
  board,
  # By mkGuest; without it the board's own, by Buildroot.
  guest ? null,
  # Series of the kernel of Buildroot's guest, of those in linux-lts.json; without it the board's own.
  linux ? null,
  # guestplan's findings that are taken for notes.
  accept ? [ ],
  # Configuration of kernel and monitor.
  config ? "release",
  # Virtual CPUs, and guest RAM in MiB; without it the board's default.
  vcpus ? 1,
  ram ? null,
  # What the checks type at the guest's shell (each command must end with 0), and a regular
  # expression that the guest's text must match.
  run ? [ ],
  expect ? null,
  # Seconds of Linux's own clock within which its first program must run.
  initWithin ? null,
}:
let
  facts =
    boardFacts.${board} or (throw "mkSystem: there is no board '${board}'; there are: ${lib.concatStringsSep ", " (lib.attrNames boardFacts)} (give 'boards', a folder of board folders, for your own)");
  scope = callPackage ./board.nix {
    inherit facts;
    wish = {
      inherit
        accept
        config
        expect
        initWithin
        linux
        ram
        run
        vcpus
        ;
    }
    // lib.optionalAttrs (guest != null) { inherit guest; };
  };
  app = program: {
    type = "app";
    program = lib.getExe program;
    meta.description = program.meta.description;
  };
  bootCheck = scope.callPackage ./boot-check.nix { };
  file =
    name: description:
    runCommandLocal "${facts.alias}-${name}" { meta.description = description; } ''
      cp ${scope.card}/${name} $out
    '';
in
lib.throwIf (guest != null && linux != null)
  "mkSystem: 'linux' is for Buildroot's guest, and '${guest.name}' is another: give one of them"
{
  # What the board boots from: loader.img, SD card, manifest, checksums, FLASH.md.
  image = scope.card;
  # The same with licences and bills of materials.
  inherit (scope) release;
  # Bill of materials of the monitor.
  inherit (scope) sbom;
  # System file, guest device tree, plan block; and where everything lies, for people.
  inherit (scope) plan;
  map = file "memory-map.md" "Memory map of ${facts.title}";
  # Inputs with revisions and hashes, configuration, outputs with hashes.
  manifest = file "MANIFEST.json" "What the image for ${facts.title} is made of";
  # An app: the image in an emulator, on this terminal. Without an argument interactive.
  qemu = app scope.emulator.image;

  checks = {
    inherit (scope) plan;
    # Nothing in the image names the store that it was made in.
    image = runCommandLocal "image-${facts.alias}" { } ''
      if grep -a -o -m 3 '${builtins.storeDir}/[a-z0-9.-]*' ${scope.card}/*; then
        echo "the image for ${facts.title} names the store"; exit 1
      fi
      touch $out
    '';
  }
  // lib.mapAttrs' (
    name: machine: lib.nameValuePair "boot-${name}" (bootCheck "${facts.alias}-${name}" machine)
  ) scope.machines;

  # The scope behind it. Not an interface: names in here change.
  internal = scope;
}
