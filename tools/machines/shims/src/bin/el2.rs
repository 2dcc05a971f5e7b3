// SPDX-License-Identifier: BSD-2-Clause
//! Entered by QEMU in EL2 with PSCI over SMC: sets the interrupt groups, then enters the system
//! image where the board's boot script puts it.
#![no_std]
#![no_main]

use core::arch::global_asm;

const _: () = machine_shims::link();

global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "    mov   x20, x0",
    "    bl    set_groups",
    "    mov   x0, x20",
    concat!("    ldr   x6, =", env!("ENTRY")),
    "    br    x6",
    ".ltorg",
);
