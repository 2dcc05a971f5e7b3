// SPDX-License-Identifier: BSD-2-Clause
//! Random numbers by firmware call: the rules of Arm DEN0098 1.0, each with its test.

use std::collections::BTreeSet;

use crate::common::machine::CPU0;
use crate::common::{Machine, Spec};

const VERSION: u64 = 0x8400_0050;
const FEATURES: u64 = 0x8400_0051;
const UUID: u64 = 0x8400_0052;
const RND_32: u64 = 0x8400_0053;
const RND_64: u64 = 0xc400_0053;
const NOT_SUPPORTED: u64 = -1_i64 as u64;
const INVALID_PARAMETERS: u64 = -2_i64 as u64;

fn machine() -> Machine {
    Machine::boot(&Spec::new(2, 1).with_seed(*b"a seed of thirty-two bytes, no !"))
}

/// X0 to X3 of the answer; the guest's registers were full before.
fn call(m: &mut Machine, function: u64, argument: u64) -> [u64; 4] {
    m.call(CPU0, &[function, argument, u64::MAX, u64::MAX]);
    [0, 1, 2, 3].map(|reg| m.reg(CPU0, reg))
}

/// The bits of an answer as one number of three registers.
fn bits([status, high, middle, low]: [u64; 4], width: u32) -> [bool; 192] {
    assert_eq!(status, 0);
    let mut all = [false; 192];
    for (register, word) in (0..).zip([low, middle, high]) {
        for bit in 0..64 {
            let set = word >> bit & 1 == 1;
            assert!(!set || bit < width, "bit {bit} of a register of {width}");
            if bit < width {
                all[(register * width + bit) as usize] = set;
            }
        }
    }
    all
}

#[test]
fn the_version_is_1_0_and_the_rest_zero() {
    assert_eq!(call(&mut machine(), VERSION, 7), [0x1_0000, 0, 0, 0]);
}

#[test]
fn every_function_of_the_interface_is_a_feature_and_no_other() {
    for function in [VERSION, FEATURES, UUID, RND_32, RND_64] {
        assert_eq!(call(&mut machine(), FEATURES, function), [0; 4], "{function:#x}");
    }
    // What has another number, another width, or belongs to another standard.
    for function in [0, 0x8400_0054, 0xc400_0050, 0xc400_0052, 0x8400_0009, 0x8000_0000] {
        let answer = call(&mut machine(), FEATURES, function);
        assert_eq!(answer, [NOT_SUPPORTED, 0, 0, 0], "{function:#x}");
    }
}

#[test]
fn the_uuid_is_four_words_and_always_the_same() {
    // e8ff41b3-a629-4102-a52b-be8cbda9749f, the first byte lowest (DEN0028F, 6.2).
    let words = [0xb341_ffe8, 0x0241_29a6, 0x8cbe_2ba5, 0x9f74_a9bd];
    assert_eq!(call(&mut machine(), UUID, 0), words);
    // The first word may not read as NOT_SUPPORTED.
    assert_ne!(words[0], 0xffff_ffff);
}

#[test]
fn as_many_bits_as_asked_for_the_others_are_zero() {
    for (function, width) in [(RND_32, 32), (RND_64, 64)] {
        let mut m = machine();
        for count in 1..=3 * width {
            let mut ones = [false; 192];
            // That a bit never comes in 64 answers has a chance of one in 2^64.
            for _ in 0..64 {
                let all = bits(call(&mut m, function, count.into()), width);
                let beyond = &all[count as usize..];
                assert!(beyond.iter().all(|bit| !bit), "{count} bits of {function:#x}");
                for (seen, bit) in ones.iter_mut().zip(all) {
                    *seen |= bit;
                }
            }
            assert!(ones[..count as usize].iter().all(|bit| *bit), "{count} bits of {function:#x}");
        }
    }
}

#[test]
fn none_and_too_many_bits_are_invalid() {
    for (function, count) in
        [(RND_32, 0), (RND_32, 97), (RND_64, 0), (RND_64, 193), (RND_64, 1 << 32 | 1)]
    {
        let answer = call(&mut machine(), function, count);
        assert_eq!(answer, [INVALID_PARAMETERS, 0, 0, 0], "{count} bits of {function:#x}");
    }
}

#[test]
fn the_32_bit_function_reads_the_lower_half_of_its_argument() {
    assert_eq!(call(&mut machine(), RND_32, 0xffff_ffff_0000_0008)[0], 0);
}

#[test]
fn no_two_answers_are_equal() {
    let mut m = machine();
    let all: BTreeSet<_> = (0..1000).map(|_| call(&mut m, RND_64, 192)).collect();
    assert_eq!(all.len(), 1000);
}

#[test]
fn without_a_seed_nothing_is_there_and_nobody_is_warned() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    for function in [VERSION, FEATURES, UUID, RND_32, RND_64] {
        assert_eq!(call(&mut m, function, 64)[0], NOT_SUPPORTED, "{function:#x}");
    }
    assert_eq!((m.vm.counters().unknown_smc, m.vm.counters().notes), (0, 0));
}
