# SPDX-License-Identifier: BSD-2-Clause
# Runs the conformance guests on an emulated machine, each as guest/conformance/guests.toml
# declares it: it passes, or the monitor stops it with a fault of the declared kind.
{
  lib,
  programs,
  runCommand,
}:
name: board: machine:
let
  runsHere =
    guest:
    guest.gic or machine.gic == machine.gic
    && (machine.host != "microkit" || lib.elem machine.gic (guest.sel4 or [ machine.gic ]));
  guests = lib.filter runsHere (lib.importTOML ../guest/conformance/guests.toml).guest;

  # Time by counted instructions: the same on a busy machine.
  countedTime = "-icount shift=1,sleep=off";
  marker = "0x${lib.toHexString board.facts.marker.registers.base}";
  command =
    guest:
    lib.getExe (
      machine.run (
        board.plan.override {
          inherit (machine) host gic;
          vcpus = guest.cpus or 1;
          kernel = "${programs}/bin/${guest.name}";
          initrd = null;
          extraArguments = [ "--append=marker=${marker}" ];
        }
      )
    );

  verdict = guest: {
    pass = "^conformance: ${guest.name}: PASS";
    stopped = "^@{.*\"event\":\"stop\".*\"kind\":\"${guest.kind}\"";
  };

  run = guest: ''
    echo "${guest.name}"
    timeout 300 ${command guest} ${countedTime} -serial stdio -monitor none </dev/null 2>&1 | tr -d '\r' >$out/${guest.name}.txt || true
    if ! grep -q '${(verdict guest).${guest.expect}}' $out/${guest.name}.txt; then
      cat $out/${guest.name}.txt
      failed+=(${guest.name})
    fi
  '';
in
runCommand "conformance-${name}" { meta.timeout = 7200; } ''
  mkdir $out
  failed=()
  ${lib.concatMapStrings run guests}
  if [ ''${#failed[@]} != 0 ]; then
    echo "not as declared on ${machine.title}: ''${failed[*]}"
    exit 1
  fi
''
