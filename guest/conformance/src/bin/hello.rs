// SPDX-License-Identifier: BSD-2-Clause
//! The guest is entered as the arm64 boot protocol says, and its console works.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, line, require};

guest!(run);

fn run(platform: &mut Platform) {
    let entry = platform.entry;
    let tree = entry.x[0] as usize;
    line(format_args!("hello: RAM {:#x?}, device tree at {tree:#x}", platform.ram));
    require!(entry.x[1..] == [0; 3], "X1 to X3 are {:#x?}, not 0", &entry.x[1..]);
    require!(entry.current_el == 1 << 2, "CurrentEL is {:#x}, not EL1", entry.current_el);
    require!(entry.daif == 0x3c0, "DAIF is {:#x}: not all is masked", entry.daif);
    require!(entry.sctlr & 0x1005 == 0, "SCTLR_EL1 is {:#x}: MMU or cache on", entry.sctlr);
    require!(entry.timer & 1 == 0, "the virtual timer is on");
    require!(tree.is_multiple_of(8), "the device tree at {tree:#x} is not aligned to 8");
    let end = tree + platform.tree.total_size();
    let in_ram = platform.ram.contains(&tree) && end <= platform.ram.end;
    require!(in_ram, "the device tree ends at {end:#x}, outside RAM");
    let image = guest_conformance::image();
    require!(
        image.start.is_multiple_of(0x20_0000),
        "the image is at {:#x}, not a multiple of 2 MiB",
        image.start
    );
    require!(image.end <= tree || end <= image.start, "image and device tree overlap");
}
