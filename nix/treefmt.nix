# SPDX-License-Identifier: BSD-2-Clause
# One formatter for everything: `nix fmt`, and the check 'formatting'.
{ toolchain }:
{
  projectRootFile = "flake.nix";
  programs = {
    deadnix.enable = true;
    nixfmt.enable = true;
    rustfmt = {
      enable = true;
      package = toolchain;
    };
    shellcheck = {
      enable = true;
      external-sources = true;
      source-path = "SCRIPTDIR";
      # The commands in ci/ have no suffix.
      includes = [
        ".ci/run"
        "ci/*"
        "*.sh"
      ];
      excludes = [
        "*.toml"
        "ci/**/*.rs"
      ];
    };
    statix.enable = true;
    taplo.enable = true;
  };
}
