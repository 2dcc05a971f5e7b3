# SPDX-License-Identifier: BSD-2-Clause
# A guest's initial RAM file system: as it is, packed from a folder, with files laid over it, or
# none. The same input gives the same bytes.
{
  lib,
  cpio,
  guest,
  runCommand,
}:
if guest.rootfs == null && guest.files == null then
  guest.initrd
else
  runCommand "${guest.name}-initrd" { nativeBuildInputs = [ cpio ]; } ''
    # Archives behind each other are one file system: what comes later lies over what came before.
    pack() {
      cp -r "$1" tree
      chmod -R u+w tree
      find tree -exec touch -h -d @0 {} +
      (cd tree && find . -print0 | LC_ALL=C sort -z |
        cpio --quiet --null --create --format=newc --reproducible --owner=+0:+0) >>archive
      rm -rf tree
    }
    touch archive
  ''
  + lib.optionalString (guest.initrd != null) ''
    case $(od -An -N2 -tx1 ${guest.initrd}) in
      ' 1f 8b') gzip -dc ${guest.initrd} >archive ;;
      ' 30 37') cat ${guest.initrd} >archive ;;
      *) echo "the initrd of guest '${guest.name}' is neither a cpio archive nor a gzip of one: 'files' cannot be laid over it"; exit 1 ;;
    esac
  ''
  + lib.concatMapStrings (folder: "pack ${folder}\n") (
    lib.filter (folder: folder != null) [
      guest.rootfs
      guest.files
    ]
  )
  + ''
    gzip -9 --no-name <archive >$out
  ''
