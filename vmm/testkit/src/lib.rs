// SPDX-License-Identifier: BSD-2-Clause
//! What the tests of several crates share. Product code never depends on it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

mod modules;

pub use modules::module_circles;
