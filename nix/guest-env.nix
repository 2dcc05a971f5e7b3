# SPDX-License-Identifier: BSD-2-Clause
# The environment that Buildroot asks for ('System requirements' in its manual): it looks for
# /usr/bin/file and takes a usual file system hierarchy for granted. `guest-env -c COMMAND`.
{ buildFHSEnv }:
buildFHSEnv {
  name = "guest-env";
  runScript = "bash";
  targetPkgs = pkgs: [
    pkgs.bc
    pkgs.bzip2
    pkgs.cpio
    pkgs.diffutils
    pkgs.file
    pkgs.findutils
    pkgs.gawk
    pkgs.gcc
    pkgs.git
    pkgs.gnugrep
    pkgs.gnumake
    pkgs.gnused
    pkgs.gnutar
    pkgs.gzip
    pkgs.gnupatch
    pkgs.perl
    pkgs.python3
    pkgs.rsync
    pkgs.unzip
    pkgs.util-linux
    pkgs.wget
    pkgs.which
    pkgs.xz
  ];
}
