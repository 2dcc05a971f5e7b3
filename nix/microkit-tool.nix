# SPDX-License-Identifier: BSD-2-Clause
# Microkit's host tool: system file and ELF files in, bootable image out.
{
  lib,
  craneLib,
  microkit-src,
  pins,
}:
craneLib.buildPackage {
  pname = "microkit-tool";
  version = lib.fileContents "${microkit-src}/VERSION";
  src = microkit-src;
  # The initialiser, the other member of this workspace, needs the kernel's headers: it is built
  # with the SDK.
  cargoExtraArgs = "--locked --package microkit-tool";
  inherit (pins) outputHashes;
  cargoArtifacts = null;
  strictDeps = true;
  doCheck = true;
  meta = {
    description = "Makes a bootable image of a seL4 Microkit system";
    homepage = "https://github.com/seL4/microkit";
    license = lib.licenses.bsd2;
    mainProgram = "microkit";
  };
}
