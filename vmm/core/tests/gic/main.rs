// SPDX-License-Identifier: BSD-2-Clause
//! The interrupt controller in every state that any sequence of events leads to.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

mod exhaustive;
mod oracle;

use vmm_core::devices::MmioAccess;
use vmm_core::host::StoppedVcpu;

/// An access by a vCPU whose exit it is.
fn access(vcpu: &StoppedVcpu, (offset, size): (u64, u8)) -> MmioAccess<'_> {
    MmioAccess { vcpu, offset, size }
}
