# SPDX-License-Identifier: BSD-2-Clause
# The monitor as a protection domain, for one board and one configuration of the kernel:
# `vmm-<alias>.override { config = "debug"; }`.
{
  lib,
  bareEnv,
  craneLib,
  facts,
  microkit-sdk,
  microkit-src,
  pins,
  sel4-src,
  sources,
  toolchain,
  config,
}:
let
  manifest = "vmm/hosts/microkit/Cargo.toml";
in
lib.throwIfNot (lib.elem config microkit-sdk.configs)
  "configuration '${config}' is none of the SDK's: ${lib.concatStringsSep ", " microkit-sdk.configs}"
  craneLib.buildPackage
  {
    pname = "vmm-${facts.alias}-${config}";
    inherit ((lib.importTOML ../${manifest}).package) version;
    src = sources.vmm;
    cargoToml = ../${manifest};
    cargoLock = ../vmm/hosts/microkit/Cargo.lock;
    inherit (pins) outputHashes;
    cargoArtifacts = null;
    cargoExtraArgs = "--locked --manifest-path ${manifest} --target ${bareEnv.target}";
    strictDeps = true;
    env = bareEnv.env // {
      # The kernel's own headers decide what rust-sel4 is compiled to.
      SEL4_INCLUDE_DIRS = "${microkit-sdk}/board/${facts.microkit.board}/${config}/include";
    };
    preBuild = bareEnv.trimPaths;

    doCheck = false;
    doNotPostBuildInstallCargoBinaries = true;
    installPhaseCommand = ''
      install -D -m 644 vmm/hosts/microkit/target/${bareEnv.target}/release/vmm $out/vmm.elf
    '';
    # The tool patches values in by symbol.
    dontStrip = true;
    dontPatchELF = true;
    disallowedReferences = [
      microkit-sdk
      microkit-src
      sel4-src
      sources.vmm
      toolchain
    ];

    passthru = { inherit config; };
    meta = {
      description = "Virtual machine monitor for ${facts.title}, as a seL4 Microkit protection domain";
      license = lib.licenses.bsd2;
    };
  }
