// SPDX-License-Identifier: BSD-2-Clause
//! The monitor as a seL4 Microkit protection domain: `vmm.elf`.
//!
//! It turns fault messages and notifications into [`vmm_core::host::Exit`], asks the core, and
//! carries out the answer. It decides nothing.
#![no_std]
#![no_main]

mod counter;
mod host;
mod idle;
mod kernel;
mod log;
mod memory;
mod monitor;
mod stop;
mod symbols;
mod uart;

use sel4_microkit::protection_domain;

/// Entry point. The stack is the one that the system file asks for (`stack_size`).
#[protection_domain]
fn init() -> monitor::Monitor {
    stop::on_panic();
    log::init();
    monitor::Monitor::start()
}
