// SPDX-License-Identifier: BSD-2-Clause
//! The plan block: the one hand-over from `guestplan` to the monitor.
//!
//! A read-only block of bytes, prefilled beside the images: a [`Header`], the [`Facts`], then
//! [`Node`]s to the end. Little-endian. `guestplan` writes it with [`write()`], the monitor
//! opens it with [`Plan::read`] and refuses a mismatch by name.

use core::fmt;

use zerocopy::{CastError, FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::addr::{Ipa, IpaRange};
use crate::ids::{Intid, MAX_VCPUS};

#[cfg(target_endian = "big")]
compile_error!("the plan block is little-endian, and so is every board that this monitor knows");

/// First eight bytes of every plan block.
pub const MAGIC: [u8; 8] = *b"VMMPLAN\0";

/// Version of the layout below. Any change to a field changes it.
pub const VERSION: u32 = 4;

/// Room for device lines: the 62 channels of a Microkit protection domain (0 to 61) less the idle
/// timer's and the first one, which stays free. It is enough for all devices of Debian's arm64 trees
/// but those that Microkit itself cannot serve (SMMUs with 65 to 130 contexts, three HiSilicon parts).
pub const MAX_LINES: usize = 60;
/// Room for firmware-call rules.
pub const MAX_RULES: usize = 16;
/// Room for regions: the guest's own are at most 11, and no device of Debian's arm64 trees has more
/// than 18 ranges of registers.
pub const MAX_REGIONS: usize = 32;

/// What the block says of itself.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// Bytes of the whole block, header included.
    pub length: u32,
    /// [`checksum`] of everything behind the header.
    pub checksum: u64,
}

/// A short ASCII text, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Text<const N: usize>(pub [u8; N]);

impl<const N: usize> Text<N> {
    /// `text`, cut at `N` bytes; what is not printable ASCII becomes `?`, and so do `"` and `\`,
    /// which would end a string of the JSON report.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; N];
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = if matches!(from, b' '..=b'~') && !matches!(from, b'"' | b'\\') {
                from
            } else {
                b'?'
            };
        }
        Self(bytes)
    }

    /// The text; empty if it is not ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.0.split(|&byte| byte == 0).next().unwrap_or_default();
        if text.is_ascii() { core::str::from_utf8(text).unwrap_or_default() } else { "" }
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A range of guest-physical addresses.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Window {
    /// First guest-physical address.
    pub ipa: u64,
    /// Bytes; zero where there is no such thing.
    pub size: u64,
}

/// The guest's interrupt controller.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct GicFacts {
    /// 2 or 3.
    pub version: u32,
    /// Number of INTIDs that the distributor has: a multiple of 32 from 64 to 992.
    pub lines: u32,
    /// GICD registers.
    pub distributor: Window,
    /// GICR frames, 128 KiB a vCPU (GICv3 only).
    pub redistributors: Window,
}

/// The UART that the guest owns and the monitor writes to while the guest is stopped.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ConsoleFacts {
    /// 1 Arm PL011, 2 i.MX UART ([`crate::uart::Uart::from_number`]).
    pub kind: u32,
    /// Must be zero.
    pub reserved: u32,
    /// Registers, as the guest sees them.
    pub window: Window,
}

/// What wakes a parked vCPU at its deadline.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct IdleTimerFacts {
    /// 0 none (never park), 1 the EL1 physical timer, 2 an i.MX GPT.
    pub kind: u32,
    /// Microkit channel of its interrupt; unused on bare metal.
    pub channel: u32,
}

/// [`IdleTimerFacts::kind`]: vCPUs do not park.
pub const IDLE_NONE: u32 = 0;
/// [`IdleTimerFacts::kind`]: CNTP of the monitor's own exception level.
pub const IDLE_CNTP: u32 = 1;
/// [`IdleTimerFacts::kind`]: an i.MX general-purpose timer from its 32.768 kHz source.
pub const IDLE_IMX_GPT: u32 = 2;

/// A device interrupt passed through to the guest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct LineFacts {
    /// The same INTID for guest and board.
    pub intid: u32,
    /// 0 level, 1 edge.
    pub edge: u32,
    /// Microkit channel; unused on bare metal.
    pub channel: u32,
    /// Must be zero.
    pub reserved: u32,
}

/// How one firmware call of the guest is answered.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RuleFacts {
    /// SMCCC function identifier (DEN0028F, 2.5).
    pub function: u32,
    /// 1 answer with `value`, 2 forward to the firmware.
    pub action: u32,
    /// X0 of the answer.
    pub value: u64,
}

/// [`RuleFacts::action`]: the monitor answers with the value.
pub const RULE_ANSWER: u32 = 1;
/// [`RuleFacts::action`]: the monitor makes the call and hands the answer back.
pub const RULE_FORWARD: u32 = 2;

/// One region of guest-physical memory, or of memory that only the monitor sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RegionFacts {
    /// Guest-physical window.
    pub window: Window,
    /// Physical address, or [`NO_PA`] where the host's kernel chooses.
    pub pa: u64,
    /// 0 guest, 1 monitor, 2 monitor once the guest is stopped (besides the guest).
    pub owner: u32,
    /// 0 normal memory, 1 device memory.
    pub device: u32,
    /// What it is called in the map.
    pub name: Text<16>,
}

/// [`RegionFacts::pa`] where the host's kernel chooses the place.
pub const NO_PA: u64 = u64::MAX;

/// A device of the board's own tree, for fault reports: what is at an address that the guest was
/// not given, and how to come by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Node {
    /// Registers, as the CPU addresses them (through `ranges`).
    pub window: Window,
    /// 0 disabled, 1 enabled in the board's tree; 2 given to the guest.
    pub state: u32,
    /// What the guest's own tree says of it: 0 nothing, 1 enabled, 2 disabled.
    pub guest: u32,
    /// Full path, or its tail behind `...`.
    pub path: Text<72>,
    /// The same in the guest's tree; empty if it is not there.
    pub guest_path: Text<72>,
    /// First `compatible`.
    pub compatible: Text<40>,
    /// Kernel option of the driver, without `CONFIG_`; empty if unknown.
    pub option: Text<40>,
}

/// [`Node::state`]: `status = "disabled"`.
pub const NODE_DISABLED: u32 = 0;
/// [`Node::state`]: enabled in the board's tree, not given to the guest.
pub const NODE_ENABLED: u32 = 1;
/// [`Node::state`]: the guest owns it: it is mapped, or the monitor emulates it.
pub const NODE_GIVEN: u32 = 2;

/// [`Node::guest`]: the guest's tree does not have it.
pub const GUEST_ABSENT: u32 = 0;
/// [`Node::guest`]: the guest's tree has it, and drivers bind to it.
pub const GUEST_ENABLED: u32 = 1;
/// [`Node::guest`]: the guest's tree has it disabled.
pub const GUEST_DISABLED: u32 = 2;

/// Everything of fixed size.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Facts {
    /// The board's folder name.
    pub board: Text<32>,
    /// Findings about the plan that were accepted by name; empty if there were none.
    pub accepted: Text<256>,
    /// Virtual CPUs, 1 to [`MAX_VCPUS`].
    pub vcpus: u32,
    /// Bits of [`FLAG_TRACE`], [`FLAG_ABORT`] and [`FLAG_SHARED`].
    pub flags: u32,
    /// Guest RAM.
    pub ram: Window,
    /// Place and size of the kernel's file.
    pub kernel: Window,
    /// Place and size of the guest's device tree.
    pub device_tree: Window,
    /// [`checksum`] of the guest's device tree: the monitor reads no other.
    pub device_tree_checksum: u64,
    /// Place and size of the initial RAM file system; size zero if there is none.
    pub initrd: Window,
    /// Interrupt controller.
    pub gic: GicFacts,
    /// UART.
    pub console: ConsoleFacts,
    /// The emulated marker page.
    pub marker: Window,
    /// What wakes a parked vCPU.
    pub idle_timer: IdleTimerFacts,
    /// What the region `seed` holds: [`SEED_NONE`] or [`SEED_TREE`].
    pub seed: u32,
    /// Must be zero.
    pub reserved: u32,
    /// How many of `lines` count.
    pub line_count: u32,
    /// How many of `rules` count.
    pub rule_count: u32,
    /// How many of `regions` count.
    pub region_count: u32,
    /// How many [`Node`]s follow.
    pub node_count: u32,
    /// Device interrupts.
    pub lines: [LineFacts; MAX_LINES],
    /// Firmware calls.
    pub rules: [RuleFacts; MAX_RULES],
    /// Memory.
    pub regions: [RegionFacts; MAX_REGIONS],
}

/// [`Facts::flags`]: print every exit and host call (for recording traces).
pub const FLAG_TRACE: u32 = 1;
/// [`Facts::flags`]: what touches an address that nobody owns, or jumps there, takes an external
/// abort as on a real machine; without it the guest is stopped.
pub const FLAG_ABORT: u32 = 2;
/// [`Facts::flags`]: virtual CPUs take turns on a core.
pub const FLAG_SHARED: u32 = 4;

/// [`Facts::seed`]: there is no such region, and the guest gets no random numbers.
pub const SEED_NONE: u32 = 0;
/// [`Facts::seed`]: a device tree with a fresh `/chosen/rng-seed` at each power-on.
pub const SEED_TREE: u32 = 1;

/// Why a plan block is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Shorter than its fixed part, or than it says.
    #[error("the plan block is cut short: {have} bytes of {need}")]
    Short {
        /// Bytes there.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// Where it lies.
    #[error("the plan block does not lie on a multiple of 8 bytes")]
    Alignment,
    /// Something else is in its place.
    #[error("this is not a plan block: no magic word; was the image built with guestplan?")]
    Magic,
    /// Made by another guestplan.
    #[error(
        "the plan block has layout {found}, this monitor reads {VERSION}: build both from one revision"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// Damaged.
    #[error("the plan block is damaged: checksum {found:#x}, should be {should:#x}")]
    Checksum {
        /// As stored.
        found: u64,
        /// As computed.
        should: u64,
    },
    /// A field outside its range.
    #[error("plan block: {field} is {value:#x}, outside {range}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: u64,
        /// What it may hold.
        range: &'static str,
    },
}

/// A checked plan block: every count fits, every window is a range, every enumeration is known.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    facts: &'a Facts,
    nodes: &'a [Node],
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): finds damage, not malice.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    hash(bytes.iter())
}

fn hash<'b>(bytes: impl Iterator<Item = &'b u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Hands the pieces of a plan block to `put`, in order.
pub fn write(facts: &Facts, nodes: &[Node], mut put: impl FnMut(&[u8])) {
    let facts = facts.as_bytes();
    let nodes = nodes.as_bytes();
    let sum = hash(facts.iter().chain(nodes));
    let length = size_of::<Header>().saturating_add(facts.len()).saturating_add(nodes.len());
    let header = Header {
        magic: MAGIC,
        version: VERSION,
        length: u32::try_from(length).unwrap_or(u32::MAX),
        checksum: sum,
    };
    put(header.as_bytes());
    put(facts);
    put(nodes);
}

impl<'a> Plan<'a> {
    /// Opens a plan block. `bytes` may be longer than the block (a page's padding) and must be
    /// aligned to 8.
    ///
    /// # Errors
    /// [`PlanError`] names what is wrong.
    pub fn read(bytes: &'a [u8]) -> Result<Self, PlanError> {
        let fixed = size_of::<Header>().saturating_add(size_of::<Facts>());
        let short = |need| PlanError::Short { have: bytes.len(), need };
        let (header, rest) = Header::ref_from_prefix(bytes).map_err(|error| match error {
            CastError::Alignment(_) if bytes.len() >= fixed => PlanError::Alignment,
            _ => short(fixed),
        })?;
        if header.magic != MAGIC {
            return Err(PlanError::Magic);
        }
        if header.version != VERSION {
            return Err(PlanError::Version { found: header.version });
        }
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let bad_length = PlanError::Field {
            field: "length",
            value: u64::from(header.length),
            range: "the fixed part and a whole number of nodes",
        };
        if length < fixed {
            return Err(bad_length);
        }
        let body = length
            .checked_sub(size_of::<Header>())
            .and_then(|body| rest.get(..body))
            .ok_or(short(length))?;
        let should = checksum(body);
        if header.checksum != should {
            return Err(PlanError::Checksum { found: header.checksum, should });
        }
        let (facts, nodes) = Facts::ref_from_prefix(body).map_err(|_| short(fixed))?;
        let nodes = <[Node]>::ref_from_bytes(nodes).map_err(|_| bad_length)?;
        let plan = Self { facts, nodes };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), PlanError> {
        let facts = self.facts;
        let field = |name, value, ok, range| {
            if ok { Ok(()) } else { Err(PlanError::Field { field: name, value, range }) }
        };
        let count = |name, value: u32, most: usize, range| {
            let fits = usize::try_from(value).is_ok_and(|value| value <= most);
            field(name, u64::from(value), fits, range)
        };
        count("vcpus", facts.vcpus, MAX_VCPUS, "1 to 4")?;
        field("vcpus", 0, facts.vcpus != 0, "1 to 4")?;
        count("line_count", facts.line_count, MAX_LINES, "0 to 60")?;
        count("rule_count", facts.rule_count, MAX_RULES, "0 to 16")?;
        count("region_count", facts.region_count, MAX_REGIONS, "0 to 32")?;
        count("node_count", facts.node_count, self.nodes.len(), "the nodes that follow")?;
        let gic = facts.gic;
        field("gic.version", gic.version.into(), matches!(gic.version, 2 | 3), "2 or 3")?;
        let lines_fit = gic.lines.is_multiple_of(32) && (64..=992).contains(&gic.lines);
        field("gic.lines", gic.lines.into(), lines_fit, "multiples of 32 from 64 to 992")?;
        let uart = crate::uart::Uart::from_number(facts.console.kind).is_some();
        field("console.kind", facts.console.kind.into(), uart, "1 (PL011) or 2 (i.MX)")?;
        let idle = facts.idle_timer.kind;
        field("idle_timer.kind", idle.into(), idle <= IDLE_IMX_GPT, "0, 1 or 2")?;
        field("seed", facts.seed.into(), facts.seed <= SEED_TREE, "0 or 1")?;
        for (name, window) in [
            ("ram", facts.ram),
            ("kernel", facts.kernel),
            ("device_tree", facts.device_tree),
            ("initrd", facts.initrd),
            ("gic.distributor", gic.distributor),
            ("gic.redistributors", gic.redistributors),
            ("console.window", facts.console.window),
            ("marker", facts.marker),
        ] {
            let fits = window.ipa.checked_add(window.size).is_some();
            field(name, window.size, fits, "what is left of the address space")?;
        }
        for line in self.lines() {
            let spi = line.intid >= 32 && line.intid < gic.lines;
            field("line.intid", line.intid.into(), spi, "32 to gic.lines - 1")?;
            field("line.edge", line.edge.into(), line.edge <= 1, "0 or 1")?;
        }
        for rule in self.rules() {
            let known = matches!(rule.action, RULE_ANSWER | RULE_FORWARD);
            field("rule.action", rule.action.into(), known, "1 or 2")?;
        }
        for region in self.regions() {
            let fits = region.window.ipa.checked_add(region.window.size).is_some();
            field("region.size", region.window.size, fits, "what is left of the address space")?;
            field("region.owner", region.owner.into(), region.owner <= 2, "0, 1 or 2")?;
            field("region.device", region.device.into(), region.device <= 1, "0 or 1")?;
        }
        Ok(())
    }

    /// Everything of fixed size.
    #[must_use]
    pub const fn facts(&self) -> &'a Facts {
        self.facts
    }

    /// Device interrupts passed through.
    pub fn lines(&self) -> impl Iterator<Item = &'a LineFacts> + use<'a> {
        self.facts.lines.iter().take(self.facts.line_count as usize)
    }

    /// INTIDs of [`Plan::lines`].
    pub fn intids(&self) -> impl Iterator<Item = Intid> + use<'a> {
        self.lines().filter_map(|line| u16::try_from(line.intid).ok().and_then(Intid::new))
    }

    /// Firmware calls that are not simply unknown.
    pub fn rules(&self) -> impl Iterator<Item = &'a RuleFacts> + use<'a> {
        self.facts.rules.iter().take(self.facts.rule_count as usize)
    }

    /// Memory regions.
    pub fn regions(&self) -> impl Iterator<Item = &'a RegionFacts> + use<'a> {
        self.facts.regions.iter().take(self.facts.region_count as usize)
    }

    /// Devices of the board, by address.
    #[must_use]
    pub fn nodes(&self) -> &'a [Node] {
        self.nodes.get(..self.facts.node_count as usize).unwrap_or(self.nodes)
    }

    /// Whether the guest takes an external abort where nobody owns the address.
    #[must_use]
    pub const fn aborts(&self) -> bool {
        self.facts.flags & FLAG_ABORT != 0
    }

    /// Whether every exit and host call is to be printed.
    #[must_use]
    pub const fn traces(&self) -> bool {
        self.facts.flags & FLAG_TRACE != 0
    }

    /// Whether virtual CPUs take turns on a core.
    #[must_use]
    pub const fn shares_cores(&self) -> bool {
        self.facts.flags & FLAG_SHARED != 0
    }
}

impl Window {
    /// The window as a range. [`Plan::read`] has checked that it is one; an unchecked window that
    /// wraps becomes empty.
    #[must_use]
    pub fn range(self) -> IpaRange {
        IpaRange::new(Ipa(self.ipa), self.size).unwrap_or_default()
    }
}
