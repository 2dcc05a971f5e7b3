# SPDX-License-Identifier: BSD-2-Clause
# The guest of a board by Buildroot: kernel, root file system, what they are made of.
{
  lib,
  buildroot-src,
  facts,
  fetchurl,
  guest-env,
  linkFarm,
  pins,
  sources,
  stdenvNoCC,
  # Another long-term kernel than the defconfig's: a series that linux-lts.json knows.
  linuxSeries,
}:
let
  # One fetch for each source file; `make show-info` in Buildroot tells names and addresses, its
  # .hash files the hashes.
  fetch =
    name: source:
    fetchurl {
      inherit name;
      inherit (source) hash urls;
    };
  listed = lib.importJSON ./buildroot-sources.json;
  isLinux = name: builtins.match "linux-[0-9.]+[.]tar[.]xz" name != null;
  others = lib.importJSON ./linux-lts.json;
  # Null: the kernel that the defconfig names.
  other =
    if linuxSeries == null then
      null
    else
      others.${linuxSeries}
        or (throw "mkSystem: there is no Linux '${linuxSeries}' for Buildroot's guest; there are: ${lib.concatStringsSep ", " (lib.attrNames others)} (nix/linux-lts.json); without 'linux' it is the board's own");
  wanted =
    if other == null then
      listed
    else
      lib.filterAttrs (name: _: !isLinux name) listed // { "linux-${other.version}.tar.xz" = other; };
  downloads = linkFarm "buildroot-downloads" (lib.mapAttrs fetch wanted);
  # Buildroot's own SBOM generator reads the list of SPDX names from its download folder.
  spdx = fetchurl {
    url = "https://raw.githubusercontent.com/CycloneDX/specification/1.6/schema/spdx.schema.json";
    hash = "sha256-uqnTvR7Ve2dRsIh+3q1rUGP/U/90Kc+F1HbGyUrwFm4=";
  };
  version = pins.inputs.buildroot.ref;
in
lib.throwIfNot (lib.pathExists (../guest/buildroot/configs + "/${facts.folder}_defconfig"))
"guest/buildroot/configs has no ${facts.folder}_defconfig: give mkSystem a guest (lib.mkGuest), or add the file"
stdenvNoCC.mkDerivation (finalAttrs: {
  pname = "guest-${facts.alias}" + lib.optionalString (other != null) "-linux-${linuxSeries}";
  inherit version;
  src = buildroot-src;
  outputs = [
    "out"
    "legal"
  ];

  nativeBuildInputs = [ guest-env ];
  # Buildroot's own programs are built from source here and nobody's hardening flags fit them.
  hardeningDisable = [ "all" ];

  # One set of variables for every call: the external tree is copied beside Buildroot, so that no
  # store path is in anything that a build records.
  configurePhase = ''
    runHook preConfigure
    cp -r ${sources.guest}/guest/buildroot external
    chmod -R u+w external
    mkdir -p downloads/cyclonedx
    cp ${spdx} downloads/cyclonedx/spdx-1.6.schema.json
    buildroot() {
      guest-env -c 'exec make "$@"' make BR2_EXTERNAL="$PWD/external" BR2_DL_DIR="$PWD/downloads" \
        BR2_PRIMARY_SITE="file://${downloads}" BR2_PRIMARY_SITE_ONLY=y BR2_JLEVEL="$NIX_BUILD_CORES" "$@"
    }
    ${lib.optionalString (other != null) ''
      sed -i -e 's/^\(BR2_LINUX_KERNEL_CUSTOM_VERSION_VALUE\)=.*/\1="${other.version}"/' \
        -e 's/^\(BR2_PACKAGE_HOST_LINUX_HEADERS_CUSTOM\)_[0-9_]*=/\1_${
          lib.replaceStrings [ "." ] [ "_" ] linuxSeries
        }=/' external/configs/${facts.folder}_defconfig
    ''}buildroot ${facts.folder}_defconfig
    # Which sources there are depends on what the environment brings; the list covers the leanest.
    missing=$(buildroot --silent external-deps | LC_ALL=C sort | LC_ALL=C comm -23 - <(ls ${downloads}))
    [ -z "$missing" ] || { echo "nix/buildroot-sources.json has no entry for:" $missing; exit 1; }
    runHook postConfigure
  '';

  buildPhase = ''
    runHook preBuild
    buildroot
    buildroot legal-info
    # Addresses as they are upstream: those of this build are in the store.
    buildroot --silent show-info BR2_PRIMARY_SITE= BR2_PRIMARY_SITE_ONLY= >show-info.json
    guest-env -c "BR2_DL_DIR=$PWD/downloads utils/generate-cyclonedx" <show-info.json >sbom.cdx.json
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    install -D -m 644 -t $out output/images/Image output/images/rootfs.cpio.gz sbom.cdx.json
    install -D -m 644 .config $out/buildroot.config
    install -D -m 644 output/build/linux-[0-9]*/.config $out/linux.config
    install -D -m 644 -t $legal output/legal-info/manifest.csv
    cp -r output/legal-info/licenses $legal/
    runHook postInstall
  '';
  dontFixup = true;
  disallowedReferences = [
    buildroot-src
    downloads
  ];

  passthru = {
    inherit downloads;
    # For mkGuest.
    guest = {
      name =
        "Linux and BusyBox by Buildroot ${version}"
        + lib.optionalString (other != null) ", Linux ${other.version}";
      kernel = "${finalAttrs.finalPackage}/Image";
      initrd = "${finalAttrs.finalPackage}/rootfs.cpio.gz";
      inherit (finalAttrs.finalPackage) legal;
      sbom = "${finalAttrs.finalPackage}/sbom.cdx.json";
    };
  };
  meta = {
    description = "Linux kernel and root file system of the guest for ${facts.title}";
    homepage = "https://buildroot.org";
    license = lib.licenses.gpl2Only;
    platforms = lib.platforms.linux;
  };
})
