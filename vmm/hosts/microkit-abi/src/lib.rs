// SPDX-License-Identifier: BSD-2-Clause
//! What seL4 and Microkit say to a monitor, as data: fault messages, the order of registers in a
//! thread's context, and the slots of a protection domain's capabilities.
//!
//! Nothing here makes a system call or depends on rust-sel4, so all of it is tested on the
//! development machine. `vmm/hosts/microkit` adds the calls.
//!
//! Sources: seL4 16.0.0 (AArch64, MCS, hypervisor mode) and Microkit 2.3.0.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod fault;
pub mod registers;
pub mod slots;
