# SPDX-License-Identifier: BSD-2-Clause
# Every board's image, in a folder of its own.
{
  lib,
  systems,
  linkFarm,
}:
linkFarm "images" (lib.mapAttrs (_: system: system.image) systems)
