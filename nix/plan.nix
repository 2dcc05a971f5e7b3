# SPDX-License-Identifier: BSD-2-Clause
# What guestplan computes for a board and a guest: system file, guest device tree, plan block, and
# the images beside them. plan.txt is what it says about it.
{
  lib,
  facts,
  guestplan,
  microkit-sdk,
  runCommand,
  sources,
  # "microkit" or "baremetal"; version of the interrupt controller.
  host,
  gic,
  # Virtual CPUs.
  vcpus,
  # Files; the root file system may be null.
  kernel,
  initrd,
  # Further words for guestplan.
  extraArguments,
}:
runCommand "plan-${facts.alias}"
  {
    nativeBuildInputs = [ guestplan ];
    passthru = { inherit host vcpus; };
    meta.description = "System file, guest device tree and plan block for ${facts.title}";
  }
  ''
    mkdir $out
    guestplan plan --boards ${sources.boards} ${
      lib.escapeShellArgs (
        [
          "--board=${facts.folder}"
          "--host=${host}"
          "--gic=${toString gic}"
          "--tree=${microkit-sdk}/${microkit-sdk.treeOf facts.microkit.board}"
          "--cpus=${toString vcpus}"
          "--kernel=${kernel}"
        ]
        ++ lib.optional (initrd != null) "--initrd=${initrd}"
        ++ extraArguments
      )
    } --out $out | tee plan.txt
    cp plan.txt $out
  ''
