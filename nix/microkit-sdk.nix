# SPDX-License-Identifier: BSD-2-Clause
# The Microkit SDK from source: kernel, loader, monitor, initialiser and libmicrokit for every
# board of ours, with the tool. Its release kernels have options of our own, which ci/sdk.py sets and
# reads back (docs/sdk.md).
{
  lib,
  bareEnv,
  craneLib,
  microkit-src,
  sel4-src,
  pins,
  microkit-tool,
  pkgsCross,
  cmake,
  dtc,
  libxml2,
  ninja,
  python3,
  qemu,
  toolchain,
  # Microkit's names of the boards, and of the kernel's configurations.
  boards,
  configs,
}:
let
  inherit (pins) requireVersion;
  version = requireVersion "microkit" microkit-src (
    requireVersion "sel4" sel4-src pins.inputs.microkit.ref
  );
  # Bare compiler and linker: the wrapper's hardening flags do not fit a kernel. Whichever GCC this
  # nixpkgs has: with 12.2 and with 15.3 the C part builds and Linux boots on it, so no version
  # has to be held back.
  cross = pkgsCross.aarch64-embedded.stdenv.cc;
in
craneLib.mkCargoDerivation {
  pname = "microkit-sdk";
  inherit version;
  src = microkit-src;
  inherit (pins) outputHashes;
  cargoArtifacts = null;
  doInstallCargoArtifacts = false;
  strictDeps = true;

  nativeBuildInputs = [
    cmake
    cross.bintools.bintools
    cross.cc
    dtc
    libxml2
    ninja
    # The kernel dumps the device tree of its QEMU board.
    qemu
    (python3.withPackages (ps: [
      ps.jinja2
      ps.jsonschema
      ps.lxml
      ps.ply
      ps.pyfdt
      ps.pyyaml
      ps.setuptools
    ]))
  ];
  dontUseCmakeConfigure = true;
  dontUseNinjaBuild = true;
  dontUseNinjaInstall = true;
  dontUseNinjaCheck = true;

  inherit (bareEnv) env;
  preBuild = bareEnv.trimPaths;
  # Debug information names the compiler's own folder of headers.
  postPatch = ''
    for component in loader monitor libmicrokit; do
      substituteInPlace $component/Makefile --replace-fail \
        'CFLAGS := -std=gnu11' 'CFLAGS := -ffile-prefix-map=${cross.cc}=compiler -std=gnu11'
    done
  '';
  # Debug kernels embed __FILE__: the kernel's source is copied beside Microkit's.
  buildPhaseCargoCommand = ''
    cp -r ${sel4-src} seL4
    chmod -R u+w seL4
    patchShebangs seL4
    python3 ${../ci/sdk.py} --sel4 seL4 --version ${version} \
      --boards ${lib.concatStringsSep "," boards} --configs ${lib.concatStringsSep "," configs} \
      --gcc-toolchain-prefix-aarch64 ${lib.removeSuffix "-" cross.targetPrefix} \
      --skip-tool --skip-docs --skip-tar
  '';

  installPhaseCommand = ''
    mkdir -p $out/bin
    cp -r release/microkit-sdk-${version}/. $out
    cp ${lib.getExe microkit-tool} $out/bin/microkit
    # Beside what Microkit ships: the device tree that each board's kernel was made from, by which
    # the monitor's reports name devices.
    for board in ${toString boards}; do
      tree=$out/board/$board/kernel.dtb
      install -m 644 build/$board/${lib.head configs}/sel4/install/support/kernel.dtb $tree
      # QEMU's tree of its machine has random seeds for a Linux, new ones each time.
      for seed in kaslr-seed rng-seed; do
        ! fdtget $tree /chosen $seed &>/dev/null || fdtput --delete $tree /chosen $seed
      done
    done
  '';

  # The objects are for another machine, and the tool patches the ELF files by their symbols.
  dontStrip = true;
  dontPatchELF = true;
  # No part of a system may name a source or a compiler.
  disallowedReferences = [
    cross.bintools.bintools
    cross.cc
    microkit-src
    sel4-src
    toolchain
  ];

  passthru = {
    inherit boards configs;
    treeOf = board: "board/${board}/kernel.dtb";
  };
  meta = {
    description = "seL4 Microkit SDK for ${lib.concatStringsSep ", " boards}";
    homepage = "https://github.com/seL4/microkit";
    license = with lib.licenses; [
      bsd2
      gpl2Only
    ];
  };
}
