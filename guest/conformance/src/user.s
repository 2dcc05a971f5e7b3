// SPDX-License-Identifier: BSD-2-Clause
// One instruction in EL0, and the exception that ends it.

.section .text
.balign 0x800
.global user_vectors
user_vectors:
    .space  0x400
// Synchronous, from EL0: back to who called user_instruction, on the same stack.
    mrs     x0, esr_el1
    ldp     x29, x30, [sp], #16
    ret
    .balign 0x800

// u64 user_instruction(instruction)
.global user_instruction
user_instruction:
    stp     x29, x30, [sp, #-16]!
    adrp    x9, user_slot
    add     x9, x9, :lo12:user_slot
    str     w0, [x9]
    dsb     sy
    ic      iallu
    dsb     sy
    msr     elr_el1, x9
    mov     x9, #0x3c0              // EL0; debug, SError, IRQ and FIQ masked
    msr     spsr_el1, x9
    isb
    eret

// Written with the MMU off: straight to memory.
.section .data
.balign 16
user_slot:
    nop
    svc     #0
