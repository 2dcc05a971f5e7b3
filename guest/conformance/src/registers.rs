// SPDX-License-Identifier: BSD-2-Clause
//! Every register of the processor across one instruction that traps.

use core::arch::global_asm;
use core::mem::offset_of;

use crate::require;

global_asm!(include_str!("registers.s"));

/// General-purpose and vector registers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Registers {
    /// X0 to X30.
    pub x: [u64; 31],
    /// How far SP moved across the instruction.
    pub sp_moved: u64,
    /// Condition flags, bits 31 to 28.
    pub nzcv: u64,
    /// Q0 to Q31.
    pub q: [u128; 32],
}

// registers.s has these offsets in it.
const _: () = assert!(offset_of!(Registers, sp_moved) == 248);
const _: () = assert!(offset_of!(Registers, nzcv) == 256);
const _: () = assert!(offset_of!(Registers, q) == 272);

unsafe extern "C" {
    fn registers_across_load(before: &Registers, after: &mut Registers);
    fn registers_across_store(before: &Registers, after: &mut Registers);
    fn registers_across_smc(before: &Registers, after: &mut Registers);
    fn registers_across_hvc(before: &Registers, after: &mut Registers);
    fn registers_across_wfi(before: &Registers, after: &mut Registers);
    fn registers_across_sgi(before: &Registers, after: &mut Registers);
}

/// An instruction that leaves the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// LDR W1, \[X0\].
    Load,
    /// STR W1, \[X0\].
    Store,
    /// SMC #0.
    Smc,
    /// HVC #0.
    Hvc,
    /// WFI.
    Wfi,
    /// MSR ICC_SGI1R_EL1, X0.
    Sgi,
}

impl Registers {
    /// A different value in every register, made from `seed`.
    #[must_use]
    pub fn pattern(seed: u64) -> Self {
        let mut value = seed;
        let mut next = move || {
            // Knuth's linear congruential generator (The Art of Computer Programming 2, 3.3.4).
            value = value
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            value
        };
        Self {
            x: core::array::from_fn(|_| next()),
            sp_moved: 0,
            nzcv: (next() >> 60) << 28,
            q: core::array::from_fn(|_| (u128::from(next()) << 64) | u128::from(next())),
        }
    }

    /// The registers after `instruction` ran with these.
    ///
    /// # Safety
    /// X0 to X3 are what the instruction needs: an address for [`Instruction::Load`] and
    /// [`Instruction::Store`] that holds no Rust object, a call that returns, and so on.
    #[must_use]
    pub unsafe fn across(&self, instruction: Instruction) -> Self {
        let mut after = *self;
        let function = match instruction {
            Instruction::Load => registers_across_load,
            Instruction::Store => registers_across_store,
            Instruction::Smc => registers_across_smc,
            Instruction::Hvc => registers_across_hvc,
            Instruction::Wfi => registers_across_wfi,
            Instruction::Sgi => registers_across_sgi,
        };
        // SAFETY: the functions keep what a call has to keep; the caller promises the rest.
        unsafe { function(self, &mut after) };
        after
    }

    /// Fails the guest unless everything equals `before`, general-purpose registers from X`from`
    /// on.
    pub fn expect_kept(&self, before: &Self, from: usize, what: &str) {
        for (number, (now, then)) in self.x.iter().zip(&before.x).enumerate().skip(from) {
            require!(now == then, "{what} changed X{number} from {then:#x} to {now:#x}");
        }
        for (number, (now, then)) in self.q.iter().zip(&before.q).enumerate() {
            require!(now == then, "{what} changed Q{number} from {then:#x} to {now:#x}");
        }
        let (now, then) = (self.nzcv, before.nzcv);
        require!(now == then, "{what} changed NZCV from {then:#x} to {now:#x}");
        require!(self.sp_moved == 0, "{what} moved SP by {:#x}", self.sp_moved);
    }
}
