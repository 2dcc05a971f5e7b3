// SPDX-License-Identifier: BSD-2-Clause
//! Plan blocks that are not what guestplan writes: refused by name, or a monitor that starts or
//! stops with a report.

use vmm_core::addr::{Ipa, IpaRange};
use vmm_core::host::{Action, Image};
use vmm_core::ids::Vcpu;
use vmm_core::plan::{Facts, Header, PlanBlock, checksum};
use vmm_core::vm::Vm;
use vmm_testkit::fake::Fake;
use zerocopy::IntoBytes;

use crate::common::spec::{RAM, RAM_SIZE};
use crate::common::{Spec, esr};
use crate::input::Input;

/// Bytes at a multiple of eight.
fn aligned(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0_u64; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    words
}

/// A good block with some of its words overwritten, and its checksum made right again unless the
/// input says otherwise.
fn block(input: &mut Input<'_>) -> Option<(Spec, Vec<u8>)> {
    let kind = input.byte()?;
    let spec = Spec::new(2 + u32::from(kind & 1), 1 + u32::from(kind >> 1 & 3));
    let mut block = spec.block();
    let known = [0, 1, 2, 3, 4, 8, 16, 64, 992, RAM, RAM + RAM_SIZE, 0x1000, u64::MAX - RAM];
    while let (Some(at), Some(value)) = (input.half(), input.number(&known)) {
        let at = usize::from(at) * 4 % block.len();
        let width = if at.is_multiple_of(8) && value > u64::from(u32::MAX) { 8 } else { 4 };
        for (to, from) in block[at..].iter_mut().zip(&value.to_le_bytes()[..width]) {
            *to = *from;
        }
    }
    if kind & 0x80 == 0 {
        let head = size_of::<Header>();
        let length = u32::from_le_bytes(block[12..16].try_into().ok()?) as usize;
        let sum = checksum(block.get(head..length).unwrap_or(&block[head..]));
        block[16..24].copy_from_slice(&sum.to_le_bytes());
    }
    if kind & 0x40 != 0 {
        block.truncate(usize::from(kind & 0x3f) * size_of::<Facts>() / 32);
    }
    Some((spec, block))
}

/// The target.
pub fn run(bytes: &[u8]) {
    let Some((spec, bytes)) = block(&mut Input(bytes)) else { return };
    let words = aligned(&bytes);
    let bytes = &words.as_bytes()[..bytes.len()];
    let plan = match PlanBlock::read(bytes) {
        Ok(plan) => plan,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mut vm = match Vm::new(plan, 4) {
        Ok(vm) => vm,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    // The host has what the board has, whatever the block says.
    let mut fake = Fake::new(4, IpaRange::new(Ipa(RAM), RAM_SIZE).unwrap());
    fake.set_image(Image::Kernel, &spec.kernel);
    fake.set_image(Image::DeviceTree, &spec.tree);
    fake.set_image(Image::Initrd, &spec.initrd);
    match vm.start(&mut fake) {
        Action::Stop(_) => {
            let mut text = String::new();
            vm.fault().unwrap().render(&plan, &mut text).unwrap();
            assert!(text.contains("The guest was"), "{text}");
        }
        Action::Resume => {
            // It runs; an access to nowhere ends it with a report.
            let exit = vmm_core::host::Exit::Trap { esr: esr::load(4, 0), ipa: Ipa(0x7777_0000) };
            let _ = vm.handle(&mut fake, Vcpu(0), exit);
        }
        other => panic!("{other:?}"),
    }
    assert!(fake.printed.contains("@{\"v\":1,\"event\":"), "{}", fake.printed);
}
