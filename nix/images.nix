# SPDX-License-Identifier: BSD-2-Clause
# Every board's image, in a folder of its own.
{
  lib,
  boards,
  linkFarm,
}:
linkFarm "images" (lib.mapAttrs (_: board: board.card) boards)
