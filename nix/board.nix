# SPDX-License-Identifier: BSD-2-Clause
# One system: the packages of one board with one guest. Everything that is particular about the
# board comes from its board.toml, everything that is particular about the system from `wish`
# (system.nix checks it).
{
  lib,
  mkGuest,
  newScope,
  facts,
  wish,
}:
lib.makeScope newScope (self: {
  inherit facts wish;

  # The guest: somebody's own, or this board's by Buildroot.
  buildroot = self.callPackage ./guest.nix { linuxSeries = wish.linux; };
  linuxes = lib.mapAttrs (
    series: _: self.callPackage ./guest.nix { linuxSeries = series; }
  ) (lib.importJSON ./linux-lts.json);
  guest = wish.guest or (mkGuest self.buildroot.guest);
  initrd = self.callPackage ./initramfs.nix { };

  # The protection domain, and the plan that joins it with the guest.
  vmm = self.callPackage ./vmm.nix { inherit (wish) config; };
  plan = self.callPackage ./plan.nix {
    host = "microkit";
    # Said, so that the boot check's plan is this one and what it boots is the image itself.
    gic = facts.gicOn "microkit";
    inherit (wish) vcpus;
    inherit (self.guest) kernel;
    inherit (self) initrd;
    extraArguments = lib.concatLists [
      (lib.optional (wish.ram != null) "--ram=${toString wish.ram}")
      (lib.optional (self.guest.append != "") "--append=${self.guest.append}")
      (map (finding: "--accept=${finding}") wish.accept)
    ];
  };

  image = self.callPackage ./image.nix { inherit (self.vmm) config; };
  card = self.callPackage ./card.nix { };
  sbom = self.callPackage ./sbom.nix { };
  release = self.callPackage ./release.nix { };

  # Every emulated machine that board.toml names for a host, by "<host>-gicv<n>".
  machines = removeAttrs (self.callPackage ./machines.nix { }) [
    "override"
    "overrideDerivation"
  ];
  emulator = self.callPackage ./emulator.nix { };
})
