# SPDX-License-Identifier: BSD-2-Clause
# `lib.mkGuest`: a guest, as `lib.mkSystem` takes it.
{ lib }:
{
  # In file names, manifests and on the terminal.
  name,
  # A file: an arm64 Image.
  kernel,
  # A file: its initial RAM file system. Or a folder that becomes one. Or neither.
  initrd ? null,
  rootfs ? null,
  # A folder that is laid over it.
  files ? null,
  # Boot arguments.
  append ? "",
  # What a release ships about it: a folder of licences, and a bill of materials (CycloneDX).
  legal ? null,
  sbom ? null,
}:
lib.throwIf (initrd != null && rootfs != null)
  "mkGuest: guest '${name}' has both an initrd and a rootfs: a rootfs is packed into an initrd, so give one of them"
  {
    inherit
      append
      files
      initrd
      kernel
      legal
      name
      rootfs
      sbom
      ;
  }
