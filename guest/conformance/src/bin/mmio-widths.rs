// SPDX-License-Identifier: BSD-2-Clause
//! Loads and stores of every width and sign on an emulated register: what a load leaves in the
//! whole register, and which bytes a store changes.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::gic::{IPRIORITYR, IROUTER};
use guest_conformance::{Platform, guest, require};

guest!(run);

/// Priorities of four SPIs, multiples of 8 as every GIC keeps them: a byte with its sign bit set,
/// and one without, at either end of a halfword and of the word.
const WORD: u32 = 0x9008_a0f8;
/// The first of those SPIs.
const FIRST: usize = 40;
/// What a destination holds before a load.
const OLD: u64 = 0xdead_beef_5a5a_a5a5;

/// One load instruction from an address, with the destination full of other bits.
macro_rules! load {
    ($text:literal, $address:expr) => {{
        let mut value = OLD;
        // SAFETY: loads from the distributor.
        unsafe { asm!($text, value = inout(reg) value, at = in(reg) $address) };
        value
    }};
}

/// One store instruction to an address, of a value below other bits.
macro_rules! store {
    ($text:literal, $address:expr, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: stores to the distributor.
        unsafe { asm!($text, value = in(reg) value, at = in(reg) $address) }
    }};
}

fn run(platform: &mut Platform) {
    let gicd = platform.gic.distributor;
    let at = gicd.address(IPRIORITYR + FIRST);
    gicd.write(IPRIORITYR + FIRST, WORD);

    for (what, value, should) in [
        ("LDR W", load!("ldr {value:w}, [{at}]", at), u64::from(WORD)),
        ("LDRSW X", load!("ldrsw {value}, [{at}]", at), 0xffff_ffff_9008_a0f8),
        ("LDUR W", load!("ldur {value:w}, [{at}, #-4]", at + 4), u64::from(WORD)),
        ("LDR W by register", load!("ldr {value:w}, [{at}, wzr, uxtw]", at), u64::from(WORD)),
        ("LDAR W", load!("ldar {value:w}, [{at}]", at), u64::from(WORD)),
        ("LDRB W", load!("ldrb {value:w}, [{at}]", at), 0xf8),
        ("LDRB W, byte 1", load!("ldrb {value:w}, [{at}, #1]", at), 0xa0),
        ("LDRB W, byte 2", load!("ldrb {value:w}, [{at}, #2]", at), 0x08),
        ("LDRB W, byte 3", load!("ldrb {value:w}, [{at}, #3]", at), 0x90),
        ("LDARB W", load!("ldarb {value:w}, [{at}]", at), 0xf8),
        ("LDRSB W, set", load!("ldrsb {value:w}, [{at}]", at), 0xffff_fff8),
        ("LDRSB W, clear", load!("ldrsb {value:w}, [{at}, #2]", at), 0x08),
        ("LDRSB X, set", load!("ldrsb {value}, [{at}]", at), 0xffff_ffff_ffff_fff8),
        ("LDRSB X, clear", load!("ldrsb {value}, [{at}, #2]", at), 0x08),
    ] {
        require!(value == should, "{what} gave {value:#x}, not {should:#x}");
    }
    // The GIC has no halfword access (IHI 0048B, 4.1.4): it may read as zero, and if it does not,
    // it is this.
    for (what, value, should) in [
        ("LDRH W", load!("ldrh {value:w}, [{at}]", at), 0xa0f8),
        ("LDRSH W", load!("ldrsh {value:w}, [{at}]", at), 0xffff_a0f8),
        ("LDRSH X", load!("ldrsh {value}, [{at}]", at), 0xffff_ffff_ffff_a0f8),
        ("LDRSH X, upper", load!("ldrsh {value}, [{at}, #2]", at), 0xffff_ffff_ffff_9008),
    ] {
        require!(value == should || value == 0, "{what} gave {value:#x}, not {should:#x} or 0");
    }

    let junk = OLD & !0xff;
    let word = |what, should: u32| {
        let value = gicd.read(IPRIORITYR + FIRST);
        require!(value == should, "{what} made {value:#x}, not {should:#x}");
    };
    store!("strb {value:w}, [{at}]", at, junk | 0x10);
    word("STRB, byte 0", 0x9008_a010);
    store!("strb {value:w}, [{at}, #1]", at, junk | 0xf0);
    word("STRB, byte 1", 0x9008_f010);
    store!("sturb {value:w}, [{at}, #-1]", at + 3, junk | 0x80);
    word("STURB, byte 2", 0x9080_f010);
    store!("strb {value:w}, [{at}, xzr]", at + 3, junk | 0x18);
    word("STRB by register, byte 3", 0x1880_f010);
    store!("stlrb {value:w}, [{at}]", at, junk | 0x20);
    word("STLRB, byte 0", 0x1880_f020);
    store!("str {value:w}, [{at}]", at, OLD << 32 | 0x4850_5860);
    word("STR W", 0x4850_5860);
    store!("stlr {value:w}, [{at}]", at, OLD << 32 | 0x7880_8890);
    word("STLR W", 0x7880_8890);
    store!("strh {value:w}, [{at}, #2]", at, OLD << 16 | 0xa8b0);
    let value = gicd.read(IPRIORITYR + FIRST);
    require!(matches!(value, 0xa8b0_8890 | 0x7880_8890), "STRH made {value:#x}");

    // 64 bits: an IROUTER on GICv3, eight priorities on GICv2.
    let (offset, value) = if platform.gic.is_v3() {
        (IROUTER + 8 * FIRST, 0x0003_0201)
    } else {
        (IPRIORITYR + FIRST, 0x8890_98a0_1018_2028)
    };
    let at = gicd.address(offset);
    store!("str {value}, [{at}]", at, value);
    let (low, high) = (u64::from(gicd.read(offset)), u64::from(gicd.read(offset + 4)));
    require!(low | high << 32 == value, "STR X made {high:#x}, {low:#x}, not {value:#x}");
    let back = load!("ldr {value}, [{at}]", at);
    require!(back == value, "LDR X gave {back:#x}, not {value:#x}");
}
