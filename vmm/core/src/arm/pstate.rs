// SPDX-License-Identifier: BSD-2-Clause
//! Processor state as SPSR_EL2 holds it (Arm DDI 0487, C5.2.21), and what an instruction that is
//! stepped over, or an exception that is taken, makes of it.

/// Processor state of a stopped vCPU: SPSR_EL2 (DDI 0487, C5.2.21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pstate(pub u64);

/// Single step: the next instruction is executed before the step's exception (DDI 0487, D2.11).
const SS: u64 = 1 << 21;
/// AArch32 state (M\[4\]).
const AARCH32: u64 = 1 << 4;
/// AArch32: Thumb instructions.
const THUMB: u64 = 1 << 5;
/// AArch32: data accesses are big-endian.
const BIG_ENDIAN: u64 = 1 << 9;
/// AArch64: the last instruction was an indirect branch (FEAT_BTI).
const BTYPE: u64 = 0b11 << 10;
/// AArch32: bits 7 to 2 of ITSTATE, then bits 1 and 0.
const IT_HIGH: u64 = 0b11_1111 << 10;
const IT_LOW: u64 = 0b11 << 25;
/// Exception level and stack pointer of AArch64 (M\[3:0\]).
const MODE: u64 = 0b1111;
const EL0T: u64 = 0;
const EL1T: u64 = 0b0100;
const EL1H: u64 = 0b0101;
/// D, A, I and F.
const DAIF: u64 = 0b1111 << 6;
const SSBS: u64 = 1 << 12;
const PAN: u64 = 1 << 22;
/// What an exception keeps: flags, DIT and PAN (DDI 0487, D1.4.2).
const KEPT: u64 = 0b1111 << 28 | 1 << 24 | PAN;

/// SCTLR_EL1: data accesses of EL0 (E0E) and of EL1 (EE) are big-endian.
const SCTLR_E0E: u64 = 1 << 24;
const SCTLR_EE: u64 = 1 << 25;
/// SCTLR_EL1: an exception to EL1 leaves PAN as it is.
const SCTLR_SPAN: u64 = 1 << 23;
/// SCTLR_EL1: PSTATE.SSBS after an exception.
const SCTLR_DSSBS: u64 = 1 << 44;

impl Pstate {
    /// EL1 with its own stack pointer; debug, SError, IRQ and FIQ masked.
    pub const EL1H_MASKED: Self = Self(DAIF | EL1H);

    const fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// Whether the vCPU was in AArch32 state.
    #[must_use]
    pub const fn is_aarch32(self) -> bool {
        self.has(AARCH32)
    }

    /// Whether the vCPU was at EL0. (Its EL1 is never in AArch32 state: HCR_EL2.RW.)
    #[must_use]
    pub const fn is_el0(self) -> bool {
        self.is_aarch32() || self.0 & MODE == EL0T
    }

    /// Whether the next instruction is in an IT block.
    #[must_use]
    pub const fn is_in_it_block(self) -> bool {
        self.is_aarch32() && self.has(THUMB) && self.has(IT_HIGH | IT_LOW)
    }

    /// The state behind an instruction that somebody else has executed: a single step is over, an
    /// IT block goes on with its next condition, and a branch was the instruction before.
    #[must_use]
    pub const fn stepped_over(self) -> Self {
        let state = self.0 & !SS;
        if !self.is_aarch32() {
            return Self(state & !BTYPE);
        }
        if !self.has(THUMB) {
            return Self(state);
        }
        // ITAdvance (DDI 0487, J1.2.3): the condition's last bit and the mask move up; a mask of 000
        // ends the block.
        let it = (self.0 & IT_HIGH) >> 8 | (self.0 & IT_LOW) >> 25;
        let it = if it & 0b111 == 0 { 0 } else { it & 0b1110_0000 | it << 1 & 0b1_1111 };
        Self(state & !(IT_HIGH | IT_LOW) | it << 8 & IT_HIGH | it << 25 & IT_LOW)
    }

    /// Whether data accesses were big-endian, by what SCTLR_EL1 held (DDI 0487, D24.2.175).
    #[must_use]
    pub const fn is_big_endian(self, sctlr: u64) -> bool {
        match (self.is_aarch32(), self.is_el0()) {
            (true, _) => self.has(BIG_ENDIAN),
            (false, true) => sctlr & SCTLR_E0E != 0,
            (false, false) => sctlr & SCTLR_EE != 0,
        }
    }

    /// The state in which EL1 takes an exception out of this one (DDI 0487, D1.4.2).
    #[must_use]
    pub const fn in_exception(self, sctlr: u64) -> Self {
        let pan = if sctlr & SCTLR_SPAN == 0 { PAN } else { 0 };
        let ssbs = if sctlr & SCTLR_DSSBS == 0 { 0 } else { SSBS };
        Self(self.0 & KEPT | pan | ssbs | Self::EL1H_MASKED.0)
    }

    /// Where EL1's vector for a synchronous exception out of this state is, in bytes from VBAR_EL1
    /// (DDI 0487, D1.4.1).
    #[must_use]
    pub const fn synchronous_vector(self) -> u64 {
        match self.0 & (AARCH32 | MODE) {
            EL1T => 0,
            EL0T => 0x400,
            _ if self.is_aarch32() => 0x600,
            _ => 0x200,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An AArch32 state with this ITSTATE.
    const fn thumb(it: u64) -> u64 {
        AARCH32 | THUMB | it >> 2 << 10 | (it & 0b11) << 25
    }

    const fn it_state(pstate: Pstate) -> u64 {
        pstate.0 >> 10 << 2 & 0xfc | pstate.0 >> 25 & 0b11
    }

    /// The conditions of a block's instructions, as DDI 0487, E1.2.4 has them: the first from
    /// `first`, each further one `first` with its last bit from the mask. Two tables, no shift.
    fn block(first: u64, mask: u64) -> Vec<u64> {
        let length = 4 - mask.trailing_zeros() as usize;
        let bits = [first & 1, mask >> 3, mask >> 2 & 1, mask >> 1 & 1];
        bits[..length].iter().map(|bit| first & 0b1110 | bit).collect()
    }

    #[test]
    fn every_it_block_runs_through_its_conditions() {
        for first in 0..15 {
            for mask in 1..16 {
                let mut state = Pstate(thumb(first << 4 | mask));
                for condition in block(first, mask) {
                    assert_eq!(it_state(state) >> 4, condition, "{first:#x} {mask:#x}");
                    assert_ne!(it_state(state) & 0xf, 0);
                    assert!(state.is_in_it_block());
                    state = state.stepped_over();
                }
                assert_eq!(state, Pstate(thumb(0)), "{first:#x} {mask:#x}");
                assert_eq!(state.stepped_over(), state);
                assert!(!state.is_in_it_block());
            }
        }
    }

    #[test]
    fn arm_instructions_have_no_it_block() {
        // The bits are reserved there: left alone.
        let state = Pstate(thumb(0x18) & !THUMB);
        assert_eq!(state.stepped_over(), state);
    }

    #[test]
    fn a_step_and_a_branch_are_over() {
        assert_eq!(Pstate(1 << 21 | 0b1100_0000_0101).stepped_over(), Pstate(0b101));
        assert_eq!(Pstate(1 << 21 | AARCH32).stepped_over(), Pstate(AARCH32));
    }

    #[test]
    fn endianness_is_that_of_the_level() {
        let (e0e, ee) = (1 << 24, 1 << 25);
        for (pstate, sctlr, big) in [
            (EL1H, ee, true),
            (EL1T, ee, true),
            (EL1H, e0e, false),
            (EL0T, e0e, true),
            (EL0T, ee, false),
            (AARCH32, e0e | ee, false),
            (AARCH32 | BIG_ENDIAN, 0, true),
        ] {
            assert_eq!(Pstate(pstate).is_big_endian(sctlr), big, "{pstate:#x} {sctlr:#x}");
        }
    }

    #[test]
    fn every_mode_has_its_vector() {
        for (mode, vector) in [(0, 0x400), (4, 0), (5, 0x200), (0x10, 0x600), (0x30, 0x600)] {
            assert_eq!(Pstate(mode | DAIF).synchronous_vector(), vector);
        }
    }

    #[test]
    fn an_exception_masks_everything_and_keeps_the_flags() {
        let spsr = 0xf << 28 | SS | BTYPE | 1 << 20 | EL0T;
        let state = Pstate(spsr).in_exception(SCTLR_SPAN);
        assert_eq!(state, Pstate(0xf000_03c5));
        assert_eq!(Pstate(0).in_exception(0), Pstate(0x3c5 | 1 << 22));
        assert_eq!(Pstate(PAN).in_exception(SCTLR_SPAN), Pstate(0x3c5 | 1 << 22));
        assert_eq!(Pstate(0).in_exception(SCTLR_SPAN | 1 << 44), Pstate(0x3c5 | 1 << 12));
        assert_eq!(Pstate(1 << 24).in_exception(SCTLR_SPAN), Pstate(0x3c5 | 1 << 24));
    }

    proptest! {
        #[test]
        fn stepping_over_changes_nothing_else(spsr: u64) {
            let after = Pstate(spsr).stepped_over().0;
            let may = SS | if spsr & AARCH32 == 0 { BTYPE } else { IT_HIGH | IT_LOW };
            prop_assert_eq!((spsr ^ after) & !may, 0);
            prop_assert_eq!(after & SS, 0);
        }

        #[test]
        fn an_exception_is_taken_by_el1(spsr: u64, sctlr: u64) {
            let after = Pstate(spsr).in_exception(sctlr);
            prop_assert!(!after.is_el0() && after.synchronous_vector() == 0x200);
        }
    }
}
