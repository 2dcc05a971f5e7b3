# SPDX-License-Identifier: BSD-2-Clause
# `nix run .#<name>`: an emulated machine on this terminal. The board's image on seL4, and the
# monitor without seL4 for the demonstration.
{
  lib,
  coreutils,
  facts,
  machines,
  pins,
  writeShellApplication,
}:
let
  inherit (pins.inputs) buildroot microkit sel4;
  under = {
    microkit = "seL4 ${sel4.ref}, Microkit ${microkit.ref}";
    baremetal = "no seL4: the monitor alone in EL2, for demonstration";
  };

  app =
    name: machine:
    let
      program = writeShellApplication {
        inherit name;
        runtimeInputs = [ coreutils ];
        text = ''
          usage() {
              echo "usage: ${name} [--interactive] [--gdb] [--timeout SECONDS] [QEMU'S OPTIONS]"
              echo "  --interactive      read this terminal even if standard input is not one"
              echo "  --gdb              wait for gdb at localhost:1234"
              echo "  --timeout SECONDS  end after that time, with exit code 124"
          }
          words=()
          limit=()
          interactive=
          [ ! -t 0 ] || interactive=1
          while [ $# -gt 0 ]; do
              case $1 in
                  --help) usage && exit 0 ;;
                  --interactive) interactive=1 ;;
                  --gdb) words+=(-gdb tcp:localhost:1234 -S) ;;
                  --timeout)
                      [[ ''${2-} =~ ^[1-9][0-9]*$ ]] || { echo "${name}: --timeout needs a whole number of seconds" >&2; exit 3; }
                      limit=(timeout --foreground "$2")
                      shift
                      ;;
                  *) words+=("$1") ;;
              esac
              shift
          done
          echo "${facts.title}, emulated as ${machine.title}"
          echo "${under.${machine.host}}; Linux and root file system by Buildroot ${buildroot.ref}"
          echo "To leave: 'poweroff' in the guest ends this with 0; Ctrl-A x ends the emulator at once."
          [ -n "$interactive" ] || exec </dev/null
          exec "''${limit[@]}" ${lib.getExe machine.command} -serial mon:stdio "''${words[@]}"
        '';
      };
    in
    {
      type = "app";
      program = lib.getExe program;
      meta.description = "${facts.title} in an emulator, ${under.${machine.host}}";
    };
  first =
    host: lib.head (lib.attrValues (lib.filterAttrs (_: machine: machine.host == host) machines));
in
rec {
  # A board that is QEMU's own machine goes by its alias; another is emulated by a sibling.
  name = if facts.virtual then facts.alias else "${facts.alias}-emulated";
  image = app name (first "microkit");
  baremetal = app "${name}-baremetal" (first "baremetal");
}
