// SPDX-License-Identifier: BSD-2-Clause
//! Devices that the monitor emulates, one a file. Each sees loads and stores of its own registers
//! and says what a store has to cause; what that means for the guest is the monitor's business.
//!
//! # How to add a device
//!
//! 1. A file beside this one: a type that implements [`Emulated`]. Registers that are not there answer
//!    [`None`] and [`Stored::NOWHERE`]: the guest reads zero, and it is counted. Whatever the guest writes must not lead to a
//!    panic, an index without a bound or a loop without an end.
//! 2. A line in `rooms!` below, and its [`DeviceKind`] in the layout of the plan block.
//! 3. A line in `devices` of `vmm/plan/src/block.rs`: where the guest finds it. What it needs of the
//!    board comes from a table of `board.toml` (`vmm/plan/src/board/facts.rs`), and its node in the
//!    guest's tree from `vmm/plan/src/tree.rs`.
//! 4. Its window in `emulated` of `vmm/plan/src/memory.rs`, or `guestplan` calls the node one that
//!    nobody answers for (`node-unmapped`) and does not see what overlaps it.
//! 5. A test beside it on the fake host, and a conformance guest, which runs on every host.
//!
//! [`rtc`] is a small one to begin with: a real-time clock that reads the board's own. The commit that
//! added it ("A real-time clock: an emulated PL031 with the time of the board's own") has this shape: 106
//! lines in one file here, one line in `rooms!`, one line in `block.rs`. Most of what else is in it is
//! there because this device reads a register of the board: a region with a name, a call of the host, both
//! hosts. A device with an interrupt has no way through the plan yet: no INTID is in its facts.
//!
//! A whole device, with one register of 32 bits that keeps what is stored:
//!
//! ```
//! use vmm_core::devices::{Effect, Emulated, MmioAccess, Stored};
//! use vmm_core::host::Host;
//!
//! #[derive(Clone, Debug, Default)]
//! pub struct Scratch(u32);
//!
//! impl Emulated for Scratch {
//!     fn load(&mut self, _: &mut dyn Host, access: MmioAccess) -> Option<u64> {
//!         // A part of the register, or what is behind it, is nowhere.
//!         (access.offset == 0 && access.size == 4).then_some(self.0.into())
//!     }
//!
//!     fn store(&mut self, _: &mut dyn Host, access: MmioAccess, value: u64) -> Stored {
//!         match u32::try_from(value) {
//!             Ok(value) if access.offset == 0 && access.size == 4 => self.0 = value,
//!             _ => return Stored::NOWHERE,
//!         }
//!         Stored::with(Effect::None)
//!     }
//!
//!     fn reset(&mut self) {
//!         // The next guest must not find what this one left.
//!         *self = Self::default();
//!     }
//! }
//! ```
//!
//! What happens before and after these functions: [`guide::life_of_an_exit`](crate::guide::life_of_an_exit).

use arrayvec::ArrayVec;

use crate::plan::{DeviceKind, MAX_DEVICES, PlanBlock};

mod emulated;
pub mod marker;
pub mod rtc;

pub use self::emulated::{Effect, Emulated, MmioAccess, Stored};

macro_rules! rooms {
    ($($kind:ident: $device:path,)*) => {
        #[derive(Clone, Debug)]
        enum Room {
            $($kind($device),)*
        }

        impl Room {
            fn new(kind: DeviceKind) -> Self {
                match kind {
                    $(DeviceKind::$kind => Self::$kind(<$device>::default()),)*
                }
            }

            fn device(&mut self) -> &mut dyn Emulated {
                match self {
                    $(Self::$kind(device) => device,)*
                }
            }
        }
    };
}

rooms! {
    Marker: marker::Marker,
    Rtc: rtc::Rtc,
}

/// The devices of a guest, in the order of its plan.
#[derive(Clone, Debug)]
pub struct Devices(ArrayVec<Room, MAX_DEVICES>);

impl Devices {
    /// The devices of a plan, as they are before the guest starts.
    #[must_use]
    pub fn of_plan(plan: &PlanBlock<'_>) -> Self {
        Self(plan.devices().map(|device| Room::new(device.kind)).collect())
    }

    /// The n-th device.
    pub fn get(&mut self, index: usize) -> Option<&mut dyn Emulated> {
        self.0.get_mut(index).map(Room::device)
    }

    /// The guest starts anew.
    pub fn reset(&mut self) {
        self.0.iter_mut().for_each(|room| room.device().reset());
    }
}
