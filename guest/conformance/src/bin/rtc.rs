// SPDX-License-Identifier: BSD-2-Clause
//! The real-time clock of the guest's tree (Arm DDI 0224C) says what it is, shows a time of this
//! century that goes on, and can be set without its running otherwise than before. A guest of a board
//! whose clock the monitor does not read finds none in its tree.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, line};

guest!(run);

/// RTCDR, RTCLR, RTCCR.
const DATA: usize = 0x00;
const LOAD: usize = 0x08;
const CONTROL: usize = 0x0c;

/// 1 January 2020 and 1 January 2100, 00:00, in seconds since 1970.
const LATER_THAN: u32 = 1_577_836_800;
const EARLIER_THAN: u32 = 4_102_444_800;

fn run(platform: &mut Platform) {
    let Some(clock) = platform.device("arm,pl031") else {
        line(format_args!("rtc: there is none"));
        return;
    };
    let identification = |at: usize| (0..4).map(move |n| clock.read(at + 4 * n) & 0xff);
    // Bits 31 to 20 are the revision and the configuration.
    assert!(identification(0xfe0).take(3).eq([0x31, 0x10, 0x04]));
    assert!(identification(0xff0).eq([0x0d, 0xf0, 0x05, 0xb1]));
    clock.write(CONTROL, 1);
    assert_eq!(clock.read(CONTROL) & 1, 1);

    let before = clock.read(DATA);
    line(format_args!("rtc: {before} seconds since 1970"));
    assert!((LATER_THAN..EARLIER_THAN).contains(&before));
    clock.write(LOAD, 1_000_000);
    let set = clock.read(DATA);
    assert!((1_000_000..1_000_060).contains(&set), "{set}");
    let first = clock.read(DATA);
    while clock.read(DATA) == first {}
    assert_eq!(clock.read(DATA), first + 1);
    clock.write(LOAD, before);
    assert!((before..before + 60).contains(&clock.read(DATA)));
    // Neither can be written.
    clock.write(DATA, 7);
    clock.write(CONTROL, 0);
    assert!((before..before + 60).contains(&clock.read(DATA)));
    assert_eq!(clock.read(CONTROL) & 1, 1);
}
