// SPDX-License-Identifier: BSD-2-Clause
//! The guest's interrupt controller: one state machine, of which GICv2 ([`v2`]) and GICv3
//! ([`v3`]) are two views.
//!
//! An interrupt waits here until it is enabled, pending, inactive, its group is on and a list
//! register is to be had (`lists`); then it is injected.
//!
//! The board's levels are sampled, not tracked. A physical line that fired stays masked until the
//! guest has ended the interrupt, then it is unmasked: if the device still asserts it, it fires again.
//! The same happens when the guest enables an interrupt whose line fired while it was disabled. An edge
//! that comes while one waits stays masked until the guest is given that. The level of an emulated
//! device's line is known at any time ([`Source`]).

mod blocks;
mod lists;
mod observe;
mod registers;
mod sources;
mod state;
pub mod v2;
pub mod v3;
mod windows;
mod words;

pub use self::lists::Ended;
pub use self::observe::InterruptState;
pub use self::registers::Window;
pub use self::sources::Source;
pub use self::state::{Gic, Held, ListRegister, MAX_LIST_REGISTERS};
pub use self::windows::Registers;
