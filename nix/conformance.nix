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
  guests = lib.filter (guest: guest.gic or machine.gic == machine.gic) (
    lib.importTOML ../guest/conformance/guests.toml
  ).guest;

  marker = "0x${lib.toHexString board.facts.marker.registers.base}";
  command =
    guest:
    lib.getExe (
      machine.run (
        board.plan.override {
          inherit (machine) host gic;
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
    timeout 300 ${command guest} -serial stdio -monitor none </dev/null 2>&1 | tr -d '\r' >$out/${guest.name}.txt || true
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
