// SPDX-License-Identifier: BSD-2-Clause
//! The plan block: the one hand-over from `guestplan` to the monitor.
//!
//! A read-only block of bytes, prefilled beside the images: a [`Header`], the [`Facts`], then
//! [`Node`]s to the end. Little-endian. `guestplan` writes it with [`write()`], the monitor
//! opens it with [`PlanBlock::read`] and refuses a mismatch by name.

use core::mem::offset_of;

use zerocopy::{CastError, FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

use crate::ids::{GicVersion, Intid, Trigger, VcpuCount};
use crate::uart::Uart;

mod layout;
mod region;
mod text;

pub use self::layout::*;
pub use self::region::RegionName;
pub use self::text::Text;

#[cfg(target_endian = "big")]
compile_error!("the plan block is little-endian, and so is every board that this monitor knows");

/// First eight bytes of every plan block.
pub const MAGIC: [u8; 8] = *b"VMMPLAN\0";

/// Version of the layout ([`Facts`], [`Node`]). Any change to a field changes it.
pub const VERSION: u32 = 6;

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

/// A checked plan block: every count fits, every window is a range, every number has a meaning.
#[derive(Clone, Copy, Debug)]
pub struct PlanBlock<'a> {
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

impl<'a> PlanBlock<'a> {
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
        enumerations(body)?;
        let (facts, nodes) = Facts::try_ref_from_prefix(body).map_err(|_| short(fixed))?;
        let nodes = <[Node]>::try_ref_from_bytes(nodes).map_err(|_| bad_length)?;
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
        count("device_count", facts.device_count, MAX_DEVICES, "0 to 4")?;
        count("interrupt_count", facts.interrupt_count, MAX_INTERRUPTS, "0 to 60")?;
        count("rule_count", facts.rule_count, MAX_RULES, "0 to 16")?;
        count("region_count", facts.region_count, MAX_REGIONS, "0 to 32")?;
        count("node_count", facts.node_count, self.nodes.len(), "the nodes that follow")?;
        let gic = facts.gic;
        let there = gic.intid_count;
        let fits = there.is_multiple_of(32) && (64..=992).contains(&there);
        field("gic.intid_count", there.into(), fits, "multiples of 32 from 64 to 992")?;
        for (name, window) in [
            ("ram", facts.ram),
            ("kernel", facts.kernel),
            ("device_tree", facts.device_tree),
            ("initrd", facts.initrd),
            ("gic.distributor", gic.distributor),
            ("gic.redistributors", gic.redistributors),
            ("console.window", facts.console.window),
        ] {
            let fits = window.ipa.checked_add(window.size).is_some();
            field(name, window.size, fits, "what is left of the address space")?;
        }
        let left = "what is left of the address space";
        for DeviceFacts { window, .. } in self.devices() {
            let fits = window.ipa.checked_add(window.size).is_some();
            field("device.window", window.size, fits, left)?;
        }
        for InterruptFacts { intid, .. } in counted(&facts.interrupts, facts.interrupt_count) {
            let spi = (32..gic.intid_count).contains(intid);
            field("interrupt.intid", (*intid).into(), spi, "32 to gic.intid_count - 1")?;
        }
        for RegionFacts { window, .. } in self.regions() {
            let fits = window.ipa.checked_add(window.size).is_some();
            field("region.size", window.size, fits, left)?;
        }
        Ok(())
    }

    /// Everything of fixed size.
    #[must_use]
    pub const fn facts(&self) -> &'a Facts {
        self.facts
    }

    /// Devices that the monitor emulates.
    pub fn devices(&self) -> impl Iterator<Item = &'a DeviceFacts> + use<'a> {
        counted(&self.facts.devices, self.facts.device_count)
    }

    /// The registers of an emulated device, if the guest has it.
    #[must_use]
    pub fn device(&self, kind: DeviceKind) -> Option<Window> {
        self.devices().find(|device| device.kind == kind).map(|device| device.window)
    }

    /// Device interrupts passed through.
    pub fn interrupts(&self) -> impl Iterator<Item = Interrupt> + use<'a> {
        let all = counted(&self.facts.interrupts, self.facts.interrupt_count);
        // `check` has seen that each is an SPI: none is lost here.
        all.filter_map(|facts| {
            let intid = u16::try_from(facts.intid).ok().and_then(Intid::new)?;
            Some(Interrupt { intid, trigger: facts.trigger, channel: facts.channel })
        })
    }

    /// Firmware calls that are not simply unknown.
    pub fn rules(&self) -> impl Iterator<Item = &'a RuleFacts> + use<'a> {
        counted(&self.facts.rules, self.facts.rule_count)
    }

    /// Memory regions.
    pub fn regions(&self) -> impl Iterator<Item = &'a RegionFacts> + use<'a> {
        counted(&self.facts.regions, self.facts.region_count)
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

/// A device interrupt passed through to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// The same for guest and board.
    pub intid: Intid,
    /// How its line says that it wants something.
    pub trigger: Trigger,
    /// Microkit channel; unused on bare metal.
    pub channel: u32,
}

/// The entries of a table that count.
fn counted<T>(table: &[T], count: u32) -> impl Iterator<Item = &T> {
    table.iter().take(count as usize)
}

/// Refuses a number that stands for nothing, by the name of its field: zerocopy would only say that
/// there is one.
fn enumerations(body: &[u8]) -> Result<(), PlanError> {
    let facts = Words { bytes: body };
    facts.have::<VcpuCount>("vcpus", offset_of!(Facts, vcpus), "1 to 4")?;
    facts.have::<GicVersion>("gic.version", offset_of!(Facts, gic.version), "2 or 3")?;
    facts.have::<Uart>("console.kind", offset_of!(Facts, console.kind), "1 (PL011) or 2 (i.MX)")?;
    facts.have::<IdleKind>("idle_timer.kind", offset_of!(Facts, idle_timer.kind), "0, 1 or 2")?;
    facts.have::<SeedKind>("seed", offset_of!(Facts, seed), "0 or 1")?;
    for device in facts.table::<DeviceFacts>(offset_of!(Facts, devices), MAX_DEVICES) {
        device.have::<DeviceKind>(
            "device.kind",
            offset_of!(DeviceFacts, kind),
            "1 (marker) or 2 (rtc)",
        )?;
    }
    for interrupt in facts.table::<InterruptFacts>(offset_of!(Facts, interrupts), MAX_INTERRUPTS) {
        let at = offset_of!(InterruptFacts, trigger);
        interrupt.have::<Trigger>("interrupt.trigger", at, "0 (level) or 1 (edge)")?;
    }
    for rule in facts.table::<RuleFacts>(offset_of!(Facts, rules), MAX_RULES) {
        rule.have::<RuleAction>("rule.action", offset_of!(RuleFacts, action), "1 or 2")?;
    }
    for region in facts.table::<RegionFacts>(offset_of!(Facts, regions), MAX_REGIONS) {
        region.have::<RegionOwner>("region.owner", offset_of!(RegionFacts, owner), "0, 1 or 2")?;
        region.have::<MemoryKind>("region.kind", offset_of!(RegionFacts, kind), "0 or 1")?;
    }
    for node in facts.table::<Node>(size_of::<Facts>(), usize::MAX) {
        node.have::<NodeState>("node.state", offset_of!(Node, state), "0, 1 or 2")?;
        node.have::<GuestNode>("node.guest", offset_of!(Node, guest), "0, 1 or 2")?;
    }
    Ok(())
}

/// Bytes that nobody has looked at.
struct Words<'b> {
    bytes: &'b [u8],
}

impl<'b> Words<'b> {
    /// Whether the 32-bit number at an offset is one of `E`. What is not there is found elsewhere.
    fn have<E: TryFromBytes>(
        &self,
        field: &'static str,
        at: usize,
        range: &'static str,
    ) -> Result<(), PlanError> {
        let word = self.bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
        match word.filter(|word| E::try_read_from_bytes(*word).is_err()) {
            None => Ok(()),
            Some(word) => {
                let value = u32::from_le_bytes(*word).into();
                Err(PlanError::Field { field, value, range })
            }
        }
    }

    /// The entries of a table at an offset.
    fn table<T>(&self, at: usize, count: usize) -> impl Iterator<Item = Self> + use<'b, T> {
        // Behind the block there are no entries.
        let table = self.bytes.get(at..).unwrap_or_default();
        table.chunks_exact(size_of::<T>()).take(count).map(|bytes| Self { bytes })
    }
}
