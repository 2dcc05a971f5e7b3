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
#[allow(dead_code, missing_docs, reason = "the core's tests use the rest")]
#[path = "../../vmm/core/tests/common/mod.rs"]
mod common;
/// The reference distributor, which the core's exhaustive test uses, too.
#[path = "../../vmm/core/tests/reference/mod.rs"]
pub mod model;
#[allow(dead_code, missing_docs, reason = "the core's tests use the rest")]
#[path = "../../vmm/core/tests/monitor/world.rs"]
mod world;

// The planner's reading of device trees beside a second one, written apart.
#[allow(dead_code, missing_docs, reason = "the planner's tests use the rest")]
#[path = "../../vmm/plan/tests/common/same.rs"]
mod same;
#[allow(dead_code, missing_docs, reason = "the planner's tests use the rest")]
#[path = "../../vmm/plan/tests/common/walk.rs"]
mod walk;

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
