// SPDX-License-Identifier: BSD-2-Clause
//! The firmware's interface to random numbers (Arm DEN0098 1.0).

use crate::arm::smccc::{INVALID_PARAMETERS, NOT_SUPPORTED, SUCCESS, id, is_random};
use crate::entropy::Generator;

/// Version 1.0.
const VERSION: u64 = 1 << 16;

/// Names this generator: e8ff41b3-a629-4102-a52b-be8cbda9749f, in the order of DEN0028F, 6.2.
const UUID: [u8; 16] = [
    0xe8, 0xff, 0x41, 0xb3, 0xa6, 0x29, 0x41, 0x02, 0xa5, 0x2b, 0xbe, 0x8c, 0xbd, 0xa9, 0x74, 0x9f,
];

/// X0 to X3 of the answer to one of the functions `id::TRNG_*`, whose argument is in X1; `None`
/// where there is no generator, and so none of these functions.
#[must_use]
pub fn answer(function: u32, argument: u64, generator: Option<&mut Generator>) -> Option<[u64; 4]> {
    let generator = generator?;
    Some(match function {
        id::TRNG_VERSION => [VERSION, 0, 0, 0],
        id::TRNG_FEATURES => [feature(argument), 0, 0, 0],
        id::TRNG_GET_UUID => uuid(),
        id::TRNG_RND_64 => random(generator, argument, u64::BITS),
        id::TRNG_RND_32 => random(generator, argument & 0xffff_ffff, u32::BITS),
        _ => [NOT_SUPPORTED, 0, 0, 0],
    })
}

fn feature(function: u64) -> u64 {
    let known = u32::try_from(function & 0xffff_ffff).is_ok_and(is_random);
    if known { SUCCESS } else { NOT_SUPPORTED }
}

fn uuid() -> [u64; 4] {
    let (words, _) = UUID.as_chunks();
    let mut answer = [0; 4];
    for (register, word) in answer.iter_mut().zip(words) {
        *register = u64::from(u32::from_le_bytes(*word));
    }
    answer
}

/// `bits` random bits in three registers of this width, the last bits in the last one; those that
/// were not asked for are zero.
fn random(generator: &mut Generator, bits: u64, width: u32) -> [u64; 4] {
    let most = u64::from(width).saturating_mul(3);
    let Some(mut left) = u32::try_from(bits).ok().filter(|_| (1..=most).contains(&bits)) else {
        return [INVALID_PARAMETERS, 0, 0, 0];
    };
    let mut words = [0; 3].map(|_: u8| {
        let taken = left.min(width);
        left = left.saturating_sub(taken);
        // All ones in the last `taken` bits: a shift by 64 gives none.
        let mask = u64::MAX.checked_shr(u64::BITS.saturating_sub(taken)).unwrap_or(0);
        u64::from_le_bytes(generator.bytes()) & mask
    });
    words.reverse();
    let [high, middle, low] = words;
    [SUCCESS, high, middle, low]
}
