# SPDX-License-Identifier: BSD-2-Clause
# `nix run .#<name>`: an emulated machine on this terminal. The board's image on seL4, and the
# monitor without seL4 for the demonstration. Both are `boot --from` of the harness.
{
  lib,
  facts,
  guest,
  harness,
  machines,
  pins,
  util-linux,
  wish,
  writeShellApplication,
}:
let
  inherit (pins.inputs) microkit sel4;
  under = {
    microkit = "seL4 ${sel4.ref}, Microkit ${microkit.ref}";
    baremetal = "no seL4: the monitor alone in EL2, for demonstration";
  };

  program =
    name: host:
    let
      machine =
        lib.findFirst (machine: machine.host == host)
          (throw "boards/${facts.folder}/board.toml names no emulated machine for host '${host}'")
          (lib.attrValues machines);
    in
    writeShellApplication {
      inherit name;
      runtimeInputs = [
        harness
        util-linux
      ];
      text = ''
        echo "${facts.title}, emulated as ${machine.title}; guest: ${guest.name}" >&2
        echo "${under.${host}}" >&2
        [ $# -gt 0 ] || set -- --interactive
        exec harness boot --from ${machine.folder} --emulator ${machine.program} --config ${wish.config} "$@"
      '';
      meta = {
        description = "${facts.title} in an emulator, ${under.${host}}";
        license = lib.licenses.bsd2;
        platforms = lib.platforms.linux;
      };
    };
in
rec {
  # A board that is QEMU's own machine goes by its alias; another is emulated by a sibling.
  name = if facts.virtual then facts.alias else "${facts.alias}-emulated";
  image = program name "microkit";
  baremetal = program "${name}-baremetal" "baremetal";
}
