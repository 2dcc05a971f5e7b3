// SPDX-License-Identifier: BSD-2-Clause
// Vectors that skip an instruction that was refused, and a way to run any instruction.

.section .text
.balign 0x800
.global hostile_vectors
hostile_vectors:
    .space  0x200
// Synchronous, current EL with its own stack pointer.
    stp     x0, x1, [sp, #-16]!
    mrs     x0, esr_el1
    lsr     x0, x0, #26
    cmp     x0, #0x21               // an instruction abort has nothing to skip to
    b.eq    1f
    mrs     x0, elr_el1
    add     x0, x0, #4
    msr     elr_el1, x0
    ldp     x0, x1, [sp], #16
    eret
1:  mov     x0, #4
    b       unwanted_exception
    .balign 0x80
    b       irq_exception
    .balign 0x80
    b       irq_exception           // FIQ: group 0 of a controller that the guest has upset
    .balign 0x80
    eret                            // SError: what the guest did somewhere came late
    .balign 0x800

// u64 hostile_instruction(x0, x1, instruction)
.global hostile_instruction
hostile_instruction:
    adrp    x9, hostile_slot
    add     x9, x9, :lo12:hostile_slot
    str     w2, [x9]
    dsb     sy
    ic      iallu
    dsb     sy
    isb
    br      x9

// Written with the MMU off: straight to memory.
.section .data
.balign 16
hostile_slot:
    nop
    ret
