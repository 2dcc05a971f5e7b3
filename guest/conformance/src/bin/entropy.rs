// SPDX-License-Identifier: BSD-2-Clause
//! Random numbers: seeds in the device tree that no other life has, and the firmware's interface (Arm
//! DEN0098 1.0, chapter 2). Where the tree has no seed, the firmware says that it has no numbers.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;

use guest_conformance::smccc::{
    INVALID_PARAMETERS, NOT_SUPPORTED, SMCCC_VERSION, SYSTEM_RESET, smc, smc_all,
};
use guest_conformance::{Platform, fail, guest, line, require};

guest!(run);

const VERSION: u32 = 0x8400_0050;
const FEATURES: u32 = 0x8400_0051;
const GET_UUID: u32 = 0x8400_0052;
const RND_32: u32 = 0x8400_0053;
const RND_64: u32 = 0xc400_0053;
const ALL: [u32; 5] = [VERSION, FEATURES, GET_UUID, RND_32, RND_64];

/// The seeds of the life before, in memory that a start does not write.
struct Before(UnsafeCell<[u64; 6]>);

// SAFETY: one CPU runs, and takes no interrupt.
unsafe impl Sync for Before {}

#[unsafe(link_section = ".noinit")]
static BEFORE: Before = Before(UnsafeCell::new([0; 6]));

/// Says that the guest ran before.
const SEEN: u64 = 0x656e_7472_6f70_7921;

fn run(platform: &mut Platform) {
    let Some(seed) = platform.chosen("rng-seed") else {
        require!(platform.chosen("kaslr-seed").is_none(), "kaslr-seed without rng-seed");
        for function in ALL {
            let answer = smc(function, [u64::from(RND_64), 0, 0]);
            require!(answer == NOT_SUPPORTED, "without a seed {function:#x} answered {answer:#x}");
        }
        line(format_args!("no seed"));
        second_life([0; 5]);
        return;
    };
    require!(seed.len() >= 32, "rng-seed has {} bytes", seed.len());
    let mut now = [0; 5];
    let place = platform.chosen("kaslr-seed");
    require!(place.is_some_and(|seed| seed.len() == 8), "kaslr-seed is {place:?}, not eight bytes");
    let words = place.into_iter().chain([&seed[..32]]).flat_map(|bytes| bytes.chunks_exact(8));
    for (word, bytes) in now.iter_mut().zip(words) {
        *word = bytes.try_into().map_or(0, u64::from_be_bytes);
    }
    // Two of five words of 64 bits are the same once in 2^60 lives.
    let same = (1..now.len()).any(|index| now[..index].contains(&now[index]));
    require!(!same && !now.contains(&0), "the seeds are {now:x?}");
    line(format_args!("seed {:016x} {:016x}", now[0], now[1]));
    interface();
    random(RND_32, 32);
    random(RND_64, 64);
    second_life(now);
}

/// Resets once; the second life must not have a seed of the first.
fn second_life(now: [u64; 5]) {
    // SAFETY: the only access besides the write below.
    let [seen, before @ ..] = unsafe { BEFORE.0.get().read_volatile() };
    if seen == SEEN {
        let kept = now.iter().zip(before).any(|(now, before)| *now == before && before != 0);
        require!(!kept, "after a reset the seeds are {now:x?}, before {before:x?}");
        return;
    }
    let [a, b, c, d, e] = now;
    // SAFETY: the only access besides the read above.
    unsafe { BEFORE.0.get().write_volatile([SEEN, a, b, c, d, e]) };
    let answer = smc(SYSTEM_RESET, [0; 3]);
    fail!("SYSTEM_RESET came back with {answer:#x}");
}

fn interface() {
    // The interface builds on SMCCC 1.1.
    require!(smc(SMCCC_VERSION, [0; 3]) >= 0x1_0001, "SMCCC is older than 1.1");
    let version = smc(VERSION, [0; 3]);
    require!(version >> 31 == 0 && version >= 0x1_0000, "TRNG_VERSION answered {version:#x}");
    for function in ALL {
        let answer = smc(FEATURES, [u64::from(function), 0, 0]);
        require!(answer == 0, "TRNG_FEATURES of {function:#x} answered {answer:#x}");
    }
    for function in [0x8400_0054, 0xc400_0050, 0xc400_0052, 0x8400_0000] {
        let answer = smc(FEATURES, [function, 0, 0]);
        require!(answer as i32 == -1, "TRNG_FEATURES of {function:#x} answered {answer:#x}");
    }
    let uuid = smc_all(GET_UUID, [0; 3]);
    require!(uuid[0] as i32 != -1 && uuid != [0; 4], "TRNG_GET_UUID answered {uuid:x?}");
    require!(uuid.iter().all(|word| word >> 32 == 0), "words of the UUID have 32 bits: {uuid:x?}");
    require!(uuid == smc_all(GET_UUID, [0; 3]), "another call, another UUID");
}

/// Every number of bits: those asked for, from the last register's lowest on, change; all others are
/// zero.
fn random(function: u32, width: u32) {
    for bits in [0, 3 * width + 1, u32::MAX] {
        let answer = smc(function, [bits.into(), 0, 0]);
        let invalid = answer as i32 == INVALID_PARAMETERS as i32;
        require!(invalid, "{function:#x}: {bits} bits answered {answer:#x}");
    }
    for bits in 1..=3 * width {
        let (mut ones, mut zeros) = ([0; 3], [0; 3]);
        // A bit stays what it is in 64 answers once in 2^63.
        for _ in 0..64 {
            let [status, words @ ..] = smc_all(function, [bits.into(), 0, 0]);
            require!(status == 0, "{function:#x}: {bits} bits answered {status:#x}");
            for index in 0..3 {
                ones[index] |= words[index];
                zeros[index] |= !words[index];
            }
        }
        for (index, (ones, zeros)) in ones.into_iter().zip(zeros).enumerate() {
            // X3 has the lowest bits, X1 the highest.
            let here = bits.saturating_sub(width * (2 - index as u32)).min(width);
            let asked = u64::MAX.checked_shr(64 - here).unwrap_or(0);
            require!(ones == asked, "{function:#x}: of {bits} bits X{} has {ones:#x}", index + 1);
            require!(zeros & asked == asked, "{function:#x}: of {bits} bits some are always one");
        }
    }
}
