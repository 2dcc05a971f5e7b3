// SPDX-License-Identifier: BSD-2-Clause
//! The tables of a board file. Every one must name its source.

use serde::Deserialize;
use vmm_core::addr::Pa;

use crate::firmware::CallRule;
use crate::irq::Trigger;
use crate::span::Span;
use crate::wish::{Accept, Host, Pass, Unowned};

/// Facts of a board.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Name of its folder.
    #[serde(skip)]
    pub name: String,
    /// Short name, as in `nix run .#qemu`.
    pub alias: String,
    /// What people call it.
    pub title: String,
    /// What the root of its device tree is compatible with: a tree without it is another board's.
    pub compatible: String,
    /// Processor.
    pub cpu: Cpu,
    /// Guest RAM.
    pub ram: Ram,
    /// How seL4 Microkit knows it.
    pub microkit: Microkit,
    /// How the bare-metal host lays it out; absent where it does not run.
    pub baremetal: Option<Baremetal>,
    /// Generic timer.
    pub timer: Timer,
    /// Interrupt controllers that the board can have.
    pub gic: Gics,
    /// The UART that the guest owns.
    pub console: Console,
    /// The emulated marker page.
    pub marker: Marker,
    /// What a guest meets at an address that nobody owns, unless it wishes something else.
    #[serde(default)]
    pub unowned: Unowned,
    /// The board's real-time clock, which the monitor reads for the guest's emulated one.
    pub clock: Option<Clock>,
    /// What wakes a parked vCPU on Microkit.
    pub idle: Option<Idle>,
    /// What seeds the guest's random numbers.
    pub seed: Option<Seed>,
    /// Firmware calls.
    pub smc: Smc,
    /// Devices that every guest of this board gets, besides the console.
    #[serde(default)]
    pub pass: Vec<Pass>,
    /// Findings that stop no guest of this board: `rule`, or `rule subject`.
    #[serde(default)]
    pub accept: Vec<Accept>,
}

/// Processor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Its `compatible`.
    pub compatible: String,
    /// Most virtual CPUs.
    pub max_vcpus: u32,
    /// Where that is from.
    pub source: String,
}

/// Guest RAM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ram {
    /// First guest-physical address.
    pub base: u64,
    /// MiB, if nobody says.
    pub default_mib: u64,
    /// Where guest and physical addresses can be equal, the usual place first.
    #[serde(default)]
    pub identity: Vec<Window>,
    /// Where that is from.
    pub source: String,
}

/// A place for guest RAM with equal guest and physical addresses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// Where that is from.
    pub source: String,
}

impl Window {
    /// The same as a range. Numbers of a board file are below 2^63, so that none is cut.
    #[must_use]
    pub fn span(&self) -> Span<Pa> {
        Span::until(Pa(self.base), Pa(self.base.saturating_add(self.size)))
    }
}

/// What the seed of the guest's random numbers is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedKind {
    /// A device tree whose `/chosen/rng-seed` is new at each power-on.
    DeviceTree,
}

/// What seeds the guest's random numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// What is there.
    pub kind: SeedKind,
    /// Physical memory that seL4 neither clears nor gives to anyone else, whole large pages.
    pub memory: Span,
    /// Where that is from.
    pub source: String,
}

/// How seL4 Microkit knows the board.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Microkit {
    /// Its name there.
    pub board: String,
    /// Physical address that the system image is loaded to.
    pub loader_address: u64,
    /// Node below `/reserved-memory` of the SDK's own device tree that keeps memory from the kernel
    /// for virtual machines: what is reserved there is reserved for guests.
    #[serde(default)]
    pub guest_memory: Option<String>,
    /// Where that is from.
    pub source: String,
    /// Physical memory for regions without an address of their own.
    pub memory: Memory,
}

/// A range of physical memory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// First physical address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes of it that the kernel and its initial task keep.
    pub reserve: u64,
    /// Where that is from.
    pub source: String,
}

impl Memory {
    /// The same as a range. Numbers of a board file are below 2^63, so that none is cut.
    #[must_use]
    pub fn span(&self) -> Span<Pa> {
        Span::until(Pa(self.base), Pa(self.base.saturating_add(self.size)))
    }
}

/// How the bare-metal host lays the board out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baremetal {
    /// What the monitor keeps for itself, whole large pages; it is linked at its start, and the plan
    /// block is right behind it.
    pub monitor: Span,
    /// All physical memory, whole GiB; what is not memory, below 4 GiB, is devices.
    pub memory: Span,
    /// Where that is from.
    pub source: String,
}

/// PPIs of the generic timer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timer {
    /// INTID of the secure physical timer.
    pub secure_ppi: u32,
    /// INTID of the EL1 physical timer.
    pub physical_ppi: u32,
    /// INTID of the virtual timer.
    pub virtual_ppi: u32,
    /// INTID of the EL2 physical timer.
    pub hypervisor_ppi: u32,
    /// Where that is from.
    pub source: String,
}

/// Interrupt controllers that a board can have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gics {
    /// INTIDs that the seL4 kernel knows, from 0: a line beyond them cannot be given.
    pub intids: u32,
    /// Where that is from.
    pub source: String,
    /// As a GICv2.
    pub v2: Option<GicV2>,
    /// As a GICv3.
    pub v3: Option<GicV3>,
}

/// A GICv2 with virtualisation extensions (Arm IHI 0048B).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GicV2 {
    /// Hosts that run with it.
    pub hosts: Vec<Host>,
    /// Emulated machines that have it, the usual one first (`tools/machines`).
    pub profiles: Vec<String>,
    /// GICD, the same place for guest and board.
    pub distributor: Span,
    /// GICC as the guest sees it.
    pub cpu_interface: Span,
    /// GICV, which stands behind the guest's GICC.
    pub virtual_cpu_interface: Span,
    /// GICH.
    pub virtual_control: Span,
    /// GICC of the board.
    pub physical_cpu_interface: Span,
    /// Where that is from.
    pub source: String,
}

/// A GICv3, whose CPU interface is in system registers (Arm IHI 0069H).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GicV3 {
    /// Hosts that run with it.
    pub hosts: Vec<Host>,
    /// Emulated machines that have it, the usual one first (`tools/machines`).
    pub profiles: Vec<String>,
    /// GICD, the same place for guest and board.
    pub distributor: Span,
    /// GICR frames of all CPUs, the same place for guest and board.
    pub redistributors: Span,
    /// GICV for GICv2 guests, where the board has one. A GICv3 guest must not get it.
    pub virtual_cpu_interface: Option<Span>,
    /// Where that is from.
    pub source: String,
}

/// A kind of UART that guest and monitor both know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uart {
    /// Arm PL011.
    Pl011,
    /// NXP i.MX UART.
    Imx,
}

/// The UART that the guest owns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// What the monitor drives it as once the guest is stopped.
    pub kind: Uart,
    /// Registers, at the same place for guest and board.
    pub registers: Span,
    /// Its `compatible`.
    pub compatible: Vec<String>,
    /// INTID.
    pub interrupt: u32,
    /// What signals it.
    pub trigger: Trigger,
    /// Rate of the clock that feeds it, in hertz.
    pub clock_hz: u32,
    /// Names of its clocks; one fixed clock stands for all.
    pub clock_names: Vec<String>,
    /// Bits per second.
    pub baud: u32,
    /// Where that is from.
    pub source: String,
}

/// What a real-time clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockKind {
    /// Arm PrimeCell PL031.
    Pl031,
}

/// The board's real-time clock, and where the guest sees its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// What both are.
    pub kind: ClockKind,
    /// The emulated one: a page with nothing behind it.
    pub registers: Span,
    /// The board's, which the monitor reads.
    pub device: Span,
    /// Where that is from.
    pub source: String,
}

/// The emulated marker page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// One page that belongs to nothing on the board.
    pub registers: Span,
    /// Where that is from.
    pub source: String,
}

/// A kind of timer that wakes a parked vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdleKind {
    /// The EL1 physical timer.
    Cntp,
    /// An i.MX general-purpose timer.
    ImxGpt,
}

/// What wakes a parked vCPU on Microkit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    /// Which timer.
    pub kind: IdleKind,
    /// Registers, where it has some.
    pub registers: Option<Span>,
    /// INTID.
    pub interrupt: u32,
    /// What signals it.
    pub trigger: Trigger,
    /// Where that is from.
    pub source: String,
}

/// Firmware calls: every unknown one that no rule names is answered with -1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smc {
    /// Function identifiers that reach more than the guest, so no rule may forward them.
    pub never_forward: Vec<u32>,
    /// Calls that are answered or forwarded.
    #[serde(default)]
    pub rules: Vec<CallRule>,
    /// Where that is from.
    pub source: String,
}
