// SPDX-License-Identifier: BSD-2-Clause
//! Code in any state of EL0 or EL1, up to the synchronous exception that ends it (Arm DDI 0487,
//! D1.4).

use core::arch::global_asm;

use crate::{read_register, write_register};

global_asm!(include_str!("exception.s"));

/// SPSR: EL1 with its own stack pointer; debug, SError, IRQ and FIQ masked.
pub const EL1: u64 = 0x3c5;
/// SPSR: EL0 in AArch64 state; the same masked.
pub const EL0: u64 = 0x3c0;
/// SPSR: EL0 in AArch32 state, Thumb instructions; SError, IRQ and FIQ masked.
pub const THUMB: u64 = 0x1f0;
/// PSTATE.D: no debug exception of EL1's own.
pub const DEBUG_MASK: u64 = 1 << 9;
/// PSTATE.SS: one instruction, then a step's exception, while MDSCR_EL1.SS is set (D2.11).
pub const STEP: u64 = 1 << 21;

/// Exception classes (DDI 0487, D24.2.45); those that both levels can raise, from EL0.
pub mod class {
    /// Undefined instruction.
    pub const UNDEFINED: u64 = 0x00;
    /// SVC in AArch32 state.
    pub const SVC32: u64 = 0x11;
    /// SVC in AArch64 state.
    pub const SVC64: u64 = 0x15;
    /// Instruction abort; from EL1 one more.
    pub const FETCH: u64 = 0x20;
    /// Data abort; from EL1 one more.
    pub const DATA: u64 = 0x24;
    /// Software step; from EL1 one more.
    pub const STEP: u64 = 0x32;
}

/// The exception that ended it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Ended {
    /// X0 to X7 (R0 to R7 of AArch32 state).
    pub x: [u64; 8],
    /// ESR_EL1.
    pub esr: u64,
    /// FAR_EL1.
    pub far: u64,
    /// ELR_EL1: where it ended.
    pub elr: u64,
    /// SPSR_EL1: the state in which it ended.
    pub spsr: u64,
}

impl Ended {
    /// Exception class.
    #[must_use]
    pub const fn class(&self) -> u64 {
        self.esr >> 26 & 0x3f
    }
}

unsafe extern "C" {
    static exception_vectors: u8;
    fn exception_run(pc: u64, spsr: u64, x: &[u64; 8], ended: &mut Ended);
}

/// Takes synchronous exceptions from now on; others still fail the guest.
pub fn set_up() {
    // SAFETY: the vectors fail the guest at what they do not expect.
    write_register!("vbar_el1", (&raw const exception_vectors).addr() as u64);
}

/// Runs code from `pc` on, with these registers and in this state, until it takes an exception.
///
/// # Safety
/// The code changes X0 to X7 at most and no memory of the guest's, and soon takes an exception.
/// [`set_up`] was called.
#[must_use]
pub unsafe fn run(pc: u64, spsr: u64, x: &[u64; 8]) -> Ended {
    let mut ended = Ended::default();
    // SAFETY: as the caller promises.
    unsafe { exception_run(pc, spsr, x, &mut ended) };
    ended
}

/// MDSCR_EL1: SS, single steps; KDE, of EL1 too (D24.3.20).
const SINGLE_STEP: u64 = 1;
const OF_EL1: u64 = 1 << 13;

/// Turns single steps on, of EL0 and of EL1 where PSTATE.D is clear.
pub fn steps_on() {
    write_register!("oslar_el1", 0);
    let debug = read_register!("mdscr_el1");
    write_register!("mdscr_el1", debug | SINGLE_STEP | OF_EL1);
}

/// Turns single steps off.
pub fn steps_off() {
    let debug = read_register!("mdscr_el1");
    write_register!("mdscr_el1", debug & !(SINGLE_STEP | OF_EL1));
}
