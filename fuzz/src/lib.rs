// SPDX-License-Identifier: BSD-2-Clause
//! Fuzz targets, as plain functions over bytes. A target panics when something is wrong and
//! returns for everything else. libFuzzer calls them (`targets/`), and so does `cargo test` with
//! the committed seeds (`tests/seeds.rs`).
//!
//! Targets know the public interface of what they fuzz, and where they can, a model of it that was
//! written apart: [`model`] for the interrupt controller, tables of the specifications in
//! [`firmware`] and [`syndrome`], a second reading of device trees in [`trees`].
#![forbid(unsafe_code)]

pub mod block;
pub mod boards;
pub mod exits;
pub mod firmware;
pub mod gic;
pub mod guests;
pub mod input;
pub mod interrupts;
pub mod machine;
pub mod reports;
pub mod seeds;
pub mod syndrome;
pub mod systems;
pub mod trees;

// The guests of the core's own tests: same plan, same fake, same checks of the seam.
use vmm_testkit as common;
/// The reference distributor, which the core's exhaustive test uses, too.
pub use vmm_testkit::reference as model;
use vmm_testkit::{same, world};

/// A target: its name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 11] = [
    ("exits", exits::run),
    ("syndrome", syndrome::run),
    ("gic", gic::run),
    ("interrupts", interrupts::run),
    ("firmware", firmware::run),
    ("block", block::run),
    ("trees", trees::run),
    ("boards", boards::run),
    ("guests", guests::run),
    ("systems", systems::run),
    ("reports", reports::run),
];
