// SPDX-License-Identifier: BSD-2-Clause
//! Where random numbers come from, and what of them is in the guest's device tree.

use proptest::prelude::*;
use vmm_core::addr::Ipa;
use vmm_core::chosen;
use vmm_core::entropy::Generator;
use vmm_core::host::Action;
use vmm_core::plan::SeedKind;

use crate::common::machine::CPU0;
use crate::common::spec::TREE;
use crate::common::{Machine, Spec, tree};

const SEED: [u8; 32] = *b"a seed of thirty-two bytes, no !";

/// The device tree as a guest with its caches off sees it.
fn seen(m: &Machine, spec: &Spec) -> Vec<u8> {
    m.fake.ram.load_uncached(Ipa(TREE), spec.tree.len())
}

/// A property of `/chosen`, by another reader of device trees.
fn read(dtb: &[u8], name: &str) -> Option<Vec<u8>> {
    let fdt = fdt::Fdt::new(dtb).unwrap();
    Some(fdt.find_node("/chosen")?.property(name)?.value.to_vec())
}

fn entropy(m: &Machine) -> bool {
    m.events()[0]["entropy"].as_bool().unwrap()
}

#[test]
fn every_start_has_other_seeds() {
    let spec = Spec::new(2, 1).with_seed(SEED);
    let mut m = Machine::boot(&spec);
    assert!(entropy(&m));
    let mut all = Vec::new();
    for _ in 0..3 {
        for (name, length) in [("rng-seed", 32), ("kaslr-seed", 8)] {
            let value = read(&seen(&m, &spec), name).unwrap();
            assert_eq!(value.len(), length, "{name}");
            assert!(value.iter().any(|byte| *byte != value[0]), "{name} is {value:?}");
            all.push(value[..8].to_vec());
        }
        m.reset(CPU0);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6, "{all:?}");
}

#[test]
fn the_rest_of_the_tree_stays_as_it_is() {
    let spec = Spec::new(2, 1).with_seed(SEED);
    let mut dtb = seen(&Machine::boot(&spec), &spec);
    for name in ["rng-seed", "kaslr-seed"] {
        dtb[chosen::property(&spec.tree, name).unwrap().value].fill(0);
    }
    assert!(dtb == spec.tree);
}

#[test]
fn another_power_on_has_other_seeds_and_the_same_one_the_same() {
    let seeds = |seed| {
        let spec = Spec::new(2, 1).with_seed(seed);
        read(&seen(&Machine::boot(&spec), &spec), "rng-seed").unwrap()
    };
    let mut other = SEED;
    other[31] ^= 1;
    assert_ne!(seeds(SEED), seeds(other));
    assert_eq!(seeds(SEED), seeds(SEED));
    assert_ne!(seeds(SEED), SEED, "the seed itself is nobody's");
}

/// A guest would believe the zeros that hold the place.
#[test]
fn without_a_seed_the_tree_has_none_either() {
    let none = Spec::new(2, 1).with_seed(SEED);
    for (what, place) in [
        ("zeros", tree::with_seed([0; 32]).to_dtb()),
        ("equal bytes", tree::with_seed([0x5a; 32]).to_dtb()),
        ("no tree", vec![0; 4096]),
        ("nothing", Vec::new()),
        ("a short one", tree::with_seed(SEED).to_dtb()[..40].to_vec()),
    ] {
        let mut m = Machine::new(&none);
        m.fake.seed = place;
        assert_eq!(m.start(), Action::Resume, "{what}");
        assert!(!entropy(&m), "{what}");
        let dtb = seen(&m, &none);
        for name in ["rng-seed", "kaslr-seed"] {
            assert_eq!(read(&dtb, name), None, "{name} with {what}");
        }
        // The others are still there.
        assert!(read(&dtb, "linux,initrd-end").is_some(), "{what}");
    }
}

#[test]
fn a_seed_that_the_plan_does_not_name_is_not_taken() {
    let mut spec = Spec::new(2, 1).with_seed(SEED);
    assert_eq!(spec.facts.seed, SeedKind::DeviceTree);
    spec.facts.seed = SeedKind::None;
    assert!(!entropy(&Machine::boot(&spec)));
}

/// RFC 8439, A.1, test vector 3: this key's key stream from byte 64 on. The first 32 bytes are the
/// next key.
#[test]
fn the_generator_is_chacha20() {
    let mut key = [0; 32];
    key[31] = 1;
    let out: [u8; 96] = Generator::new(&key).unwrap().bytes();
    let stream = [
        0x3a, 0xeb, 0x52, 0x24, 0xec, 0xf8, 0x49, 0x92, 0x9b, 0x9d, 0x82, 0x8d, 0xb1, 0xce, 0xd4,
        0xdd, 0x83, 0x20, 0x25, 0xe8, 0x01, 0x8b, 0x81, 0x60, 0xb8, 0x22, 0x84, 0xf3, 0xc9, 0x49,
        0xaa, 0x5a, 0x8e, 0xca, 0x00, 0xbb, 0xb4, 0xa7, 0x3b, 0xda, 0xd1, 0x92, 0xb5, 0xc4, 0x2f,
        0x73, 0xf2, 0xfd, 0x4e, 0x27, 0x36, 0x44, 0xc8, 0xb3, 0x61, 0x25, 0xa6, 0x4a, 0xdd, 0xeb,
        0x00, 0x6c, 0x13, 0xa0,
    ];
    assert_eq!(out[32..], stream);
}

#[test]
fn what_was_given_out_does_not_depend_on_the_size_of_requests_before() {
    let mut generator = Generator::new(&SEED).unwrap();
    let first: [u8; 64] = generator.bytes();
    let second: [u8; 64] = generator.bytes();
    assert_ne!(first, second);
    let mut again = Generator::new(&SEED).unwrap();
    let short: [u8; 1] = again.bytes();
    assert_eq!(short[0], first[0]);
    assert_eq!(again.bytes::<64>(), second);
    assert_eq!(format!("{again:?}"), "Generator { .. }", "no log holds the key");
}

#[test]
fn a_seed_has_32_bytes_that_are_not_equal() {
    assert!(Generator::new(&SEED[..31]).is_none());
    assert!(Generator::new(&[7; 32]).is_none());
    assert!(Generator::new(&SEED).is_some());
    let mut one = [0; 32];
    one[31] = 1;
    assert!(Generator::new(&one).is_some());
}

#[test]
fn a_property_of_another_node_is_not_chosens() {
    let mut all = tree::with_seed(SEED);
    all.root.add_child(tree::Build::new("other").with("in-other", 1_u32).0);
    let dtb = all.to_dtb();
    assert_eq!(chosen::property(&dtb, "in-other"), None);
    assert_eq!(chosen::property(&dtb, "rng"), None);
    assert_eq!(
        chosen::property(&dtb, "rng-seed").map(|p| dtb[p.value].to_vec()),
        Some(SEED.into())
    );
}

proptest! {
    /// Whatever is at the place of the seed: an answer, and what is found lies inside.
    #[test]
    fn any_bytes_have_an_answer(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20), cut in any::<prop::sample::Index>()) {
        let mut dtb = tree::with_seed(SEED).to_dtb();
        for (at, byte) in changes {
            let at = at.index(dtb.len());
            dtb[at] = byte;
        }
        dtb.truncate(cut.index(dtb.len() + 1).max(8));
        if let Some(property) = chosen::property(&dtb, "rng-seed") {
            prop_assert!(property.value.end <= dtb.len() && property.head < property.value.start);
        }
    }
}
