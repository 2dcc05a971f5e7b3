# SPDX-License-Identifier: BSD-2-Clause
# The emulated machines of a board, one for each host and interrupt controller in its board.toml.
# What a machine is made of stands in tools/machines, where the harness reads it too.
#   command  starts it with this board's own guest: `emulate [QEMU'S OPTIONS]`
#   run      the same for another guest: a function of a plan for this machine
{
  lib,
  facts,
  image,
  plan,
  programs,
  qemu,
  sources,
  writeShellApplication,
}:
let
  machine =
    host: gic: profileName:
    let
      profile = lib.importTOML (sources.profiles + "/${profileName}.toml");
      lines =
        profile.hosts.${host}
          or (throw "tools/machines/${profileName}.toml has no [hosts] line '${host}', which boards/${facts.folder}/board.toml promises");

      run =
        planned:
        let
          packed = image.override { plan = planned; };
          values = {
            image =
              {
                microkit = "${packed}/${packed.loader}";
                baremetal = "${programs}/bin/vmm-baremetal";
              }
              .${host};
            load_address = "0x${lib.toHexString facts.microkit.loader_address}";
            cpus = toString planned.vcpus;
          }
          # What plays the board's firmware on an emulated sibling.
          // lib.optionalAttrs (profile ? shim) { shim = "${programs}/bin/${profile.shim}"; };
          names = lib.attrNames values;
          fill = lib.replaceStrings (map (name: "{${name}}") names) (lib.attrValues values);
          words = lib.concatMap (line: lib.splitString " " (fill line)) (profile.arguments ++ lines);
        in
        writeShellApplication {
          name = "emulate";
          runtimeInputs = [ qemu ];
          text = ''
            words=(${lib.escapeShellArgs words})
          ''
          # Without seL4 there is no image that holds the guest: the emulator's loader places it.
          + lib.optionalString (host == "baremetal") ''
            while read -r what file _ address; do
              [ "$what" != load ] || words+=(-device "loader,file=${planned}/$file,addr=$address,force-raw=on")
            done <${planned}/plan.txt
          ''
          + ''
            exec ${profile.program} "''${words[@]}" "$@"
          '';
        };
    in
    {
      inherit host gic run;
      inherit (profile) title;
      command = run (plan.override { inherit host gic; });
    };

  ofController =
    version: controller:
    map (
      host:
      lib.nameValuePair "${host}-gic${version}" (
        machine host (lib.toInt (lib.removePrefix "v" version)) (lib.head controller.profiles)
      )
    ) controller.hosts;
in
# Beside the controllers stand numbers that hold for each of them.
lib.listToAttrs (
  lib.concatLists (
    lib.mapAttrsToList ofController (lib.filterAttrs (_: controller: controller ? hosts) facts.gic)
  )
)
