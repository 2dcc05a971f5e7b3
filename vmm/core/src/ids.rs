// SPDX-License-Identifier: BSD-2-Clause
//! Numbers that name things: virtual CPUs, interrupts, registers. Everything else builds on these.

use core::fmt;

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Number of a virtual CPU, 0 to [`MAX_VCPUS`]` - 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vcpu(pub u8);

/// Most virtual CPUs that a guest can have.
pub const MAX_VCPUS: usize = 4;

impl Vcpu {
    /// The number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Its bit in a set of vCPUs.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1_u8.wrapping_shl(self.0 as u32)
    }
}

impl fmt::Display for Vcpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vcpu{}", self.0)
    }
}

/// How many virtual CPUs a guest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u32)]
pub enum VcpuCount {
    /// 1.
    One = 1,
    /// 2.
    Two = 2,
    /// 3.
    Three = 3,
    /// 4: [`MAX_VCPUS`].
    Four = 4,
}

impl VcpuCount {
    /// So many, if a guest can have as many.
    #[must_use]
    pub fn new(count: u32) -> Option<Self> {
        Self::try_read_from_bytes(&count.to_le_bytes()).ok()
    }

    /// 1 to 4.
    #[must_use]
    pub const fn get(self) -> u8 {
        self as u8
    }

    /// Each of them, vCPU 0 first.
    pub fn each(self) -> impl Iterator<Item = Vcpu> {
        (0..self.get()).map(Vcpu)
    }
}

/// Which programming model of the Arm Generic Interrupt Controller a guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u32)]
pub enum GicVersion {
    /// GICv2 (Arm IHI 0048B).
    V2 = 2,
    /// GICv3 (Arm IHI 0069H): one security state, affinity routing always on, no LPIs.
    V3 = 3,
}

impl GicVersion {
    /// The model of this number.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        Self::try_read_from_bytes(&number.to_le_bytes()).ok()
    }
}

/// Its number.
impl fmt::Display for GicVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", *self as u32)
    }
}

/// How the line of a device's interrupt says that the device wants something.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(u32)]
pub enum Trigger {
    /// It is high for as long as that is so.
    #[default]
    Level = 0,
    /// It rises.
    Edge = 1,
}

/// In lower case.
impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Level => "level",
            Self::Edge => "edge",
        })
    }
}

/// Interrupt identifier, 0 to 1019: SGI 0-15, PPI 16-31, SPI 32-1019 (Arm IHI 0048B, 2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Intid(u16);

impl Intid {
    /// The virtual timer's PPI (Arm BSA, 3.8.1).
    pub const VIRTUAL_TIMER: Self = Self(27);

    /// The identifier `number`, or `None` from 1020 on: those are special (IHI 0048B, 2.2.1).
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < 1020 { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether each vCPU has its own copy (SGIs and PPIs).
    #[must_use]
    pub const fn is_private(self) -> bool {
        self.0 < 32
    }
}

impl fmt::Display for Intid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..=15 => write!(f, "SGI {}", self.0),
            16..=31 => write!(f, "PPI {}", self.0),
            _ => write!(f, "SPI {} (INTID {})", self.0.wrapping_sub(32), self.0),
        }
    }
}

/// A general-purpose register that exists: X0 to X30. Number 31 is the zero register and never
/// reaches a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gpr(u8);

impl Gpr {
    /// X0: first argument and result of a call.
    pub const X0: Self = Self(0);
    /// X30, the link register.
    pub const X30: Self = Self(30);
    /// X0 to X7: the arguments of a call (DEN0028F, 2.6).
    pub const ARGUMENTS: [Self; 8] =
        [Self(0), Self(1), Self(2), Self(3), Self(4), Self(5), Self(6), Self(7)];

    /// Register X`number`, or `None` from 31 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 31 { Some(Self(number)) } else { None }
    }

    /// 0 to 30.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}
