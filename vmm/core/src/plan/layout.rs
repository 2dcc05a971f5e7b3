// SPDX-License-Identifier: BSD-2-Clause
//! The layout of a plan block: what is written is what is read, field by field. An enumeration is a
//! 32-bit number that has a meaning ([`super::PlanBlock::read`] refuses any other by name).

use core::fmt;

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

use super::text::Text;
use crate::addr::{Ipa, IpaRange};
use crate::ids::{GicVersion, Trigger, VcpuCount};
use crate::uart::Uart;

/// Room for device interrupts: the 62 channels of a Microkit protection domain (0 to 61) less the idle
/// timer's and the first one, which stays free. It is enough for all devices of Debian's arm64 trees
/// but those that Microkit itself cannot serve (SMMUs with 65 to 130 contexts, three HiSilicon parts).
pub const MAX_INTERRUPTS: usize = 60;
/// Room for firmware-call rules.
pub const MAX_RULES: usize = 16;
/// Room for regions: the guest's own are at most 11, and no device of Debian's arm64 trees has more
/// than 18 ranges of registers.
pub const MAX_REGIONS: usize = 32;
/// Room for emulated devices besides the interrupt controller.
pub const MAX_DEVICES: usize = 4;

macro_rules! layout {
    ($(#[$doc:meta])* $kind:ident $name:ident { $($body:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub $kind $name { $($body)* }
    };
}

macro_rules! enumeration {
    ($(#[$doc:meta])* $name:ident, $default:ident { $($body:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(u32)]
        pub enum $name { $($body)* }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }
    };
}

/// A range of guest-physical addresses.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Window {
    /// First guest-physical address.
    pub ipa: u64,
    /// Bytes; zero where there is no such thing.
    pub size: u64,
}

impl Window {
    /// The window as a range. [`super::PlanBlock::read`] has checked that it is one; an unchecked
    /// window that wraps becomes empty.
    #[must_use]
    pub fn range(self) -> IpaRange {
        // Nothing is in a window that is none.
        IpaRange::new(Ipa(self.ipa), self.size).unwrap_or_default()
    }
}

layout! {
    /// The guest's interrupt controller.
    struct GicFacts {
        /// Its programming model.
        pub version: GicVersion,
        /// Number of INTIDs that the distributor has: a multiple of 32 from 64 to 992.
        pub intid_count: u32,
        /// GICD registers.
        pub distributor: Window,
        /// GICR frames, 128 KiB a vCPU (GICv3 only).
        pub redistributors: Window,
    }
}

layout! {
    /// The UART that the guest owns and the monitor writes to while the guest is stopped.
    struct ConsoleFacts {
        /// What it is.
        pub kind: Uart,
        /// Must be zero.
        pub reserved: u32,
        /// Registers, as the guest sees them.
        pub window: Window,
    }
}

enumeration! {
    /// A timer that wakes a parked vCPU at its deadline.
    IdleKind, None {
        /// There is none: vCPUs do not park.
        None = 0,
        /// CNTP of the monitor's own exception level.
        Cntp = 1,
        /// An i.MX general-purpose timer from its 32.768 kHz source.
        ImxGpt = 2,
    }
}

layout! {
    /// What wakes a parked vCPU.
    #[derive(Default)]
    struct IdleTimerFacts {
        /// What it is.
        pub kind: IdleKind,
        /// Microkit channel of its interrupt; unused on bare metal.
        pub channel: u32,
    }
}

enumeration! {
    /// A device that the monitor emulates ([`crate::devices`]).
    DeviceKind, Marker {
        /// The page whose stores make the monitor report.
        Marker = 1,
        /// A real-time clock, Arm PL031.
        Rtc = 2,
    }
}

/// The name that a map and a trace have for it.
impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Marker => "marker",
            Self::Rtc => "rtc",
        })
    }
}

layout! {
    /// A device that the monitor emulates.
    #[derive(Default)]
    struct DeviceFacts {
        /// What it is.
        pub kind: DeviceKind,
        /// Must be zero.
        pub reserved: u32,
        /// Registers, as the guest sees them.
        pub window: Window,
    }
}

layout! {
    /// A device interrupt passed through to the guest.
    #[derive(Default)]
    struct InterruptFacts {
        /// The same INTID for guest and board.
        pub intid: u32,
        /// How its line says that it wants something.
        pub trigger: Trigger,
        /// Microkit channel; unused on bare metal.
        pub channel: u32,
        /// Must be zero.
        pub reserved: u32,
    }
}

enumeration! {
    /// How a firmware call is answered.
    RuleAction, Answer {
        /// The monitor answers with the value.
        Answer = 1,
        /// The monitor makes the call and hands the answer back.
        Forward = 2,
    }
}

layout! {
    /// How one firmware call of the guest is answered.
    #[derive(Default)]
    struct RuleFacts {
        /// SMCCC function identifier (DEN0028F, 2.5).
        pub function: u32,
        /// By whom.
        pub action: RuleAction,
        /// X0 of the answer.
        pub value: u64,
    }
}

enumeration! {
    /// Who reaches a region.
    RegionOwner, Guest {
        /// The guest.
        Guest = 0,
        /// The monitor.
        Monitor = 1,
        /// The guest, and the monitor once the guest is stopped.
        MonitorOnceStopped = 2,
    }
}

enumeration! {
    /// How a region is mapped.
    MemoryKind, Normal {
        /// Memory, cached.
        Normal = 0,
        /// Registers of a device.
        Device = 1,
    }
}

layout! {
    /// One region of guest-physical memory, or of memory that only the monitor sees.
    #[derive(Default)]
    struct RegionFacts {
        /// Guest-physical window.
        pub window: Window,
        /// Physical address, or [`NO_PA`] where the host's kernel chooses.
        pub pa: u64,
        /// Who reaches it.
        pub owner: RegionOwner,
        /// What is there.
        pub kind: MemoryKind,
        /// What it is called in the map.
        pub name: Text<16>,
    }
}

/// [`RegionFacts::pa`] where the host's kernel chooses the place.
pub const NO_PA: u64 = u64::MAX;

enumeration! {
    /// Whose a device of the board's tree is.
    NodeState, Disabled {
        /// Nobody's: `status = "disabled"`.
        Disabled = 0,
        /// Enabled in the board's tree, not given to the guest.
        Enabled = 1,
        /// The guest's: it is mapped, or the monitor emulates it.
        Given = 2,
    }
}

enumeration! {
    /// What the guest's own tree says of a device.
    GuestNode, Absent {
        /// It does not have it.
        Absent = 0,
        /// It has it, and drivers bind to it.
        Enabled = 1,
        /// It has it disabled.
        Disabled = 2,
    }
}

layout! {
    /// A device of the board's own tree, for fault reports: what is at an address that the guest was
    /// not given, and how to come by it.
    struct Node {
        /// Registers, as the CPU addresses them (through `ranges`).
        pub window: Window,
        /// Whose it is.
        pub state: NodeState,
        /// What the guest's own tree says of it.
        pub guest: GuestNode,
        /// Full path, or its tail behind `...`.
        pub path: Text<72>,
        /// The same in the guest's tree; empty if it is not there.
        pub guest_path: Text<72>,
        /// First `compatible`.
        pub compatible: Text<40>,
        /// Kernel option of the driver, without `CONFIG_`; empty if unknown.
        pub option: Text<40>,
    }
}

enumeration! {
    /// What the region `seed` holds.
    SeedKind, None {
        /// There is no such region, and the guest gets no random numbers.
        None = 0,
        /// A device tree with a fresh `/chosen/rng-seed` at each power-on.
        DeviceTree = 1,
    }
}

layout! {
    /// Everything of fixed size. Entries of a table behind those that count are defaults.
    struct Facts {
        /// The board's folder name.
        pub board: Text<32>,
        /// Findings about the plan that were accepted by name; empty if there were none.
        pub accepted: Text<256>,
        /// Virtual CPUs.
        pub vcpus: VcpuCount,
        /// Bits of [`FLAG_TRACE`], [`FLAG_ABORT`] and [`FLAG_SHARED`].
        pub flags: u32,
        /// Guest RAM.
        pub ram: Window,
        /// Place and size of the kernel's file.
        pub kernel: Window,
        /// Place and size of the guest's device tree.
        pub device_tree: Window,
        /// [`super::checksum`] of the guest's device tree: the monitor reads no other.
        pub device_tree_checksum: u64,
        /// Place and size of the initial RAM file system; size zero if there is none.
        pub initrd: Window,
        /// Interrupt controller.
        pub gic: GicFacts,
        /// UART.
        pub console: ConsoleFacts,
        /// What wakes a parked vCPU.
        pub idle_timer: IdleTimerFacts,
        /// Where random numbers come from.
        pub seed: SeedKind,
        /// How many of `devices` count.
        pub device_count: u32,
        /// How many of `interrupts` count.
        pub interrupt_count: u32,
        /// How many of `rules` count.
        pub rule_count: u32,
        /// How many of `regions` count.
        pub region_count: u32,
        /// How many [`Node`]s follow.
        pub node_count: u32,
        /// Emulated devices.
        pub devices: [DeviceFacts; MAX_DEVICES],
        /// Device interrupts.
        pub interrupts: [InterruptFacts; MAX_INTERRUPTS],
        /// Firmware calls.
        pub rules: [RuleFacts; MAX_RULES],
        /// Memory.
        pub regions: [RegionFacts; MAX_REGIONS],
    }
}

/// [`Facts::flags`]: print every exit and host call (for recording traces).
pub const FLAG_TRACE: u32 = 1;
/// [`Facts::flags`]: what touches an address that nobody owns, or jumps there, takes an external
/// abort as on a real machine; without it the guest is stopped.
pub const FLAG_ABORT: u32 = 2;
/// [`Facts::flags`]: virtual CPUs take turns on a core.
pub const FLAG_SHARED: u32 = 4;

impl Facts {
    /// Facts of a board with this name, to be filled in: one virtual CPU and nothing else.
    #[must_use]
    pub fn new(board: &str, gic: GicVersion, console: Uart) -> Self {
        let nothing = Window::default();
        Self {
            board: Text::new(board),
            accepted: Text::default(),
            vcpus: VcpuCount::One,
            flags: 0,
            ram: nothing,
            kernel: nothing,
            device_tree: nothing,
            device_tree_checksum: 0,
            initrd: nothing,
            gic: GicFacts {
                version: gic,
                intid_count: 0,
                distributor: nothing,
                redistributors: nothing,
            },
            console: ConsoleFacts { kind: console, reserved: 0, window: nothing },
            idle_timer: IdleTimerFacts::default(),
            seed: SeedKind::None,
            device_count: 0,
            interrupt_count: 0,
            rule_count: 0,
            region_count: 0,
            node_count: 0,
            devices: [DeviceFacts::default(); MAX_DEVICES],
            interrupts: [InterruptFacts::default(); MAX_INTERRUPTS],
            rules: [RuleFacts::default(); MAX_RULES],
            regions: [RegionFacts::default(); MAX_REGIONS],
        }
    }
}
