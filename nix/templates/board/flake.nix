# SPDX-License-Identifier: BSD-2-Clause
{
  description = "An own board for a Linux guest on seL4";

  # Where you have the monitor's repository: git+https://..., github:OWNER/NAME, path:/...
  inputs.vmm.url = "path:/where/the/monitor/is";

  outputs =
    { vmm, ... }:
    let
      each =
        outputsOf:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = outputsOf system;
          }) (builtins.attrNames vmm.packages)
        );

      made = each (
        system:
        vmm.lib.mkSystem {
          inherit system;
          # The folder of board folders: each has a board.toml. What stands there is QEMU's machine;
          # the monitor's docs/boards.md says how another comes about.
          boards = ./boards;
          board = "myboard";
          guest = vmm.lib.mkGuest vmm.packages.${system}.guest-qemu.guest;
        }
      );
    in
    {
      # nix build: loader.img, SD card, manifest. nix run: in an emulator, on this terminal.
      packages = each (system: {
        default = made.${system}.image;
        inherit (made.${system}) release map;
      });
      apps = each (system: {
        default = made.${system}.qemu;
      });
      checks = each (system: made.${system}.checks);
    };
}
