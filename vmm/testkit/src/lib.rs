// SPDX-License-Identifier: BSD-2-Clause
//! What the tests of several crates share. Product code never depends on it.
//!
//! [`modules`], the [`mod@reference`] distributor and the second reading of device trees ([`walk`]) know
//! nothing of what they judge. Feature `monitor` adds a fake host, and a guest on it with its plan
//! and images, and feature `planner` the comparison of the planner's reading with the second one.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and a test is what reads this"
)]

pub mod modules;
pub mod reference;
pub mod walk;

#[cfg(feature = "monitor")]
pub mod esr;
#[cfg(feature = "monitor")]
pub mod fake;
#[cfg(feature = "monitor")]
pub mod machine;
#[cfg(feature = "planner")]
pub mod same;
#[cfg(feature = "monitor")]
pub mod spec;
#[cfg(feature = "monitor")]
pub mod tree;
#[cfg(feature = "monitor")]
pub mod world;

#[cfg(feature = "monitor")]
pub use machine::Machine;
pub use modules::module_circles;
#[cfg(feature = "monitor")]
pub use spec::Spec;
