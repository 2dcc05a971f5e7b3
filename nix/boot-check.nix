# SPDX-License-Identifier: BSD-2-Clause
# Boots an emulated machine to the guest's shell, calculates something there and powers it off.
{ lib, runCommand }:
name: machine:
runCommand "boot-${name}" { meta.timeout = 1800; } ''
  fail() { cat console.txt; echo "boot-${name}: $1"; exit 1; }
  # Waits until the console shows a line.
  await() {
      for _ in $(seq 600); do
          ! grep -q -- "$1" console.txt || return 0
          kill -0 "$emulator" || fail "the emulator ended before '$1' came"
          sleep 1
      done
      fail "no '$1' in 10 minutes"
  }
  mkfifo keys
  touch console.txt
  timeout 1500 ${lib.getExe machine} -serial stdio -monitor none <keys >console.txt &
  emulator=$!
  exec 3>keys
  # A line editor may ask for the cursor's place behind the prompt.
  await 'login: \|[#$] .\{0,8\}$'
  echo root >&3
  sleep 1
  echo 'echo answer $((6*7))' >&3
  await '^answer 42'
  # A guest whose first program is no init needs the second.
  echo 'poweroff; sleep 5; poweroff -f' >&3
  wait "$emulator" || fail "the emulator ended with $?, not with 0"
  install -D -m 644 console.txt $out/console.txt
''
