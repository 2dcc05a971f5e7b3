# SPDX-License-Identifier: BSD-2-Clause
# What goes to somebody who has the board: the image, what it is made of, under which licences,
# and how to write it. About the guest it ships what the guest brings (mkGuest), and says so where
# that is nothing.
{
  lib,
  card,
  facts,
  guest,
  microkit-sdk,
  runCommand,
  sbom,
}:
runCommand "release-${facts.alias}"
  {
    meta = {
      description = "Image, manifest, checksums, licences and bills of materials for ${facts.title}";
      license = lib.licenses.bsd2;
      platforms = lib.platforms.linux;
    };
  }
  (
    ''
      mkdir -p $out/licences $out/sbom
      cp -r ${card}/. $out/
      cp ${../LICENSE} $out/licences/monitor.txt
      cp -r ${microkit-sdk}/LICENSES $out/licences/microkit
      cp ${sbom} $out/sbom/monitor.cdx.json
      guest=${lib.escapeShellArg guest.name}
    ''
    + (
      if guest.legal != null then
        ''
          cp -r ${guest.legal} $out/licences/guest
        ''
      else
        ''
          echo "No licences came with the guest '$guest': whoever gives this image on adds them here." >$out/licences/guest.txt
        ''
    )
    + (
      if guest.sbom != null then
        ''
          cp ${guest.sbom} $out/sbom/guest.cdx.json
        ''
      else
        ''
          echo "No bill of materials came with the guest '$guest': whoever gives this image on adds it here." >$out/sbom/guest.txt
        ''
    )
    + ''
      chmod -R u+w $out
      cd $out
      rm -f SHA256SUMS
      find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum >SHA256SUMS
    ''
  )
