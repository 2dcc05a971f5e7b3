// SPDX-License-Identifier: BSD-2-Clause
//! What the architecture and its firmware interfaces say: pure functions over register values.

pub mod cache;
pub mod numbers;
pub mod pstate;
pub mod services;
pub mod smccc;
pub mod syndrome;
pub mod trng;
