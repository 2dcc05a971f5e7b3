// SPDX-License-Identifier: BSD-2-Clause
//! Syndrome words, and what loads and stores move, against the architecture's tables written down
//! once more in another way; the kernel's fault messages.

use vmm_core::arm::syndrome::{Class, Syndrome, Timeout, status_words};
use vmm_core::host::Exit;
use vmm_core::ids::Gpr;
use vmm_microkit_abi::fault;
use vmm_plan::explain;

use crate::input::Input;

/// Bits `high` to `low` of a word, as the manual writes them.
const fn field(word: u64, high: u32, low: u32) -> u64 {
    word << (63 - high) >> (63 - high + low)
}

/// What a load of `size` bytes leaves in a register, byte by byte.
fn loaded(value: u64, size: usize, signed: bool, wide: bool) -> u64 {
    let mut bytes = value.to_le_bytes();
    let negative = signed && bytes[size - 1] >= 0x80;
    bytes[size..].fill(if negative { 0xff } else { 0 });
    if !wide {
        bytes[4..].fill(0);
    }
    u64::from_le_bytes(bytes)
}

fn decode(esr: u64, value: u64) {
    let Syndrome { class, length } = Syndrome::decode(esr);
    assert_eq!(length, 2 + 2 * field(esr, 25, 25));
    let zero = |reg: Option<Gpr>| reg.map_or(31, |reg| u64::from(reg.number()));
    match (field(esr, 31, 26), class) {
        (0x01, Class::Wait { event, timeout }) => {
            assert_eq!(u64::from(event), field(esr, 0, 0));
            let register = Timeout::Register(Gpr::new(field(esr, 9, 5) as u8));
            let told = if field(esr, 2, 2) == 1 { register } else { Timeout::Untold };
            assert_eq!(timeout, if field(esr, 1, 1) == 1 { told } else { Timeout::Never });
        }
        (0x16, Class::Hypercall) | (0x17, Class::Firmware) => {}
        (0x18, Class::Register(access)) => {
            let r = access.register;
            let parts = [r.op0, r.op2, r.op1, r.crn, r.crm].map(u64::from);
            let want = [(21, 20), (19, 17), (16, 14), (13, 10), (4, 1)];
            assert_eq!(parts, want.map(|(high, low)| field(esr, high, low)));
            assert_eq!(zero(access.reg), field(esr, 9, 5));
            assert_eq!(u64::from(access.read), field(esr, 0, 0));
        }
        (0x20, Class::Fetch(abort)) => {
            assert_eq!(
                (u64::from(abort.walk), u64::from(abort.status)),
                (field(esr, 7, 7), field(esr, 5, 0))
            );
            assert!(!abort.maintenance && !abort.write);
        }
        (0x24, Class::Data(abort, access)) => {
            let flags = [abort.maintenance, abort.walk, abort.write].map(u64::from);
            assert_eq!(flags, [8, 7, 6].map(|bit| field(esr, bit, bit)));
            assert_eq!(u64::from(abort.status), field(esr, 5, 0));
            assert_eq!(u64::from(access.is_some()), field(esr, 24, 24));
            if let Some(access) = access {
                let size = 1 << field(esr, 23, 22);
                assert_eq!(u64::from(access.size), size);
                assert_eq!(zero(access.reg), field(esr, 20, 16));
                let flags = [access.signed, access.wide, access.write].map(u64::from);
                assert_eq!(flags, [21, 15, 6].map(|bit| field(esr, bit, bit)));
                let (size, signed, wide) = (usize::from(access.size), access.signed, access.wide);
                assert_eq!(access.loaded(value), loaded(value, size, signed, wide));
                assert_eq!(access.stored(value), loaded(value, size, false, true));
            }
        }
        (0x03 | 0x04, Class::Coprocessor) => {}
        (ec, Class::Other(other)) => {
            assert_eq!(u64::from(other), ec);
            assert!(![0x01, 0x03, 0x04, 0x16, 0x17, 0x18, 0x20, 0x24].contains(&ec));
        }
        (ec, class) => panic!("EC {ec:#x} became {class:?}"),
    }
    assert!(!status_words(field(esr, 7, 0) as u8).is_empty());
}

/// A fault message of any label and length: an exit, or a reason why it is none.
fn message(label: u64, words: &[u64]) {
    let need = [3, 13, 5, 0, 0, 4, 1, 1, 1];
    let need = label.checked_sub(1).and_then(|label| need.get(usize::try_from(label).ok()?));
    let long_enough = words.len() >= need.copied().unwrap_or(0);
    match fault::decode(label, words) {
        Err(fault::Malformed::Short { .. }) => assert!(!long_enough),
        Err(fault::Malformed::Slot { value }) => assert!(label == 7 && value >= 64),
        Ok(decoded) => {
            assert!(long_enough);
            assert!(decoded.chunk() >= 1);
            if let Exit::Maintenance(Some(slot)) = decoded.exit {
                assert_eq!(u64::from(slot), words[0]);
            }
        }
    }
}

/// The target.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    while let (Some(esr), Some(value)) = (input.word(), input.long()) {
        // ESR_EL2 has 64 bits; what is above the syndrome means nothing here.
        decode(u64::from(esr), value);
        decode(u64::from(esr) | value << 32, value);
    }
    let mut input = Input(bytes);
    let Some(label) = input.byte() else { return };
    // Words of four bytes, the last with all its upper bits as the label has its top bit.
    let words: Vec<u64> = std::iter::from_fn(|| input.word().map(u64::from)).take(16).collect();
    message(u64::from(label % 16), &words);
    let high: Vec<u64> = words.iter().map(|word| word.rotate_right(16)).collect();
    message(u64::from(label % 16), &high);
    if let (8, Some(esr)) = (label, words.first()) {
        assert!(explain::esr(*esr).ends_with('\n'));
    }
}
