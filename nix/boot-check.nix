# SPDX-License-Identifier: BSD-2-Clause
# Boots an emulated machine to the guest's shell, types what the system asks for and powers it off.
# The harness judges, as ci/boot does.
{
  lib,
  harness,
  runCommand,
  util-linux,
  wish,
}:
name: machine:
runCommand "boot-${name}"
  {
    nativeBuildInputs = [
      harness
      util-linux
    ];
    meta.timeout = 7200;
  }
  ''
    mkdir $out
    export XDG_CACHE_HOME=$PWD/cache
    harness boot --from ${machine.folder} --emulator ${machine.program} \
      --config ${wish.config} --icount --timeout 600 --report $out/report.json ${
        lib.escapeShellArgs (
          map (command: "--run=${command}") wish.run
          ++ lib.optional (wish.expect != null) "--expect=${wish.expect}"
          ++ lib.optional (wish.initWithin != null) "--init-within=${toString wish.initWithin}"
        )
      }
    cp cache/sel4-linux-vmm/transcripts/*/* $out
  ''
