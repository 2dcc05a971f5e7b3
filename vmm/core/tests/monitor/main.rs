// SPDX-License-Identifier: BSD-2-Clause
//! The monitor against the fake host.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

extern crate vmm_testkit as common;

use vmm_testkit::world;

mod arbitrary;
mod book;
mod boot;
mod entropy;
mod event;
mod exceptions;
mod exits;
mod faults;
mod firmware;
mod ignored;
mod interrupts;
mod memory;
mod mmio;
mod plan;
mod properties;
mod registers_v2;
mod registers_v3;
mod report;
mod reset;
mod routing;
mod rtc;
mod sleep;
mod trng;
