// SPDX-License-Identifier: BSD-2-Clause
//! The monitor's core: decides what every exit of the guest means.
//!
//! No standard library, no unsafe code, no allocation. A host (seL4, bare metal, or the fake of
//! `vmm/testkit`) turns what its kernel reports into an [`host::Exit`], calls [`vm::Vm::handle`] and
//! carries out the [`host::Action`].
// The tests have a heap; the monitor does not.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "a test that overflows or truncates is a test that fails"
    )
)]
#![forbid(unsafe_code)]

pub mod addr;
pub mod arm;
pub mod boot;
pub mod chosen;
pub mod devices;
pub mod entropy;
pub mod fault;
pub mod gic;
pub mod guide;
pub mod host;
pub mod ids;
pub mod plan;
pub mod report;
pub mod tree;
pub mod uart;
pub mod vm;
