// SPDX-License-Identifier: BSD-2-Clause
//! The controller's register windows: what a guest's load or store of any size is to registers of 32
//! bits.

use super::blocks::BlockRegister;
use super::registers::{Lanes, RegisterWrite, Window, halves};
use super::state::Gic;
use super::v3;
use crate::devices::{Effect, Emulated, MmioAccess, Stored};
use crate::host::Host;
use crate::ids::GicVersion;

impl Gic {
    /// A guest's load from a register window. `None`: there is no
    /// such register, or the access crosses one; the load gives zero.
    pub fn read(
        &mut self,
        host: &mut dyn Host,
        window: Window,
        access: MmioAccess<'_>,
    ) -> Option<u64> {
        let reader = access.vcpu;
        let mut word = |offset| match (window, self.version) {
            (Window::Distributor, GicVersion::V2) => self.v2_read(host, reader, offset),
            (Window::Distributor, GicVersion::V3) => self.v3_read(host, reader, offset),
            (Window::Redistributor(owner), _) => {
                self.redistributor_read(host, owner, reader, offset)
            }
        };
        let Lanes { first, shift, mask } = Lanes::of(access.offset, access.size)?;
        let low = u64::from(word(first)?).wrapping_shr(shift) & u64::from(mask);
        if access.size < 8 {
            return Some(low);
        }
        let high = u64::from(word(first.checked_add(4)?)?);
        Some(low | high << 32)
    }

    /// A guest's store. `false`: there is no such register, or the access crosses one; nothing
    /// changed.
    pub fn write(
        &mut self,
        host: &mut dyn Host,
        window: Window,
        access: MmioAccess<'_>,
        value: u64,
    ) -> bool {
        let Some(Lanes { first, shift, mask }) = Lanes::of(access.offset, access.size) else {
            return false;
        };
        let (writer, [low, high]) = (access.vcpu.id(), halves(value));
        let mut word = |offset, write| match (window, self.version) {
            (Window::Distributor, GicVersion::V2) => self.v2_write(host, writer, offset, write),
            (Window::Distributor, GicVersion::V3) => self.v3_write(host, writer, offset, write),
            (Window::Redistributor(owner), _) => {
                self.redistributor_write(host, owner, offset, write)
            }
        };
        let (value, mask) = (low.wrapping_shl(shift), mask.wrapping_shl(shift));
        let mut known = word(first, RegisterWrite { value, mask });
        if access.size == 8 {
            known &= word(first.wrapping_add(4), RegisterWrite { value: high, mask: u32::MAX });
        }
        known
    }

    /// Whether a guest's store changes nothing as things are, whatever its value: then nobody has
    /// to ask the kernel under the monitor for the register that holds it. Drivers clear what is
    /// clear already, for every interrupt that there is.
    #[must_use]
    pub fn ignores(&self, window: Window, access: MmioAccess<'_>) -> bool {
        let lanes = Lanes::of(access.offset, access.size).filter(|_| access.size < 8);
        let Some(Lanes { first, .. }) = lanes else { return false };
        let (at, owner) = match window {
            Window::Distributor => (Some(first), access.vcpu.id()),
            Window::Redistributor(owner) => (first.checked_sub(v3::SGI_FRAME), owner),
        };
        let Some(register) = at.and_then(BlockRegister::at) else { return false };
        let elsewhere = self.version == GicVersion::V3 && !v3::is_in(window, register);
        elsewhere || self.block_ignores(owner, register)
    }
}

/// A register window as a device.
#[derive(Debug)]
pub struct Registers<'g> {
    /// The controller.
    pub gic: &'g mut Gic,
    /// Which of its windows.
    pub window: Window,
}

impl Emulated for Registers<'_> {
    fn load(&mut self, host: &mut dyn Host, access: MmioAccess<'_>) -> Option<u64> {
        self.gic.read(host, self.window, access)
    }

    fn store(&mut self, host: &mut dyn Host, access: MmioAccess<'_>, value: u64) -> Stored {
        let known = self.gic.write(host, self.window, access, value);
        // Of a store of eight bytes one half may have done something.
        Stored { known, effect: Effect::Deliver }
    }

    fn ignores(&self, access: MmioAccess<'_>) -> bool {
        self.gic.ignores(self.window, access)
    }
}
