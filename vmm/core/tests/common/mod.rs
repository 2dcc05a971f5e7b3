// SPDX-License-Identifier: BSD-2-Clause
//! What the tests share: a plan with its images ([`Spec`]), a guest on the fake host
//! ([`Machine`]), and syndromes put together by hand ([`esr`]).

pub mod esr;
pub mod machine;
pub mod spec;
pub mod tree;

pub use machine::Machine;
pub use spec::Spec;
