// SPDX-License-Identifier: BSD-2-Clause
//! The placing of images: the core's order is right whenever a cache writes back or looks ahead,
//! and each wrong order shows.

use proptest::prelude::*;
use vmm_core::addr::{Ipa, IpaRange};
use vmm_core::boot;
use vmm_core::host::{GuestMemory, Image, MemoryOp};
use vmm_testkit::fake::Fake;

use crate::common::Spec;
use crate::common::spec::{INITRD, KERNEL, RAM, RAM_SIZE, TREE};

/// Where the new guest stores with its caches off: beside the images, and in no image's line.
const BESIDE: u64 = RAM + 0x1_8000;

fn range(base: u64, size: u64) -> IpaRange {
    IpaRange::new(Ipa(base), size).unwrap()
}

fn images(spec: &Spec) -> [(Image, u64, &[u8]); 3] {
    [
        (Image::Kernel, KERNEL, &spec.kernel),
        (Image::DeviceTree, TREE, &spec.tree),
        (Image::Initrd, INITRD, &spec.initrd),
    ]
}

/// A host whose last guest left dirty lines everywhere and old instructions at the kernel's place.
fn used(spec: &Spec) -> Fake {
    let mut fake = spec.fake();
    fake.ram.store_cached(Ipa(RAM), &vec![0xaa; RAM_SIZE as usize]);
    fake.ram.fetch(range(KERNEL, 0x1000));
    fake
}

/// The steps that the core takes.
fn steps(spec: &Spec) -> Vec<MemoryOp> {
    let mut fake = spec.fake();
    boot::place(&spec.plan(), &mut fake, None).unwrap();
    fake.memory_log
}

/// What a guest with its caches off finds after these steps, if the cache writes back before the
/// steps of `evict` and the processor looks ahead before those of `ahead`; and after the start,
/// when the guest has stored and the cache writes back what is left.
fn defect(spec: &Spec, steps: &[MemoryOp], evict: u64, ahead: u64) -> Option<&'static str> {
    let mut fake = used(spec);
    for (n, step) in steps.iter().enumerate() {
        if evict >> n & 1 == 1 {
            fake.ram.evict();
        }
        if ahead >> n & 1 == 1 {
            fake.ram.fetch(range(KERNEL, spec.kernel.len() as u64));
        }
        fake.memory(*step).unwrap();
    }
    let intact = |fake: &Fake| {
        images(spec)
            .iter()
            .all(|(_, at, bytes)| fake.ram.load_uncached(Ipa(*at), bytes.len()) == *bytes)
    };
    if !intact(&fake) {
        return Some("an image is not there");
    }
    if fake.ram.stale(range(KERNEL, spec.kernel.len() as u64)) {
        return Some("old instructions");
    }
    let own = [0x77; 256];
    fake.ram.store_uncached(Ipa(BESIDE), &own);
    fake.ram.evict();
    if fake.ram.load_uncached(Ipa(BESIDE), own.len()) != own {
        return Some("an old line over what the guest stored");
    }
    if !intact(&fake) {
        return Some("an old line over an image");
    }
    None
}

/// The wrong thing that shows for some behaviour of cache and processor.
fn any_defect(spec: &Spec, steps: &[MemoryOp]) -> Option<&'static str> {
    let patterns = [0, 0xff, 0x55, 0xaa];
    patterns
        .iter()
        .find_map(|evict| patterns.iter().find_map(|ahead| defect(spec, steps, *evict, *ahead)))
}

#[test]
fn the_order_of_the_core() {
    let spec = Spec::new(2, 1);
    let (kernel, tree) = (spec.kernel.len() as u64, spec.tree.len() as u64);
    let expected = [
        MemoryOp::CleanInvalidate(range(RAM, RAM_SIZE)),
        MemoryOp::Copy(Image::Kernel, Ipa(KERNEL)),
        MemoryOp::Clean(range(KERNEL, kernel)),
        MemoryOp::Copy(Image::DeviceTree, Ipa(TREE)),
        MemoryOp::Clean(range(TREE, tree)),
        MemoryOp::Copy(Image::Initrd, Ipa(INITRD)),
        MemoryOp::Clean(range(INITRD, 26)),
        MemoryOp::InvalidateInstructions(range(KERNEL, kernel)),
    ];
    assert_eq!(steps(&spec), expected);
}

#[test]
fn the_order_of_the_core_is_right() {
    let spec = Spec::new(2, 1);
    assert_eq!(any_defect(&spec, &steps(&spec)), None);
}

#[test]
fn every_step_is_needed() {
    let spec = Spec::new(2, 1);
    let right = steps(&spec);
    let missing = |n: usize| {
        let mut steps = right.clone();
        steps.remove(n);
        any_defect(&spec, &steps)
    };
    assert_eq!(missing(0), Some("an old line over what the guest stored"));
    for copy_or_clean in 1..=6 {
        assert_eq!(missing(copy_or_clean), Some("an image is not there"), "step {copy_or_clean}");
    }
    assert_eq!(missing(7), Some("old instructions"));
}

#[test]
fn a_clean_before_its_copy_shows() {
    let spec = Spec::new(2, 1);
    for copy in [1, 3, 5] {
        let mut steps = steps(&spec);
        steps.swap(copy, copy + 1);
        assert_eq!(any_defect(&spec, &steps), Some("an image is not there"), "step {copy}");
    }
}

#[test]
fn instructions_dropped_too_early_show() {
    let spec = Spec::new(2, 1);
    for early in 0..3 {
        let mut steps = steps(&spec);
        let last = steps.pop().unwrap();
        steps.insert(early, last);
        assert_eq!(any_defect(&spec, &steps), Some("old instructions"), "before step {early}");
    }
}

#[test]
fn instructions_of_another_place_show() {
    let spec = Spec::new(2, 1);
    for other in [range(TREE, 0x1000), range(KERNEL, 64), range(KERNEL + 64, 136)] {
        let mut steps = steps(&spec);
        steps[7] = MemoryOp::InvalidateInstructions(other);
        assert_eq!(any_defect(&spec, &steps), Some("old instructions"), "{other}");
    }
}

#[test]
fn a_clean_of_half_an_image_shows() {
    let spec = Spec::new(2, 1);
    let mut steps = steps(&spec);
    steps[2] = MemoryOp::Clean(range(KERNEL, 128));
    assert_eq!(any_defect(&spec, &steps), Some("an image is not there"));
}

#[test]
fn dirty_lines_dropped_in_part_show() {
    let spec = Spec::new(2, 1);
    let mut steps = steps(&spec);
    steps[0] = MemoryOp::CleanInvalidate(range(RAM, 0x1_8000));
    assert_eq!(any_defect(&spec, &steps), Some("an old line over what the guest stored"));
}

#[test]
fn a_step_outside_guest_ram_is_refused_and_not_done() {
    let spec = Spec::new(2, 1);
    let mut fake = spec.fake();
    for op in [
        MemoryOp::CleanInvalidate(range(RAM - 64, 128)),
        MemoryOp::Clean(range(RAM + RAM_SIZE - 64, 128)),
        MemoryOp::InvalidateInstructions(range(0, 64)),
        MemoryOp::Copy(Image::Kernel, Ipa(RAM + RAM_SIZE - 100)),
        MemoryOp::Copy(Image::Kernel, Ipa(u64::MAX - 10)),
    ] {
        assert_eq!(fake.memory(op).unwrap_err().0, op);
    }
    assert!(fake.memory_log.is_empty());
}

#[test]
fn a_plan_with_other_places_is_refused_by_the_host_not_by_luck() {
    let mut spec = Spec::new(2, 1);
    spec.facts.initrd.ipa = RAM + RAM_SIZE - 10;
    let mut fake = spec.fake();
    assert!(boot::place(&spec.plan(), &mut fake, None).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the caches do between the steps, a guest with its caches off finds its images.
    #[test]
    fn the_images_are_there_whatever_the_caches_do(evict: u8, ahead: u8, old in 0_u64..0x3_f000, code in 0_u64..0x3_f000) {
        let spec = Spec::new(2, 1);
        let right = steps(&spec);
        prop_assert_eq!(defect(&spec, &right, evict.into(), ahead.into()), None);

        let mut fake = spec.fake();
        fake.ram.store_cached(Ipa(RAM + old), &[0xbb; 0x1000]);
        fake.ram.fetch(range(RAM + code, 0x1000));
        boot::place(&spec.plan(), &mut fake, None).unwrap();
        fake.ram.evict();
        for (_, at, bytes) in images(&spec) {
            prop_assert_eq!(&fake.ram.load_uncached(Ipa(at), bytes.len())[..], bytes);
        }
        prop_assert!(!fake.ram.stale(range(KERNEL, spec.kernel.len() as u64)));
    }
}
