// SPDX-License-Identifier: BSD-2-Clause
// Entry by the arm64 boot protocol (Linux Documentation/arch/arm64/booting.rst), and vectors.

// Without a monitor (bare QEMU with virtualization=on): leaves EL2 for EL1, keeping nothing, and goes
// on at the label. x9 is lost.
.macro leave_el2 at_el1
    mrs     x9, CurrentEL
    cmp     x9, #(2 << 2)
    b.ne    \at_el1
    mov     x9, #(1 << 31)          // HCR_EL2.RW: EL1 is AArch64; no trap
    msr     hcr_el2, x9
    mov     x9, #3                  // CNTHCTL_EL2: EL1 reaches the physical timer
    msr     cnthctl_el2, x9
    msr     cntvoff_el2, xzr
    mov     x9, #0x33ff             // CPTR_EL2: RES1 bits; no trap
    msr     cptr_el2, x9
    mrs     x9, midr_el1
    msr     vpidr_el2, x9
    mrs     x9, mpidr_el1
    msr     vmpidr_el2, x9
    mrs     x9, id_aa64pfr0_el1     // GIC, bits 27:24: system registers to the GIC exist
    ubfx    x9, x9, #24, #4
    cbz     x9, 1f
    mov     x9, #0xf                // ICC_SRE_EL2: SRE, DFB, DIB, Enable
    msr     S3_4_C12_C9_5, x9
    isb
    msr     S3_4_C12_C11_0, xzr     // ICH_HCR_EL2
1:  movz    x9, #0x30d0, lsl #16    // SCTLR_EL1: RES1 bits of Armv8.0; MMU and caches off
    movk    x9, #0x0800
    msr     sctlr_el1, x9
    adr     x9, \at_el1
    msr     elr_el2, x9
    mov     x9, #0x3c5              // EL1h; debug, SError, IRQ and FIQ masked
    msr     spsr_el2, x9
    eret
.endm

.macro set_up_el1
    mov     x9, #(3 << 20)          // CPACR_EL1.FPEN: vector registers without a trap
    msr     cpacr_el1, x9
    adrp    x9, vectors
    add     x9, x9, :lo12:vectors
    msr     vbar_el1, x9
    isb
.endm

.section .head, "ax"
.global image_header
image_header:
    b       entry                   // code0
    .long   0                       // code1
    .quad   0                       // text_offset
    .quad   image_end - image_header
    .quad   0xa                     // flags: little-endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

// x0: device tree. Nothing below touches x0 to x3 until they are saved.
entry:
    leave_el2 at_el1

at_el1:
    mrs     x20, daif
    mrs     x21, sctlr_el1
    mrs     x22, cntv_ctl_el0
    set_up_el1

    adrp    x9, relocations_start
    add     x9, x9, :lo12:relocations_start
    adrp    x10, relocations_end
    add     x10, x10, :lo12:relocations_end
    adrp    x11, image_header
    add     x11, x11, :lo12:image_header
2:  cmp     x9, x10
    b.hs    3f
    ldp     x12, x13, [x9], #16     // r_offset, r_info: all are R_AARCH64_RELATIVE
    ldr     x13, [x9], #8           // r_addend
    add     x13, x13, x11
    str     x13, [x11, x12]
    b       2b

3:  adrp    x9, bss_start
    add     x9, x9, :lo12:bss_start
    adrp    x10, bss_end
    add     x10, x10, :lo12:bss_end
4:  cmp     x9, x10
    b.hs    5f
    stp     xzr, xzr, [x9], #16
    b       4b

5:  dsb     sy
    ic      iallu                   // the relocated words may hold no code, but cost nothing
    dsb     sy
    isb
    adrp    x9, stack_top
    add     x9, x9, :lo12:stack_top
    mov     sp, x9
    stp     x21, x22, [sp, #-16]!   // struct Entry: x0 to x3, DAIF, CurrentEL, SCTLR, CNTV_CTL
    mrs     x9, CurrentEL
    stp     x20, x9, [sp, #-16]!
    stp     x2, x3, [sp, #-16]!
    stp     x0, x1, [sp, #-16]!
    mov     x0, sp
    bl      runtime_start
    b       .

// Where CPU_ON lets another CPU start. x0: what the caller gave, the top of this CPU's stack.
.global secondary_entry
secondary_entry:
    leave_el2 secondary_at_el1

secondary_at_el1:
    mrs     x20, daif
    mrs     x21, sctlr_el1
    mrs     x22, cntv_ctl_el0
    set_up_el1
    mov     sp, x0
    stp     x21, x22, [sp, #-16]!   // struct Entry, as above
    mrs     x9, CurrentEL
    stp     x20, x9, [sp, #-16]!
    stp     x2, x3, [sp, #-16]!
    stp     x0, x1, [sp, #-16]!
    mov     x0, sp
    bl      runtime_secondary
    b       .

// Sixteen vectors of 128 bytes (Arm DDI 0487, D1.3.1). Only an IRQ at EL1 with its own stack
// pointer is wanted; anything else fails the guest.
.macro unwanted number
    .balign 0x80
    mov     x0, #\number
    b       unwanted_exception
.endm

.section .text
.balign 0x800
vectors:
    unwanted 0
    unwanted 1
    unwanted 2
    unwanted 3
    unwanted 4
    .balign 0x80
    b       irq_exception
    unwanted 6
    unwanted 7
    unwanted 8
    unwanted 9
    unwanted 10
    unwanted 11
    unwanted 12
    unwanted 13
    unwanted 14
    unwanted 15

.global unwanted_exception
unwanted_exception:
    adrp    x9, stack_top           // the stack pointer may be what went wrong
    add     x9, x9, :lo12:stack_top
    mov     sp, x9
    mrs     x1, esr_el1
    mrs     x2, elr_el1
    mrs     x3, far_el1
    bl      runtime_exception
    b       .

// Keeps every register but those that a call may change anyway: the Rust side keeps the others.
.global irq_exception
irq_exception:
    sub     sp, sp, #704
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x29, [sp, #144]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x30, x0, [sp, #160]
    str     x1, [sp, #176]
    stp     q0, q1, [sp, #192]
    stp     q2, q3, [sp, #224]
    stp     q4, q5, [sp, #256]
    stp     q6, q7, [sp, #288]
    stp     q8, q9, [sp, #320]
    stp     q10, q11, [sp, #352]
    stp     q12, q13, [sp, #384]
    stp     q14, q15, [sp, #416]
    stp     q16, q17, [sp, #448]
    stp     q18, q19, [sp, #480]
    stp     q20, q21, [sp, #512]
    stp     q22, q23, [sp, #544]
    stp     q24, q25, [sp, #576]
    stp     q26, q27, [sp, #608]
    stp     q28, q29, [sp, #640]
    stp     q30, q31, [sp, #672]
    bl      guest_irq
    ldp     q30, q31, [sp, #672]
    ldp     q28, q29, [sp, #640]
    ldp     q26, q27, [sp, #608]
    ldp     q24, q25, [sp, #576]
    ldp     q22, q23, [sp, #544]
    ldp     q20, q21, [sp, #512]
    ldp     q18, q19, [sp, #480]
    ldp     q16, q17, [sp, #448]
    ldp     q14, q15, [sp, #416]
    ldp     q12, q13, [sp, #384]
    ldp     q10, q11, [sp, #352]
    ldp     q8, q9, [sp, #320]
    ldp     q6, q7, [sp, #288]
    ldp     q4, q5, [sp, #256]
    ldp     q2, q3, [sp, #224]
    ldp     q0, q1, [sp, #192]
    ldr     x1, [sp, #176]
    ldp     x30, x0, [sp, #160]
    msr     spsr_el1, x1
    msr     elr_el1, x0
    ldp     x18, x29, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp, #0]
    add     sp, sp, #704
    eret
