# SPDX-License-Identifier: BSD-2-Clause
# Bill of materials of the monitor, in CycloneDX. The guest's own comes from Buildroot (guest.nix).
{
  bareEnv,
  cargo-cyclonedx,
  craneLib,
  facts,
  vmm,
}:
craneLib.mkCargoDerivation {
  pname = "sbom-${facts.alias}";
  inherit (vmm) version src cargoVendorDir;
  cargoArtifacts = null;
  doInstallCargoArtifacts = false;
  nativeBuildInputs = [ cargo-cyclonedx ];
  # Without it every run has a serial number and a date of its own.
  env.SOURCE_DATE_EPOCH = "1";
  buildPhaseCargoCommand = ''
    cargo cyclonedx --manifest-path vmm/hosts/microkit/Cargo.toml --format json \
      --target ${bareEnv.target} --override-filename monitor.cdx
  '';
  # It names our own crates by their folder: one without this build's.
  installPhaseCommand = ''
    sed "s|file://$PWD/|file:///|g" vmm/hosts/microkit/monitor.cdx.json >$out
  '';
}
