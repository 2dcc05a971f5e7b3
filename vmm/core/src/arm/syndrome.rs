// SPDX-License-Identifier: BSD-2-Clause
//! What ESR_EL2 says (Arm DDI 0487, D24.2.46): a pure function over one word.

use core::fmt;

use crate::ids::Gpr;

/// A decoded exception syndrome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syndrome {
    /// What the instruction tried.
    pub class: Class,
    /// Length of the instruction in bytes: 4, or 2 where ESR.IL is clear.
    pub length: u64,
}

/// Exception classes that a guest at EL1 or EL0 raises towards EL2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// WFI, WFE, WFIT or WFET (EC 0x01).
    Wait {
        /// WFE or WFET: waits for an event, not for an interrupt.
        event: bool,
        /// How long, at most.
        timeout: Timeout,
    },
    /// HVC (EC 0x16).
    Hypercall,
    /// SMC (EC 0x17).
    Firmware,
    /// MSR, MRS or a system instruction (EC 0x18).
    Register(RegisterAccess),
    /// Instruction abort at stage 2 (EC 0x20).
    Fetch(Abort),
    /// Data abort at stage 2 (EC 0x24).
    Data(Abort, Option<Access>),
    /// A program in AArch32 state moves to or from a coprocessor that it may not use: MCR, MRC, MCRR
    /// or MRRC of CP15 (EC 0x03 and 0x04).
    Coprocessor,
    /// Any other class, by its number.
    Other(u8),
}

/// How long a wait lasts (FEAT_WFxT; DDI 0487, ISS encoding for EC 0x01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// WFI or WFE: until there is what it waits for.
    Never,
    /// Until the virtual counter reaches what this register holds; `None` is the zero register.
    Register(Option<Gpr>),
    /// Until a time that the processor does not tell.
    Untold,
}

/// What is common to both kinds of abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// The fault came from a walk of the guest's own tables (ISS.S1PTW): the reported address is
    /// not the one that the instruction named.
    pub walk: bool,
    /// A cache maintenance instruction (ISS.CM), data aborts only.
    pub maintenance: bool,
    /// The access was a store (ISS.WnR), data aborts only.
    pub write: bool,
    /// Fault status code (ISS.xFSC), 0 to 63.
    pub status: u8,
}

/// The load or store behind a data abort with a valid syndrome (ISS.ISV).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether memory is written.
    pub write: bool,
    /// Bytes accessed: 1, 2, 4 or 8.
    pub size: u8,
    /// Whether a loaded value is sign-extended (ISS.SSE).
    pub signed: bool,
    /// Whether the register is 64 bits wide (ISS.SF).
    pub wide: bool,
    /// The register, or `None` for the zero register.
    pub reg: Option<Gpr>,
}

/// A trapped system register access (DDI 0487, ISS encoding for EC 0x18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterAccess {
    /// Which register.
    pub register: SystemRegister,
    /// Whether the guest reads it (MRS).
    pub read: bool,
    /// The general-purpose register, or `None` for XZR.
    pub reg: Option<Gpr>,
}

/// A system register by its encoding `S<op0>_<op1>_C<crn>_C<crm>_<op2>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemRegister {
    /// Op0, 0 to 3.
    pub op0: u8,
    /// Op1, 0 to 7.
    pub op1: u8,
    /// CRn, 0 to 15.
    pub crn: u8,
    /// CRm, 0 to 15.
    pub crm: u8,
    /// Op2, 0 to 7.
    pub op2: u8,
}

impl SystemRegister {
    /// The register with this encoding.
    #[must_use]
    pub const fn new(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8) -> Self {
        Self { op0, op1, crn, crm, op2 }
    }

    /// ICC_DIR_EL1 (Arm IHI 0069H, 12.2.8).
    pub const ICC_DIR: Self = Self::new(3, 0, 12, 11, 1);
    /// ICC_SGI1R_EL1 (Arm IHI 0069H, 12.2.22).
    pub const ICC_SGI1R: Self = Self::new(3, 0, 12, 11, 5);
    /// ICC_ASGI1R_EL1 (IHI 0069H, 12.2.3).
    pub const ICC_ASGI1R: Self = Self::new(3, 0, 12, 11, 6);
    /// ICC_SGI0R_EL1 (IHI 0069H, 12.2.21).
    pub const ICC_SGI0R: Self = Self::new(3, 0, 12, 11, 7);
    /// ICC_SRE_EL1 (IHI 0069H, 12.2.23).
    pub const ICC_SRE: Self = Self::new(3, 0, 12, 12, 5);

    /// Whether this is CNTP_TVAL_EL0, CNTP_CTL_EL0 or CNTP_CVAL_EL0 (DDI 0487, D24.10.16 to
    /// D24.10.18).
    #[must_use]
    pub const fn is_physical_timer(self) -> bool {
        matches!(self, Self { op0: 3, op1: 3, crn: 14, crm: 2, op2: 0..=2 })
    }
}

impl fmt::Display for SystemRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::ICC_DIR => "ICC_DIR_EL1",
            Self::ICC_SGI1R => "ICC_SGI1R_EL1",
            Self::ICC_ASGI1R => "ICC_ASGI1R_EL1",
            Self::ICC_SGI0R => "ICC_SGI0R_EL1",
            Self::ICC_SRE => "ICC_SRE_EL1",
            Self { op0: 3, op1: 3, crn: 14, crm: 2, op2: 0 } => "CNTP_TVAL_EL0",
            Self { op0: 3, op1: 3, crn: 14, crm: 2, op2: 1 } => "CNTP_CTL_EL0",
            Self { op0: 3, op1: 3, crn: 14, crm: 2, op2: 2 } => "CNTP_CVAL_EL0",
            Self { op0, op1, crn, crm, op2 } => {
                return write!(f, "S{op0}_{op1}_C{crn}_C{crm}_{op2}");
            }
        };
        f.write_str(name)
    }
}

/// `count` bits of `word` from bit `low` up.
const fn bits(word: u64, low: u32, count: u32) -> u8 {
    let mask = (1_u64 << count).wrapping_sub(1);
    // At most eight bits are ever asked for.
    ((word >> low) & mask & 0xff) as u8
}

const fn bit(word: u64, number: u32) -> bool {
    (word >> number) & 1 == 1
}

impl Syndrome {
    /// Decodes ESR_EL2. Every word has an answer; what is not known is [`Class::Other`].
    #[must_use]
    pub const fn decode(esr: u64) -> Self {
        let class = match bits(esr, 26, 6) {
            0x01 => Class::Wait {
                event: bit(esr, 0),
                timeout: match (bit(esr, 1), bit(esr, 2)) {
                    (false, _) => Timeout::Never,
                    (true, true) => Timeout::Register(Gpr::new(bits(esr, 5, 5))),
                    (true, false) => Timeout::Untold,
                },
            },
            0x16 => Class::Hypercall,
            0x17 => Class::Firmware,
            0x18 => Class::Register(RegisterAccess {
                register: SystemRegister {
                    op0: bits(esr, 20, 2),
                    op2: bits(esr, 17, 3),
                    op1: bits(esr, 14, 3),
                    crn: bits(esr, 10, 4),
                    crm: bits(esr, 1, 4),
                },
                reg: Gpr::new(bits(esr, 5, 5)),
                read: bit(esr, 0),
            }),
            0x20 => Class::Fetch(Abort {
                walk: bit(esr, 7),
                maintenance: false,
                write: false,
                status: bits(esr, 0, 6),
            }),
            0x24 => {
                let abort = Abort {
                    walk: bit(esr, 7),
                    maintenance: bit(esr, 8),
                    write: bit(esr, 6),
                    status: bits(esr, 0, 6),
                };
                let access = if bit(esr, 24) {
                    Some(Access {
                        write: bit(esr, 6),
                        size: 1 << bits(esr, 22, 2),
                        signed: bit(esr, 21),
                        wide: bit(esr, 15),
                        reg: Gpr::new(bits(esr, 16, 5)),
                    })
                } else {
                    None
                };
                Class::Data(abort, access)
            }
            0x03 | 0x04 => Class::Coprocessor,
            other => Class::Other(other),
        };
        Self { class, length: if bit(esr, 25) { 4 } else { 2 } }
    }
}

impl Abort {
    /// Whether nothing is mapped there: a translation fault, at any level (DDI 0487, ISS encoding
    /// of a data abort, DFSC). Everything else is an access to something that is there.
    #[must_use]
    pub const fn is_translation(self) -> bool {
        matches!(self.status, 0x04..=0x07 | 0x2b)
    }
}

impl Access {
    /// The bytes of a value of this access the other way round.
    #[must_use]
    pub const fn swapped(self, value: u64) -> u64 {
        let unused = 64_u32.wrapping_sub((self.size as u32).wrapping_mul(8));
        value.swap_bytes().wrapping_shr(unused)
    }

    /// What a load leaves in its register when memory holds `value`: cut to the size of the
    /// access, extended as the instruction says, upper half zero for a 32-bit register.
    #[must_use]
    pub const fn loaded(self, value: u64) -> u64 {
        let size_bits = (self.size as u32).wrapping_mul(8);
        let unused = 64_u32.wrapping_sub(size_bits);
        let shifted = value.wrapping_shl(unused);
        let extended = if self.signed {
            shifted.cast_signed().wrapping_shr(unused).cast_unsigned()
        } else {
            shifted.wrapping_shr(unused)
        };
        if self.wide { extended } else { extended & 0xffff_ffff }
    }

    /// What a store of a register that holds `value` leaves in memory.
    #[must_use]
    pub const fn stored(self, value: u64) -> u64 {
        let unused = 64_u32.wrapping_sub((self.size as u32).wrapping_mul(8));
        value.wrapping_shl(unused).wrapping_shr(unused)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.write { "store" } else { "load" };
        let bits = u32::from(self.size).wrapping_mul(8);
        write!(f, "{bits}-bit {verb}")?;
        let width = if self.wide { 'x' } else { 'w' };
        match self.reg {
            Some(reg) => write!(f, ", register {width}{}", reg.number()),
            None => write!(f, ", register {width}zr"),
        }
    }
}

/// The syndrome in words.
impl fmt::Display for Syndrome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let abort = |f: &mut fmt::Formatter<'_>, kind: &str, abort: &Abort| {
            write!(f, "{kind}, {}", status_words(abort.status))?;
            if abort.walk { f.write_str(", on a walk of the guest's tables") } else { Ok(()) }
        };
        match self.class {
            Class::Wait { event, timeout } => {
                f.write_str(if event { "WFE" } else { "WFI" })?;
                if timeout == Timeout::Never { Ok(()) } else { f.write_str("T") }
            }
            Class::Hypercall => f.write_str("HVC"),
            Class::Firmware => f.write_str("SMC"),
            Class::Register(access) => {
                write!(f, "{} {}", if access.read { "MRS of" } else { "MSR to" }, access.register)
            }
            Class::Fetch(fetch) => abort(f, "instruction abort", &fetch),
            Class::Data(data, Some(_)) => abort(
                f,
                if data.write { "data abort on a store" } else { "data abort on a load" },
                &data,
            ),
            Class::Data(data, None) => {
                abort(f, "data abort without an instruction syndrome", &data)
            }
            Class::Coprocessor => f.write_str("CP15 access in AArch32 state"),
            Class::Other(ec) => write!(f, "exception class {ec:#x}"),
        }
    }
}

/// The fault status code in words (DDI 0487, ISS encoding of a data abort, DFSC).
#[must_use]
pub const fn status_words(status: u8) -> &'static str {
    match status {
        0x00..=0x03 => "address size fault",
        0x04..=0x07 | 0x2b => "translation fault",
        0x08..=0x0b => "access flag fault",
        0x0c..=0x0f => "permission fault",
        0x10 => "synchronous external abort",
        0x14..=0x17 => "synchronous external abort on a table walk",
        0x21 => "alignment fault",
        _ => "fault of another kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn data(iss: u64) -> (Abort, Option<Access>) {
        match Syndrome::decode(0x24 << 26 | 1 << 25 | iss).class {
            Class::Data(abort, access) => (abort, access),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_combination_of_a_valid_data_syndrome() {
        // SAS, SSE, SRT, SF, WnR: all 4 * 2 * 32 * 2 * 2 of them.
        for sas in 0..4_u64 {
            for sse in 0..2 {
                for srt in 0..32 {
                    for sf in 0..2 {
                        for wnr in 0..2 {
                            let iss = 1 << 24
                                | sas << 22
                                | sse << 21
                                | srt << 16
                                | sf << 15
                                | wnr << 6
                                | 0x07;
                            let (abort, access) = data(iss);
                            let access = access.unwrap();
                            assert_eq!(u64::from(access.size), 1 << sas);
                            assert_eq!(access.signed, sse == 1);
                            assert_eq!(access.wide, sf == 1);
                            assert_eq!(access.write, wnr == 1);
                            assert_eq!(abort.write, wnr == 1);
                            assert_eq!(
                                access.reg.map(|r| u64::from(r.number())),
                                (srt < 31).then_some(srt)
                            );
                            assert_eq!(abort.status, 7);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_valid_syndrome_is_no_access() {
        assert_eq!(data(0x07).1, None);
    }

    #[test]
    fn a_walk_of_the_guests_tables_is_told() {
        assert!(data(1 << 24 | 1 << 7).0.walk);
        assert!(!data(1 << 24).0.walk);
        let fetch = Syndrome::decode(0x20 << 26 | 1 << 25 | 1 << 7 | 5);
        assert_eq!(
            fetch.class,
            Class::Fetch(Abort { walk: true, maintenance: false, write: false, status: 5 })
        );
    }

    #[test]
    fn cache_maintenance_is_told() {
        assert!(data(1 << 8 | 1 << 6).0.maintenance);
    }

    #[test]
    fn waits() {
        // TI: WFI, WFE, WFIT, WFET; RV and RN: with a register or without.
        let [x5, zr] = [5_u64 << 5 | 1 << 2, 31 << 5 | 1 << 2];
        let of = |iss: u64| Syndrome::decode(0x0600_0000 | iss).class;
        for event in [false, true] {
            let ti = u64::from(event);
            let wait = |timeout| Class::Wait { event, timeout };
            assert_eq!(of(ti), wait(Timeout::Never));
            assert_eq!(of(ti | x5), wait(Timeout::Never), "RV means nothing without TI");
            assert_eq!(of(ti | 2), wait(Timeout::Untold));
            assert_eq!(of(ti | 2 | x5), wait(Timeout::Register(Gpr::new(5))));
            assert_eq!(of(ti | 2 | zr), wait(Timeout::Register(None)));
        }
    }

    #[test]
    fn bytes_the_other_way_round() {
        for (size, swapped) in
            [(1, 0x88), (2, 0x8877), (4, 0x8877_6655), (8, 0x8877_6655_4433_2211)]
        {
            let access = load(size, false, true);
            assert_eq!(access.swapped(access.stored(0x1122_3344_5566_7788)), swapped);
        }
    }

    #[test]
    fn calls() {
        assert_eq!(Syndrome::decode(0x5e00_0000).class, Class::Firmware);
        assert_eq!(Syndrome::decode(0x5a00_0000).class, Class::Hypercall);
    }

    #[test]
    fn instruction_length() {
        assert_eq!(Syndrome::decode(0x0600_0000).length, 4);
        assert_eq!(Syndrome::decode(0x0400_0000).length, 2);
    }

    #[test]
    fn every_class_has_an_answer() {
        for ec in 0..64_u64 {
            let class = Syndrome::decode(ec << 26).class;
            let named = matches!(ec, 0x01 | 0x03 | 0x04 | 0x16 | 0x17 | 0x18 | 0x20 | 0x24);
            assert_eq!(class == Class::Other(ec as u8), !named, "EC {ec:#x}");
        }
    }

    #[test]
    fn a_write_of_icc_sgi1r() {
        // MSR S3_0_C12_C11_5, x3
        let iss = 3 << 20 | 5 << 17 | 12 << 10 | 3 << 5 | 11 << 1;
        let Class::Register(access) = Syndrome::decode(0x18 << 26 | 1 << 25 | iss).class else {
            panic!()
        };
        assert_eq!(access.register, SystemRegister::ICC_SGI1R);
        assert_eq!(access.reg, Gpr::new(3));
        assert!(!access.read);
        assert_eq!(access.register.to_string(), "ICC_SGI1R_EL1");
    }

    #[test]
    fn register_fields_do_not_run_into_each_other() {
        for op0 in 0..4_u8 {
            for op1 in 0..8_u8 {
                for crn in 0..16_u8 {
                    for crm in 0..16_u8 {
                        for op2 in 0..8_u8 {
                            let iss = u64::from(op0) << 20
                                | u64::from(op2) << 17
                                | u64::from(op1) << 14
                                | u64::from(crn) << 10
                                | 31 << 5
                                | u64::from(crm) << 1
                                | 1;
                            let Class::Register(access) = Syndrome::decode(0x18 << 26 | iss).class
                            else {
                                panic!()
                            };
                            assert_eq!(
                                access.register,
                                SystemRegister::new(op0, op1, crn, crm, op2)
                            );
                            assert_eq!(access.reg, None);
                            assert!(access.read);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_unnamed_register_shows_its_encoding() {
        assert_eq!(SystemRegister::new(3, 3, 9, 12, 0).to_string(), "S3_3_C9_C12_0");
    }

    fn load(size: u8, signed: bool, wide: bool) -> Access {
        Access { write: false, size, signed, wide, reg: Gpr::new(0) }
    }

    #[test]
    fn sign_extension_of_every_width() {
        let minus_two = 0xffff_ffff_ffff_fffe_u64;
        assert_eq!(load(1, true, true).loaded(0xfe), minus_two);
        assert_eq!(load(2, true, true).loaded(0xfffe), minus_two);
        assert_eq!(load(4, true, true).loaded(0xffff_fffe), minus_two);
        assert_eq!(load(8, true, true).loaded(minus_two), minus_two);
        assert_eq!(load(1, true, false).loaded(0xfe), 0xffff_fffe);
        assert_eq!(load(2, true, false).loaded(0xfffe), 0xffff_fffe);
        assert_eq!(load(1, true, true).loaded(0x7f), 0x7f);
    }

    #[test]
    fn a_narrow_load_keeps_nothing_of_the_old_register() {
        assert_eq!(load(1, false, false).loaded(0xdead_beef_1234_56ff), 0xff);
        assert_eq!(load(2, false, true).loaded(0xdead_beef_1234_56ff), 0x56ff);
        assert_eq!(load(4, false, true).loaded(0xdead_beef_1234_56ff), 0x1234_56ff);
    }

    /// Every value of two bytes under every kind of load and store, what is above them set or not;
    /// the four-byte ones at each edge of their sign.
    #[test]
    fn every_load_and_store_of_every_narrow_value() {
        for above in [0, u64::MAX << 16, 0xdead_beef_7fff_0000, 0x1234_5678_8000_0000] {
            for value in (0..=0xffff).map(|low| above | low) {
                let (b, h, w) = (value as u8, value as u16, value as u32);
                for wide in [false, true] {
                    let cut = |value: u64| if wide { value } else { value & 0xffff_ffff };
                    let all = [
                        (1, u64::from(b), i64::from(b as i8)),
                        (2, u64::from(h), i64::from(h as i16)),
                        (4, u64::from(w), i64::from(w as i32)),
                        (8, value, value as i64),
                    ];
                    for (size, zeros, sign) in all {
                        assert_eq!(load(size, false, wide).loaded(value), cut(zeros));
                        assert_eq!(load(size, true, wide).loaded(value), cut(sign as u64));
                        assert_eq!(load(size, false, wide).stored(value), zeros);
                    }
                }
            }
        }
    }

    /// Every fault status in words, in a load's and in a fetch's syndrome.
    #[test]
    fn every_fault_status() {
        for status in 0..64_u64 {
            assert_eq!(u64::from(data(1 << 24 | status).0.status), status);
            let fetch = Syndrome::decode(0x20 << 26 | 1 << 25 | status).class;
            assert!(matches!(fetch, Class::Fetch(abort) if u64::from(abort.status) == status));
            let words = match status {
                0..=3 => "address size fault",
                4..=7 | 43 => "translation fault",
                8..=11 => "access flag fault",
                12..=15 => "permission fault",
                16 => "synchronous external abort",
                20..=23 => "synchronous external abort on a table walk",
                33 => "alignment fault",
                _ => "fault of another kind",
            };
            assert_eq!(status_words(status as u8), words, "{status:#x}");
        }
    }

    #[test]
    fn access_in_words() {
        let store = Access { write: true, size: 4, signed: false, wide: false, reg: None };
        assert_eq!(store.to_string(), "32-bit store, register wzr");
        assert_eq!(load(8, false, true).to_string(), "64-bit load, register x0");
    }

    #[test]
    fn status_in_words() {
        assert_eq!(status_words(0x07), "translation fault");
        assert_eq!(status_words(0x0f), "permission fault");
        assert_eq!(status_words(0x21), "alignment fault");
        assert_eq!(status_words(0x3f), "fault of another kind");
    }

    proptest! {
        #[test]
        fn any_word_decodes(esr: u64) {
            let syndrome = Syndrome::decode(esr);
            prop_assert!(matches!(syndrome.length, 2 | 4));
            if let Class::Data(_, Some(access)) = syndrome.class {
                prop_assert!(matches!(access.size, 1 | 2 | 4 | 8));
            }
        }

        #[test]
        fn a_load_is_what_the_compiler_makes_of_it(value: u64) {
            prop_assert_eq!(load(1, true, true).loaded(value), value as i8 as i64 as u64);
            prop_assert_eq!(load(2, true, true).loaded(value), value as i16 as i64 as u64);
            prop_assert_eq!(load(4, true, true).loaded(value), value as i32 as i64 as u64);
            prop_assert_eq!(load(1, true, false).loaded(value), u64::from(value as i8 as i32 as u32));
            prop_assert_eq!(load(2, true, false).loaded(value), u64::from(value as i16 as i32 as u32));
            prop_assert_eq!(load(1, false, true).loaded(value), u64::from(value as u8));
            prop_assert_eq!(load(4, false, false).loaded(value), u64::from(value as u32));
            prop_assert_eq!(load(8, false, true).stored(value), value);
            prop_assert_eq!(load(2, false, true).stored(value), u64::from(value as u16));
        }
    }
}
