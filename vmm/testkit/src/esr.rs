// SPDX-License-Identifier: BSD-2-Clause
//! Exception syndromes as a processor makes them (Arm DDI 0487, D24.2.46).

/// ESR.IL: the instruction has 32 bits.
pub const IL: u64 = 1 << 25;
/// WFI.
pub const WFI: u64 = 0x01 << 26 | IL;
/// WFE.
pub const WFE: u64 = 0x01 << 26 | IL | 1;
/// SMC #0.
pub const SMC: u64 = 0x17 << 26 | IL;
/// Number of the zero register.
pub const ZR: u8 = 31;

/// A data abort's class, 32-bit instruction, translation fault at level 3.
pub const DATA: u64 = 0x24 << 26 | IL | 0x07;
/// ISS.ISV: the rest of the syndrome is valid.
pub const ISV: u64 = 1 << 24;
/// ISS.SSE: sign extension.
pub const SIGNED: u64 = 1 << 21;
/// ISS.SF: 64-bit register.
pub const WIDE: u64 = 1 << 15;
/// ISS.CM: cache maintenance.
pub const MAINTENANCE: u64 = 1 << 8;
/// ISS.S1PTW: on a walk of the guest's own tables.
pub const WALK: u64 = 1 << 7;
/// ISS.WnR: a store.
pub const WRITE: u64 = 1 << 6;
/// An instruction abort, translation fault at level 3.
pub const FETCH: u64 = 0x20 << 26 | IL | 0x07;

/// A load of `size` bytes into register `reg`.
pub const fn load(size: u8, reg: u8) -> u64 {
    DATA | ISV
        | (size.trailing_zeros() as u64) << 22
        | (reg as u64) << 16
        | if size == 8 { WIDE } else { 0 }
}

/// A store of `size` bytes from register `reg`.
pub const fn store(size: u8, reg: u8) -> u64 {
    load(size, reg) | WRITE
}

/// MRS (`read`) or MSR of `S<op0>_<op1>_C<crn>_C<crm>_<op2>` with register `reg`.
pub const fn register(
    read: bool,
    (op0, op1, crn, crm, op2): (u64, u64, u64, u64, u64),
    reg: u8,
) -> u64 {
    0x18 << 26
        | IL
        | op0 << 20
        | op2 << 17
        | op1 << 14
        | crn << 10
        | (reg as u64) << 5
        | crm << 1
        | read as u64
}

/// Encoding of ICC_SGI1R_EL1.
pub const ICC_SGI1R: (u64, u64, u64, u64, u64) = (3, 0, 12, 11, 5);
/// Encoding of ICC_ASGI1R_EL1.
pub const ICC_ASGI1R: (u64, u64, u64, u64, u64) = (3, 0, 12, 11, 6);
/// Encoding of ICC_SGI0R_EL1.
pub const ICC_SGI0R: (u64, u64, u64, u64, u64) = (3, 0, 12, 11, 7);
/// Encoding of ICC_DIR_EL1.
pub const ICC_DIR: (u64, u64, u64, u64, u64) = (3, 0, 12, 11, 1);
/// Encoding of ICC_SRE_EL1.
pub const ICC_SRE: (u64, u64, u64, u64, u64) = (3, 0, 12, 12, 5);
