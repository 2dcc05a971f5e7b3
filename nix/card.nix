# SPDX-License-Identifier: BSD-2-Clause
# What a board boots from: its image, an SD card's image with it, manifest and checksums. Made by
# ci/image, as without Nix.
{
  lib,
  dosfstools,
  facts,
  image,
  jq,
  mtools,
  plan,
  revision,
  runCommand,
  sources,
  ubootTools,
  util-linux,
}:
runCommand "${facts.alias}-image"
  {
    nativeBuildInputs = [
      dosfstools
      jq
      mtools
      ubootTools
      util-linux
    ];
    # The tree's revision, for the manifest.
    env.REVISION = revision;
    allowedReferences = [ ];
    passthru = { inherit (image) loader; };
    meta = {
      description = "Bootable image and SD card image for ${facts.title}";
      # The monitor's; the kernel, Linux and what is in its file system have theirs (release).
      license = lib.licenses.bsd2;
      platforms = lib.platforms.linux;
    };
  }
  ''
    cp -r ${plan} from
    chmod -R u+w from
    cp ${image}/${image.loader} ${image}/kernel.json from/
    bash ${sources.run}/ci/image ${facts.folder} --config ${image.config} --from from --out $out
    cp ${image}/report.txt $out/microkit-report.txt
  ''
