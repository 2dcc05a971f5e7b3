// SPDX-License-Identifier: BSD-2-Clause
//! Entered by QEMU in EL3 with no firmware at all: plays the board's, then enters the system image
//! in EL2. Answers PSCI (power-off by the SNVS block) and the silicon revision; refuses the rest.
#![no_std]
#![no_main]

use core::arch::global_asm;

const _: () = machine_shims::link();

// Registers as in Arm DDI 0487, D24: SCR_EL3 = RW | HCE | RES1 | NS, so EL2 is 64-bit, may make
// hypervisor calls, and SMC works (SMD clear). ICC_SRE_EL3 lets EL2 use system registers.
// SPSR 0x3c9: EL2h, everything masked.
global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "    mrs   x1, mpidr_el1",
    "    and   x1, x1, #0xff",
    "    cbnz  x1, 9f", // one CPU is all that firmware brings up
    "    adr   x1, vectors",
    "    msr   vbar_el3, x1",
    "    mov   x1, #0x531",
    "    msr   scr_el3, x1",
    "    msr   cptr_el3, xzr",
    "    mov   x1, #0xf",
    "    msr   S3_6_C12_C12_5, x1", // ICC_SRE_EL3
    "    isb",
    "    bl    set_groups",
    "    mov   x1, #0x3c9",
    "    msr   spsr_el3, x1",
    concat!("    ldr   x1, =", env!("ENTRY")),
    "    msr   elr_el3, x1",
    "    mov   x0, xzr",
    "    eret",
    "9:  wfi",
    "    b     9b",
    ".ltorg",
    // Only a synchronous exception from a lower level, 64-bit, can come: an SMC.
    ".balign 2048",
    "vectors:",
    ".skip 0x400",
    "    b     call",
    ".balign 2048",
    // X1 to X3 may be lost in a call (Arm DEN0028F, 2.6).
    "call:",
    "    mrs   x1, esr_el3",
    "    lsr   x1, x1, #26",
    "    cmp   x1, #0x17",
    "    b.ne  9b",
    "    mov   w1, #0x0006",
    "    movk  w1, #0xc200, lsl #16", // SiP GET_SOC_INFO (TF-A, imx_sip_svc.h)
    "    cmp   w0, w1",
    "    b.eq  3f",
    "    mov   w1, #0x84000000", // PSCI_VERSION (Arm DEN0022F, 5.1)
    "    cmp   w0, w1",
    "    b.eq  4f",
    "    add   w1, w1, #8", // SYSTEM_OFF
    "    cmp   w0, w1",
    "    b.eq  5f",
    "    mov   x0, #-1", // NOT_SUPPORTED
    "    eret",
    "3:  mov   w0, #0x4021", // i.MX 8MQ, B1 silicon: DIGPROG 0x00824021
    "    movk  w0, #0x0082, lsl #16",
    "    eret",
    "4:  mov   w0, #1",
    "    movk  w0, #1, lsl #16",
    "    eret",
    // SNVS_LPCR: TOP turns the board off once DP_EN allows it (i.MX 8M Plus Reference Manual,
    // 6.4: SNVS at 0x30370000, LPCR at 0x38).
    "5:  mov   x1, #0x30370000",
    "    mov   w2, #0x60",
    "    str   w2, [x1, #0x38]",
    "6:  wfi",
    "    b     6b",
);
