# SPDX-License-Identifier: BSD-2-Clause
# The packages of one board. Everything that is particular about it comes from its board.toml.
{
  lib,
  newScope,
  facts,
}:
lib.makeScope newScope (self: {
  inherit facts;

  # The protection domain, the guest's kernel and root file system, and the plan that joins them.
  vmm = self.callPackage ./vmm.nix { config = "release"; };
  guest = self.callPackage ./guest.nix { };
  plan = self.callPackage ./plan.nix {
    host = "microkit";
    # Said, so that the boot check's plan is this one and what it boots is the image itself.
    gic = facts.gicOn "microkit";
    vcpus = 1;
    kernel = "${self.guest}/${self.guest.kernel}";
    initrd = "${self.guest}/${self.guest.initrd}";
    extraArguments = [ ];
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
