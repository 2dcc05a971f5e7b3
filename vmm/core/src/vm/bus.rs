// SPDX-License-Identifier: BSD-2-Clause
//! Which emulated device answers at a guest-physical address.

use core::fmt;

use arrayvec::ArrayVec;

use crate::addr::{Ipa, IpaRange};
use crate::gic;
use crate::ids::MAX_VCPUS;
use crate::plan::{DeviceKind, MAX_DEVICES};

/// Most emulated windows: the distributor, a redistributor for each vCPU, and the plan's devices.
pub const CAPACITY: usize = 1 + MAX_VCPUS + MAX_DEVICES;

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Registers of the interrupt controller.
    Gic(gic::Window),
    /// The plan's n-th device.
    Device(usize, DeviceKind),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gic(gic::Window::Distributor) => f.write_str("GICD"),
            Self::Gic(gic::Window::Redistributor(vcpu)) => write!(f, "GICR of {vcpu}"),
            Self::Device(_, kind) => write!(f, "{kind}"),
        }
    }
}

/// Why a window is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Two devices want one address.
    #[error("{device} at {window} overlaps {other}")]
    Overlap {
        /// The newcomer.
        device: Target,
        /// Its window.
        window: IpaRange,
        /// Who was there first.
        other: Target,
    },
    /// No room.
    #[error("{device} does not fit: the bus has {CAPACITY} windows")]
    Full {
        /// The newcomer.
        device: Target,
    },
}

/// The emulated windows, none of which overlap.
#[derive(Clone, Debug, Default)]
pub struct Bus {
    windows: ArrayVec<(IpaRange, Target), CAPACITY>,
}

impl Bus {
    /// Adds a device.
    ///
    /// # Errors
    /// Its window overlaps another, or the bus is full.
    pub fn add(&mut self, window: IpaRange, device: Target) -> Result<(), BusError> {
        if let Some(&(_, other)) = self.windows.iter().find(|(taken, _)| taken.overlaps(window)) {
            return Err(BusError::Overlap { device, window, other });
        }
        self.windows.try_push((window, device)).map_err(|_| BusError::Full { device })
    }

    /// The device that answers for all of `size` bytes at `ipa`, with the offset in its window.
    #[must_use]
    pub fn find(&self, ipa: Ipa, size: u8) -> Option<(Target, u64)> {
        let access = IpaRange::new(ipa, u64::from(size))?;
        // Few windows, asked once an exit: a list is as fast as a tree, and has nothing to keep in order.
        let (window, device) = self.windows.iter().find(|(window, _)| window.encloses(access))?;
        Some((*device, ipa.offset_from(window.base())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GICD: Target = Target::Gic(gic::Window::Distributor);
    const MARKER: Target = Target::Device(0, DeviceKind::Marker);

    fn range(base: u64, size: u64) -> IpaRange {
        IpaRange::new(Ipa(base), size).unwrap()
    }

    #[test]
    fn finds_by_address() {
        let mut bus = Bus::default();
        bus.add(range(0x800_0000, 0x1_0000), GICD).unwrap();
        bus.add(range(0xb00_0000, 0x1000), MARKER).unwrap();
        assert_eq!(bus.find(Ipa(0x800_0104), 4), Some((GICD, 0x104)));
        assert_eq!(bus.find(Ipa(0xb00_0000), 4), Some((MARKER, 0)));
        assert_eq!(bus.find(Ipa(0x801_0000), 4), None);
        assert_eq!(bus.find(Ipa(0x7ff_ffff), 1), None);
    }

    #[test]
    fn an_access_across_the_end_is_nobodys() {
        let mut bus = Bus::default();
        bus.add(range(0x1000, 0x1000), MARKER).unwrap();
        assert_eq!(bus.find(Ipa(0x1ffc), 4), Some((MARKER, 0xffc)));
        assert_eq!(bus.find(Ipa(0x1ffd), 4), None);
        assert_eq!(bus.find(Ipa(u64::MAX), 8), None);
    }

    #[test]
    fn overlap_is_refused_by_name() {
        let mut bus = Bus::default();
        bus.add(range(0x1000, 0x1000), GICD).unwrap();
        let error = bus.add(range(0x1fff, 0x1000), MARKER).unwrap_err();
        assert_eq!(error.to_string(), "marker at 0x1fff..0x2fff overlaps GICD");
    }

    #[test]
    fn a_full_bus_says_so() {
        let mut bus = Bus::default();
        for i in 0..CAPACITY as u64 {
            bus.add(range(i * 0x1000, 0x1000), MARKER).unwrap();
        }
        let error = bus.add(range(0x10_0000, 1), MARKER).unwrap_err();
        assert_eq!(error, BusError::Full { device: MARKER });
    }

    proptest! {
        #[test]
        fn whatever_was_accepted_is_disjoint(windows in prop::collection::vec((0u64..64, 1u64..16), 0..12)) {
            let mut bus = Bus::default();
            let mut taken: Vec<IpaRange> = Vec::new();
            for (base, size) in windows {
                let window = range(base, size);
                let free = taken.iter().all(|t| !t.overlaps(window)) && taken.len() < CAPACITY;
                prop_assert_eq!(bus.add(window, MARKER).is_ok(), free);
                if free { taken.push(window); }
            }
        }
    }
}
