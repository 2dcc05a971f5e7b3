// SPDX-License-Identifier: BSD-2-Clause
// Code in any state of EL0 or EL1, and the synchronous exception that ends it.

.macro ended
    .balign 0x80
    b       exception_ended
.endm

.macro not_ended number
    .balign 0x80
    mov     x0, #\number
    b       unwanted_exception
.endm

.section .text
.balign 0x800
.global exception_vectors
exception_vectors:
    .irp group, 0, 4, 8, 12
    ended
    not_ended \group + 1
    not_ended \group + 2
    not_ended \group + 3
    .endr

// Back to who called exception_run, on the same stack: what ran there does not use it.
exception_ended:
    stp     x8, x9, [sp, #-16]!
    ldr     x8, [sp, #32]           // struct Ended
    stp     x0, x1, [x8, #0]
    stp     x2, x3, [x8, #16]
    stp     x4, x5, [x8, #32]
    stp     x6, x7, [x8, #48]
    mrs     x0, esr_el1
    mrs     x1, far_el1
    stp     x0, x1, [x8, #64]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x0, x1, [x8, #80]
    ldp     x8, x9, [sp], #16
    ldp     x29, x30, [sp], #32
    ret

// void exception_run(pc, spsr, registers: &[u64; 8], &mut Ended)
.global exception_run
exception_run:
    stp     x29, x30, [sp, #-32]!
    str     x3, [sp, #16]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    mov     x8, x2
    ldp     x0, x1, [x8, #0]
    ldp     x2, x3, [x8, #16]
    ldp     x4, x5, [x8, #32]
    ldp     x6, x7, [x8, #48]
    isb
    eret
