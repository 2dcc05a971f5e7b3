# SPDX-License-Identifier: BSD-2-Clause
# One formatter for everything: `nix fmt`, and the check 'formatting'.
{ toolchain }:
{
  projectRootFile = "flake.nix";
  programs = {
    nixfmt.enable = true;
    rustfmt = {
      enable = true;
      package = toolchain;
    };
    shellcheck = {
      enable = true;
      external-sources = true;
      source-path = "SCRIPTDIR";
      # Commands have no suffix.
      includes = [
        "*.sh"
        ".ci/run"
        "ci/*"
        "guest/debian/init"
        "guest/buildroot/*check-*"
        "guest/buildroot/debian-build"
        "guest/buildroot/overlay/init"
        "guest/buildroot/overlay/etc/init.d/*"
        "guest/buildroot/overlay/usr/bin/*"
      ];
      excludes = [
        "*.md"
        "*.py"
        "*.rs"
        "*.toml"
      ];
    };
    taplo = {
      enable = true;
      # As rustfmt: four spaces. What stands on one line stays there.
      settings.formatting = {
        indent_string = "    ";
        array_auto_collapse = false;
        array_auto_expand = false;
      };
    };
  };
}
