// SPDX-License-Identifier: BSD-2-Clause
//! Every target takes every one of its committed inputs, with no fuzzer at hand. Inputs that once
//! crashed something stay among them.

use std::path::Path;

use vmm_fuzz::{TARGETS, seeds};

#[test]
fn every_target_takes_its_seeds() {
    for (name, run) in TARGETS {
        let all = seeds::of(name);
        assert!(!all.is_empty(), "{name} has no seeds");
        for (seed, bytes) in &all {
            if let Err(panic) = std::panic::catch_unwind(|| run(bytes)) {
                eprintln!("target {name} fails on {seed}");
                std::panic::resume_unwind(panic);
            }
        }
        println!("{name}: {} seeds", all.len());
    }
}

/// Nothing at all, and a byte of every value repeated: what no corpus keeps.
#[test]
fn every_target_takes_dull_inputs() {
    for (_, run) in TARGETS {
        run(&[]);
        for byte in 0..=255 {
            run(&[byte; 64]);
        }
    }
}

#[test]
fn every_seed_belongs_to_a_target() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(TARGETS.iter().any(|(name, _)| *name == stem), "{} is nobody's", path.display());
    }
}
