// SPDX-License-Identifier: BSD-2-Clause
//! Regions that the monitor knows by name.

use super::RegionFacts;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $symbol:literal,)*) => {
        /// A region that the monitor knows by name. The one list of them: the planner writes these
        /// symbols into the system file and the plan block, and the hosts ask with them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RegionName {
            $($(#[$doc])* $name,)*
        }

        impl RegionName {
            /// Each of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name where programs meet: in the system file, in the plan block, and before
            /// `_vaddr` in the monitor's symbols. At most 16 bytes.
            #[must_use]
            pub const fn symbol(self) -> &'static str {
                match self {
                    $(Self::$name => $symbol,)*
                }
            }
        }
    };
}

names! {
    /// Guest RAM.
    Ram = "ram",
    /// The plan block.
    Plan = "plan",
    /// The kernel, as it came.
    Kernel = "kernel",
    /// The guest's device tree, as it was made.
    DeviceTree = "dtb",
    /// The initial RAM file system, as it came.
    Initrd = "initrd",
    /// What seeds the guest's random numbers.
    Seed = "seed",
    /// The console's registers.
    Uart = "uart",
    /// Registers of the timer that wakes a parked vCPU.
    IdleTimer = "idle",
    /// Registers of the board's real-time clock.
    Clock = "rtc",
    /// Distributor.
    Gicd = "gicd",
    /// Redistributors (GICv3).
    Gicr = "gicr",
    /// CPU interface of the board (GICv2).
    Gicc = "gicc",
    /// Registers of list registers (GICv2).
    Gich = "gich",
    /// Virtual CPU interface (GICv2).
    Gicv = "gicv",
}

impl RegionName {
    /// The region that `symbol` stands for; `None` for one that only has a place.
    #[must_use]
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|name| name.symbol() == symbol)
    }
}

impl RegionFacts {
    /// Whether it is the region of that name.
    #[must_use]
    pub fn is(&self, name: RegionName) -> bool {
        self.name.as_str() == name.symbol()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Text;

    #[test]
    fn each_symbol_fits_a_plan_block_and_names_one_region() {
        for &name in RegionName::ALL {
            assert_eq!(RegionName::from_symbol(name.symbol()), Some(name));
            let facts = RegionFacts { name: Text::new(name.symbol()), ..RegionFacts::default() };
            let is: [bool; 14] = core::array::from_fn(|n| facts.is(RegionName::ALL[n]));
            assert_eq!(is.iter().filter(|is| **is).count(), 1, "{name:?}");
            assert!(facts.is(name));
        }
        assert_eq!(RegionName::ALL.len(), 14);
        assert_eq!(RegionName::from_symbol("npu-38500000"), None);
    }
}
