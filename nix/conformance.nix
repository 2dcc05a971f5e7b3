# SPDX-License-Identifier: BSD-2-Clause
# Runs the conformance guests on an emulated machine. What each has to do is declared in
# guest/conformance/guests.toml, and the harness judges it, as `ci/boot --guest all` does.
{
  lib,
  harness,
  linkFarm,
  programs,
  runCommand,
  sources,
  util-linux,
}:
name: board: machine:
let
  # Those that the harness will ask for; it skips the same ones.
  runsHere =
    guest:
    guest.gic or machine.gic == machine.gic
    && (machine.host != "microkit" || lib.elem machine.gic (guest.sel4 or [ machine.gic ]));
  guests = lib.filter runsHere (lib.importTOML ../guest/conformance/guests.toml).guest;

  marker = "0x${lib.toHexString board.facts.marker.registers.base}";
  folder =
    guest:
    machine.run (
      board.plan.override {
        inherit (machine) host gic;
        vcpus = guest.cpus or 1;
        kernel = "${programs}/bin/${guest.name}";
        initrd = null;
        extraArguments = [
          "--append=${
            lib.concatStringsSep " " (
              lib.optional (machine.host == "microkit" && guest ? sel4_args) guest.sel4_args
              ++ [ "marker=${marker}" ]
            )
          }"
        ]
        ++ lib.optional (guest ? unowned) "--unowned=${guest.unowned}";
      }
    );
  folders = linkFarm "conformance-guests-${name}" (
    lib.listToAttrs (map (guest: lib.nameValuePair guest.name (folder guest)) guests)
  );
in
runCommand "conformance-${name}"
  {
    nativeBuildInputs = [
      harness
      util-linux
    ];
    meta.timeout = 14400;
  }
  ''
    mkdir $out
    export XDG_CACHE_HOME=$PWD/cache
    harness --root ${sources.declared} boot --from ${folders} --emulator ${machine.program} \
      --guest all --icount --timeout 120 --report $out/report.json
    cp cache/sel4-linux-vmm/transcripts/*/* $out
  ''
