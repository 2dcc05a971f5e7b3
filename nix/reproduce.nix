# SPDX-License-Identifier: BSD-2-Clause
# `nix run .#reproduce [NAME...]`: builds each package, builds it again and prints whether both are
# equal, bit for bit. Run it in the tree. What is not equal, and why, stands in README.md.
{
  lib,
  systems,
  writeShellApplication,
}:
let
  names = [
    "microkit-tool"
    "microkit-sdk"
    "guestplan"
    "harness"
    "programs"
  ]
  ++ lib.concatMap (alias: [
    "vmm-${alias}"
    "guest-${alias}"
    "plan-${alias}"
    "${alias}-image"
    "release-${alias}"
  ]) (lib.attrNames systems);
in
writeShellApplication {
  name = "reproduce";
  text = ''
    [ $# -gt 0 ] || set -- ${lib.escapeShellArgs names}
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    status=0
    printf '| package | built again |\n| --- | --- |\n'
    for name; do
      if ! nix build --no-link ".#$name" 2>"$log"; then
        result="does not build: $(tail -n 1 "$log")"
      elif nix build --no-link --rebuild ".#$name" 2>"$log"; then
        result=equal
      elif grep -q 'may not be deterministic' "$log"; then
        result="not equal"
      else
        result="does not build again: $(tail -n 1 "$log")"
      fi
      [ "$result" = equal ] || status=1
      printf '| %s | %s |\n' "$name" "$result"
    done
    exit "$status"
  '';
  meta = {
    description = "Builds every package twice and says which are equal";
    license = lib.licenses.bsd2;
    platforms = lib.platforms.linux;
  };
}
