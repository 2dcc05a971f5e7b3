// SPDX-License-Identifier: BSD-2-Clause
//! A Thumb program in EL0 whose IT blocks have loads and stores of a device in them executes each
//! instruction of a block under its own condition (Arm DDI 0487, E1.2.4).
#![no_std]
#![no_main]

use core::arch::global_asm;

use guest_conformance::exception::{self, THUMB, class};
use guest_conformance::gic::{IPRIORITYR, TYPER};
use guest_conformance::{Platform, guest, line, read_register, require};

guest!(run);

// Halfwords, because the assembler is one for A64. R0 and R1 are addresses of device registers;
// CMP sets Z, so EQ holds.
global_asm!(
    ".balign 4",
    ".global thumb_load, thumb_store",
    "thumb_load:",
    ".hword 0x42b6", // cmp r6, r6
    ".hword 0xbf0b", // itete eq
    ".hword 0x6802", // ldreq r2, [r0]
    ".hword 0x2301", // movne r3, #1
    ".hword 0x2401", // moveq r4, #1
    ".hword 0x2501", // movne r5, #1
    ".hword 0xdf00", // svc #0
    ".balign 4",
    "thumb_store:",
    ".hword 0x42b6",         // cmp r6, r6
    ".hword 0xbf14",         // ite ne
    ".hword 0x2301",         // movne r3, #1
    ".hword 0x600a",         // streq r2, [r1]
    ".hword 0xbf07",         // ittee eq
    ".hword 0xf8d1, 0x4000", // ldreq.w r4, [r1]
    ".hword 0xf8c1, 0x2000", // streq.w r2, [r1]
    ".hword 0x2501",         // movne r5, #1
    ".hword 0x2701",         // movne r7, #1
    ".hword 0xdf00",         // svc #0
    ".balign 4",
);

unsafe extern "C" {
    static thumb_load: u8;
    static thumb_store: u8;
}

const VALUE: u32 = 0x8010_2030;

fn run(platform: &mut Platform) {
    // ID_AA64PFR0_EL1.EL0: 2 with AArch32 state (D24.2.93).
    if read_register!("id_aa64pfr0_el1") & 0xf != 2 {
        line(format_args!("thumb-it: this processor has no AArch32 state"));
        return;
    }
    let gicd = platform.gic.distributor;
    exception::set_up();
    let (typer, kept) = (gicd.read(TYPER), IPRIORITYR + 40);
    for round in 0..10 {
        let x =
            [gicd.address(TYPER) as u64, gicd.address(kept) as u64, VALUE.into(), 0, 0, 0, 0, 0];
        // SAFETY: the code ends in SVC, and changes R2 to R7.
        let ended = unsafe { exception::run((&raw const thumb_load).addr() as u64, THUMB, &x) };
        let found = ended.class();
        require!(found == class::SVC32, "ends in class {found:#x} at {:#x}", ended.elr);
        let r: [u32; 8] = ended.x.map(|x| x as u32);
        require!(r[2] == typer, "round {round}: LDREQ gave {:#x}, not {typer:#x}", r[2]);
        require!(r[3..6] == [0, 1, 0], "round {round}: behind LDREQ ran {:?}", &r[3..6]);

        gicd.write(kept, 0);
        // SAFETY: as above.
        let ended = unsafe { exception::run((&raw const thumb_store).addr() as u64, THUMB, &x) };
        let found = ended.class();
        require!(found == class::SVC32, "ends in class {found:#x} at {:#x}", ended.elr);
        let r: [u32; 8] = ended.x.map(|x| x as u32);
        require!(r[4] == VALUE, "round {round}: STREQ and LDREQ.W gave {:#x}", r[4]);
        require!(
            [r[3], r[5], r[7]] == [0; 3],
            "round {round}: what should not run did: {:#x} {:#x} {:#x}",
            r[3],
            r[5],
            r[7]
        );
        require!(gicd.read(kept) == VALUE, "round {round}: STREQ.W left {:#x}", gicd.read(kept));
    }
}
