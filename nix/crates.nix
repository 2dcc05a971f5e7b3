# SPDX-License-Identifier: BSD-2-Clause
# Checks of the crates that both workspaces use: licences and sources (deny.toml), known holes.
{
  advisory-db,
  craneLib,
  pins,
  sources,
}:
let
  checksOf =
    name: folder:
    let
      common = {
        pname = name;
        version = "0";
        src = sources.everything;
        cargoVendorDir = craneLib.vendorCargoDeps {
          cargoLock = ../. + "/${folder}/Cargo.lock";
          inherit (pins) outputHashes;
        };
      };
    in
    {
      # It finds deny.toml by itself; where the option for it stands changed between versions.
      "deny-${name}" = craneLib.cargoDeny (
        common
        // {
          cargoDenyExtraArgs = "--all-features --manifest-path ${folder}/Cargo.toml";
        }
      );
      "audit-${name}" = craneLib.cargoAudit (
        common
        // {
          inherit advisory-db;
          cargoAuditExtraArgs = "--ignore yanked --file ${folder}/Cargo.lock";
        }
      );
    };
in
checksOf "workspace" "." // checksOf "vmm" "vmm/hosts/microkit"
