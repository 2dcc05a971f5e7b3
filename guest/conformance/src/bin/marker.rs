// SPDX-License-Identifier: BSD-2-Clause
//! A 32-bit store to the marker page makes the monitor print a mark with its value, and the guest
//! goes on. Whoever runs it looks for the marks.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest};

guest!(run);

fn run(platform: &mut Platform) {
    let marker = platform.marker().expect("no boot argument marker=ADDRESS");
    for value in [7, 0, u32::MAX] {
        marker.write(0, value);
    }
}
