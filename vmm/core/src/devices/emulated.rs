// SPDX-License-Identifier: BSD-2-Clause
//! What a device is to the monitor: loads and stores of its registers, and what a store causes.

use crate::host::{Host, StoppedVcpu};

/// A load or store of an emulated device's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioAccess<'v> {
    /// Who makes it.
    pub vcpu: &'v StoppedVcpu,
    /// Of its first byte, from the start of the device's window.
    pub offset: u64,
    /// Bytes: 1, 2, 4 or 8. All of them are in the window.
    pub size: u8,
}

/// What a store causes outside the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Interrupts may be there that were not: give each vCPU its own.
    Deliver,
    /// Print a mark with this value.
    Mark(u64),
}

/// What became of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whether there is such a register: a store to none is counted.
    pub known: bool,
    /// What else has to happen.
    pub effect: Effect,
}

impl Stored {
    /// A store to a register that is not there.
    pub const NOWHERE: Self = Self { known: false, effect: Effect::None };

    /// A store to a register, with this effect.
    #[must_use]
    pub const fn with(effect: Effect) -> Self {
        Self { known: true, effect }
    }
}

/// A device that is software.
pub trait Emulated {
    /// The value that a load finds; `None` where there is no such register. The host is the one
    /// under the monitor, for what the device needs of the machine.
    fn load(&mut self, host: &mut dyn Host, access: MmioAccess<'_>) -> Option<u64>;

    /// Takes the value of a store, bits beyond its size zero.
    fn store(&mut self, host: &mut dyn Host, access: MmioAccess<'_>, value: u64) -> Stored;

    /// Whether a store changes nothing as things are, whatever its value: then nobody has to ask the
    /// kernel under the monitor for the register that holds it.
    fn ignores(&self, _access: MmioAccess<'_>) -> bool {
        false
    }

    /// The guest starts anew: nothing of the last one is left.
    fn reset(&mut self) {}
}
