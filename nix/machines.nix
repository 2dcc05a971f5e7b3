# SPDX-License-Identifier: BSD-2-Clause
# The emulated machines of a board, one for each host and interrupt controller in its board.toml.
# What a machine is made of stands in tools/machines; the harness reads it there and in what is made
# here:
#   folder   this board's own guest, as the harness takes it (`boot --from`)
#   run      the same for another guest: a function of a plan for this machine
#   program  the emulator
{
  lib,
  facts,
  image,
  microkit-sdk,
  plan,
  programs,
  qemu,
  runCommandLocal,
  sources,
}:
let
  program = package: "${programs.override { inherit facts package; }}/bin";
  machine =
    host: gic: profileName:
    let
      profileFile = sources.profiles + "/${profileName}.toml";
      profile =
        lib.throwIf (!lib.pathExists profileFile)
          "boards/${facts.folder}/board.toml names the profile '${profileName}', and there is no tools/machines/${profileName}.toml"
          (lib.importTOML profileFile);

      run =
        planned:
        let
          packed = image.override { plan = planned; };
          kernel = "${microkit-sdk}/board/${facts.microkit.board}/${image.config}/include/kernel/gen_config.json";
          links = {
            "${profileName}.toml" = profileFile;
          }
          # What plays the board's firmware on an emulated sibling.
          // lib.optionalAttrs (profile ? shim) { ${profile.shim} = "${program "machine-shims"}/${profile.shim}"; }
          //
            {
              microkit = {
                "loader.img" = "${packed}/${packed.loader}";
                "kernel.json" = kernel;
              };
              # Without seL4 there is no image that holds the guest: the emulator places its files.
              baremetal."vmm-baremetal.elf" = "${program "vmm-baremetal"}/vmm-baremetal";
            }
            .${host};
        in
        runCommandLocal "boot-${facts.alias}-${host}-gicv${toString gic}" { } ''
          mkdir $out
          ln -s ${planned}/* $out/
          ${lib.concatStrings (lib.mapAttrsToList (name: file: "ln -s ${file} $out/${name}\n") links)}
        '';
    in
    {
      inherit host gic run;
      inherit (profile) title;
      program = "${qemu}/bin/${profile.program}";
      folder = run (plan.override { inherit host gic; });
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
