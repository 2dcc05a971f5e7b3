// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts by words of 32: bit n is INTID `32 * word + n`.

use crate::ids::Intid;

/// Words of 32 interrupts: INTID 0 to 991.
pub(super) const WORDS: usize = 31;

/// Index of the word and mask of the bit of an interrupt.
pub(super) const fn word_and_bit(intid: Intid) -> (usize, u32) {
    let number = intid.number();
    (number as usize / 32, 1_u32 << (number % 32))
}

/// The interrupts of a word whose bits are set, as INTIDs. Nothing set costs next to nothing: at
/// every exit all words are asked.
pub(super) fn set_intids(word: usize, mut bits: u32) -> impl Iterator<Item = Intid> {
    let next = move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits.wrapping_sub(1);
        Some(bit)
    };
    core::iter::from_fn(next).filter_map(move |bit| {
        let base = u16::try_from(word).ok()?.checked_mul(32)?;
        Intid::new(base.checked_add(u16::try_from(bit).ok()?)?)
    })
}
