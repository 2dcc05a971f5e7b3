// SPDX-License-Identifier: BSD-2-Clause
//! The seam: everything that the core asks of the kernel it runs on.
//!
//! Three bodies stand behind [`Host`]: seL4 (`vmm/hosts/microkit`), bare metal
//! (`vmm/hosts/baremetal`) and a fake for tests (`vmm/testkit`). A host turns what its kernel reports
//! into an [`Exit`], calls [`crate::vm::Vm::handle`] and carries out the [`Action`]; it decides
//! nothing.

pub use vmm_report::FaultKind;

mod clock;
mod console;
mod exit;
mod firmware;
mod interrupts;
mod memory;
mod vcpu;

pub use self::clock::Clock;
pub use self::console::Console;
pub use self::exit::{Action, Exit};
pub use self::firmware::Firmware;
pub use self::interrupts::{InjectRefused, Injection, Interrupts, ListState};
pub use self::memory::{GuestMemory, Image, MemoryOp, MemoryRefused};
pub use self::vcpu::{
    ENTRY_SCTLR_EL1, ENTRY_SPSR, El1, Entry, GuestRegisters, StoppedVcpu, Vcpus, VirtualTimer,
};

/// What the host's kernel was asked for so far, where it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostStats {
    /// Calls into the kernel.
    pub calls: u64,
    /// Guest registers moved by those calls.
    pub registers: u64,
}

/// All that the core asks of the kernel under it. What needs only a part of it takes that part.
pub trait Host:
    GuestRegisters + Vcpus + Interrupts + GuestMemory + Clock + Console + Firmware
{
    /// What the kernel was asked for so far; zero where nobody counts.
    fn stats(&self) -> HostStats {
        HostStats::default()
    }
}
