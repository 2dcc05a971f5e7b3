// SPDX-License-Identifier: BSD-2-Clause
//! What both shims do: firmware's one job that QEMU's machine lacks. Its GIC has a single security
//! state and resets every interrupt to group 0; seL4 expects group 1 and changes nothing. On the
//! board TF-A sets the groups.
#![no_std]

use core::arch::global_asm;

// set_groups: x0 to x5 are lost.
//
// GICD and GICR are where the board has them (build.rs); i.MX 8M Plus Reference Manual, 2.1, has the
// same. GICD_TYPER at 4, GICD_IGROUPR<n> at 0x80 + 4n (Arm IHI 0069H, 12.9); GICR_TYPER at 8, its bit 4 says last frame;
// GICR_IGROUPR0 at 0x10080; frames are 0x20000 apart (12.10, 12.11).
global_asm!(
    ".section .text.set_groups, \"ax\"",
    ".global set_groups",
    "set_groups:",
    concat!("    ldr   x0, =", env!("GICD")),
    "    mov   w1, #-1",
    "    ldr   w2, [x0, #4]",
    "    and   w2, w2, #0x1f",
    "    add   x3, x0, #0x80",
    "1:  str   w1, [x3], #4",
    "    subs  w2, w2, #1",
    "    b.pl  1b",
    concat!("    ldr   x0, =", env!("GICR")),
    "2:  ldr   x4, [x0, #8]",
    "    add   x3, x0, #0x10, lsl #12",
    "    str   w1, [x3, #0x80]",
    "    add   x0, x0, #0x20, lsl #12",
    "    tbz   x4, #4, 2b",
    "    dsb   sy",
    "    ret",
    ".ltorg",
);

/// Links the routine above into a shim.
pub const fn link() {}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
