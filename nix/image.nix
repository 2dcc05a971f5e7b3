# SPDX-License-Identifier: BSD-2-Clause
# The system: kernel, monitor and guest in one file, as the board's boot loader takes it.
{
  facts,
  microkit-sdk,
  plan,
  runCommand,
  vmm,
  config,
}:
runCommand "system-${facts.alias}"
  {
    env.MICROKIT_SDK = microkit-sdk;
    # The image is taken away on a card: it must not name where it was made.
    allowedReferences = [ ];
    passthru = {
      inherit config;
      loader = "loader.img";
    };
    meta.description = "Bootable image for ${facts.title}";
  }
  ''
    mkdir $out
    $MICROKIT_SDK/bin/microkit ${plan}/guest.system \
      --board ${facts.microkit.board} --config ${config} \
      --search-path ${plan} ${vmm} --output $out/loader.img --report $out/report.txt
    cp $MICROKIT_SDK/board/${facts.microkit.board}/${config}/include/kernel/gen_config.json $out/kernel.json
  ''
