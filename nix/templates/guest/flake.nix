# SPDX-License-Identifier: BSD-2-Clause
{
  description = "An own Linux guest on seL4";

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
          board = "qemu";
          guest = vmm.lib.mkGuest {
            name = "my guest";
            # Any arm64 Image and initial RAM file system; here the monitor's own, with files of ours
            # laid over it. A whole root file system is `rootfs = ./folder` in place of `initrd`.
            inherit (vmm.packages.${system}.guest-qemu.guest)
              kernel
              initrd
              legal
              sbom
              ;
            files = ./files;
          };
          # What `nix flake check` types at the guest's shell.
          run = [ "grep own /run/own" ];
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
