// SPDX-License-Identifier: BSD-2-Clause
//! The switch between this program and the guest: one function call that returns when the guest
//! leaves. All of EL1's own registers stay in the processor, because EL2 uses none of them.

use core::arch::{global_asm, naked_asm};
use core::mem::offset_of;

use arm_sysregs::el2::accessors as el2;
use vmm_core::host::{ENTRY_SPSR, Entry, FaultKind};
use vmm_core::report::refuse;

use crate::console::Console;
use crate::power_off;

/// What EL2 and the guest would fight over: general-purpose and SIMD registers, and where and how
/// the guest goes on.
#[derive(Clone)]
#[repr(C, align(16))]
pub struct Context {
    /// X0 to X30.
    pub x: [u64; 31],
    /// Program counter (ELR_EL2).
    pub pc: u64,
    /// Processor state (SPSR_EL2).
    pub spsr: u64,
    fpcr: u64,
    fpsr: u64,
    padding: u64,
    v: [u128; 32],
}

/// Why [`Context::run`] came back, as the vectors say.
#[repr(u64)]
pub enum Left {
    /// A synchronous exception: ESR_EL2 says which.
    Synchronous,
    /// A physical interrupt is pending.
    Interrupt,
    /// An asynchronous external abort.
    SError,
}

impl Context {
    /// A context of zeros.
    pub const fn new() -> Self {
        Self { x: [0; 31], pc: 0, spsr: 0, fpcr: 0, fpsr: 0, padding: 0, v: [0; 32] }
    }

    /// Where a vCPU starts.
    pub fn at(entry: Entry) -> Self {
        let mut context = Self { pc: entry.pc.0, spsr: ENTRY_SPSR, ..Self::new() };
        if let Some(x0) = context.x.first_mut() {
            *x0 = entry.x0;
        }
        context
    }

    /// Runs the guest until it leaves.
    pub fn run(&mut self) -> Left {
        // SAFETY: the context is exclusively ours for the call, SPSR_EL2 comes from the hardware
        // or from ENTRY_SPSR (both EL1 or EL0), and stage 2 keeps the guest out of our memory.
        unsafe { enter(self) }
    }
}

/// One half of the switch: both name the same places in a [`Context`].
macro_rules! half {
    ($($line:expr,)+) => {
        naked_asm!(
            $($line,)+
            pc = const offset_of!(Context, pc),
            fpcr = const offset_of!(Context, fpcr),
            v = const offset_of!(Context, v),
        )
    };
}

/// `str` or `ldr` of what the procedure call standard asks a callee to keep (AAPCS64, 6.1).
macro_rules! callee_saved {
    ($op:literal) => {
        concat!(
            ".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30; ",
            $op,
            " x\\n, [sp, #8 * (\\n - 19)]; .endr; .irp n, 8, 9, 10, 11, 12, 13, 14, 15; ",
            $op,
            " d\\n, [sp, #96 + 8 * (\\n - 8)]; .endr"
        )
    };
}

/// `str` or `ldr` of the guest's SIMD registers.
macro_rules! simd {
    ($op:literal) => {
        concat!(
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31; ",
            $op,
            " q\\n, [x0, {v} + 16 * \\n]; .endr"
        )
    };
}

/// Saves this program's registers, loads the guest's and leaves EL2. The vectors below come back
/// through [`leave`], which returns to the caller.
#[unsafe(naked)]
unsafe extern "C" fn enter(context: &mut Context) -> Left {
    half!(
        "sub sp, sp, #160",
        callee_saved!("str"),
        "msr tpidr_el2, x0",
        "ldp x1, x2, [x0, {pc}]; msr elr_el2, x1; msr spsr_el2, x2",
        "ldp x1, x2, [x0, {fpcr}]; msr fpcr, x1; msr fpsr, x2",
        simd!("ldr"),
        ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,0; ldr x\\n, [x0, #8 * \\n]; .endr",
        "eret",
    )
}

/// The other half: the guest's X0 and X1 are on the stack, X1 says why it left.
#[unsafe(naked)]
unsafe extern "C" fn leave() {
    half!(
        "mrs x0, tpidr_el2",
        ".irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30; str x\\n, [x0, #8 * \\n]; .endr",
        simd!("str"),
        "ldp x2, x3, [sp], #16; stp x2, x3, [x0]",
        "mrs x2, elr_el2; mrs x3, spsr_el2; stp x2, x3, [x0, {pc}]",
        "mrs x2, fpcr; mrs x3, fpsr; stp x2, x3, [x0, {fpcr}]",
        callee_saved!("ldr"),
        "add sp, sp, #160; mov x0, x1; ret",
    )
}

// The vector table (Arm DDI 0487, D1.4.1): four groups of synchronous, IRQ, FIQ, SError. The first
// two groups are exceptions of this program itself, which mean a defect; the others come from the
// guest, from AArch64 and AArch32.
global_asm!(
    ".section .text.vectors, \"ax\"",
    ".macro from_el2; .balign 0x80; b {host_fault}; .endm",
    ".macro from_guest, left; .balign 0x80; stp x0, x1, [sp, #-16]!; mov x1, #\\left; b {leave}; .endm",
    ".balign 0x800; .global vectors; vectors:",
    ".rept 8; from_el2; .endr",
    ".rept 2",
    "from_guest {synchronous}; from_guest {interrupt}; from_guest {interrupt}; from_guest {serror}",
    ".endr",
    host_fault = sym host_fault,
    leave = sym leave,
    synchronous = const Left::Synchronous as u64,
    interrupt = const Left::Interrupt as u64,
    serror = const Left::SError as u64,
);

unsafe extern "C" {
    /// The vector table above.
    pub static vectors: [u32; 512];
}

/// An exception of this program itself: says what is known and powers the machine off.
extern "C" fn host_fault() -> ! {
    let (esr, far) = (el2::read_esr_el2().bits(), el2::read_far_el2().bits());
    let elr = el2::read_elr_el2().bits();
    let what = format_args!("exception in EL2: ESR {esr:#x}, ELR {elr:#x}, FAR {far:#x}");
    // Writing to the console never fails.
    let _ = refuse(&mut Console, FaultKind::MonitorPanic, what);
    power_off()
}
