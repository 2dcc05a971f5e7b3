# SPDX-License-Identifier: BSD-2-Clause
# What goes to somebody who has the board: the image, what it is made of, under which licences,
# and how to write it.
{
  card,
  facts,
  guest,
  microkit-sdk,
  runCommand,
  sbom,
}:
runCommand "release-${facts.alias}"
  {
    meta.description = "Image, manifest, checksums, licences and bills of materials for ${facts.title}";
  }
  ''
    mkdir -p $out/licences $out/sbom
    cp -r ${card}/. $out/
    cp ${../LICENSE} $out/licences/monitor.txt
    cp -r ${microkit-sdk}/LICENSES $out/licences/microkit
    cp -r ${guest.legal} $out/licences/guest
    cp ${sbom} $out/sbom/monitor.cdx.json
    cp ${guest}/sbom.cdx.json $out/sbom/guest.cdx.json
    chmod -R u+w $out
    cd $out
    rm -f SHA256SUMS
    find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum >SHA256SUMS
  ''
