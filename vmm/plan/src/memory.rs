// SPDX-License-Identifier: BSD-2-Clause
//! Regions of memory: who owns them, and where they are.

use std::fmt;

use vmm_core::addr::{Ipa, Pa};
pub use vmm_core::gic::v3::REDISTRIBUTOR_SIZE;
pub use vmm_core::plan::RegionName;

use crate::board::{Board, Clock, Gic, Seed};
use crate::closure::Closure;
use crate::error::PlanError;
use crate::filenames::{INITRD_FILE, KERNEL_FILE, PLAN_FILE, TREE_FILE};
use crate::layout::Layout;
use crate::span::{Extent, LARGE_PAGE, PAGE, Size, Span, align_down, align_up};
use crate::wish::{Host, Wish};

/// What a region is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// What the monitor knows by name.
    Known(RegionName),
    /// Registers of a passed device, or anything in a system file of somebody else's making.
    Other(String),
}

impl Label {
    /// The region that `symbol` stands for.
    #[must_use]
    pub fn from_symbol(symbol: &str) -> Self {
        RegionName::from_symbol(symbol).map_or_else(|| Self::Other(symbol.into()), Self::Known)
    }

    /// Its name where the monitor meets it ([`RegionName::symbol`]).
    #[must_use]
    pub fn symbol(&self) -> &str {
        match self {
            Self::Known(name) => name.symbol(),
            Self::Other(symbol) => symbol,
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn title(&self) -> &str {
        let Self::Known(name) = self else { return self.symbol() };
        match name {
            RegionName::Ram => "RAM",
            RegionName::Plan => "plan block",
            RegionName::DeviceTree => "device tree",
            RegionName::Uart => "console UART",
            RegionName::IdleTimer => "idle timer",
            RegionName::Clock => "real-time clock",
            RegionName::Gicd => "GICD",
            RegionName::Gicr => "GICR",
            RegionName::Gicc => "GICC",
            RegionName::Gich => "GICH",
            RegionName::Gicv => "GICC (GICV)",
            RegionName::Kernel | RegionName::Initrd | RegionName::Seed => name.symbol(),
        }
    }
}

impl From<RegionName> for Label {
    fn from(name: RegionName) -> Self {
        Self::Known(name)
    }
}

impl PartialEq<RegionName> for Label {
    fn eq(&self, name: &RegionName) -> bool {
        matches!(self, Self::Known(known) if known == name)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

/// Who may touch a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The guest.
    Guest,
    /// The monitor.
    Monitor,
    /// The guest, and the monitor once the guest is stopped.
    MonitorOnceStopped,
}

impl Owner {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Monitor => "monitor",
            Self::MonitorOnceStopped => "guest; monitor once the guest is stopped",
        }
    }
}

/// What a region is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Normal memory.
    Normal,
    /// Device registers.
    Device,
}

/// One region of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Which one it is.
    pub name: Label,
    /// Guest-physical address; `None` where the guest does not see it.
    pub ipa: Option<Ipa>,
    /// Physical address; `None` where the kernel chooses.
    pub pa: Option<Pa>,
    /// Bytes, whole pages.
    pub size: u64,
    /// Who may touch it.
    pub owner: Owner,
    /// What it is made of.
    pub kind: Kind,
    /// Virtual address in the monitor's protection domain, where it is mapped there.
    pub vaddr: Option<u64>,
    /// What it is filled from.
    pub prefill: Option<Prefill>,
}

/// The file that a region is filled from before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefill {
    /// Its name.
    pub file: String,
    /// Its bytes.
    pub size: u64,
}

impl Region {
    /// Where the guest sees it.
    #[must_use]
    pub fn guest_span(&self) -> Option<Span<Ipa>> {
        Span::new(self.ipa?, self.size)
    }

    /// Where it is on the board.
    #[must_use]
    pub fn physical_span(&self) -> Option<Span<Pa>> {
        Span::new(self.pa?, self.size)
    }
}

/// Bytes set aside for the plan block on bare metal; Microkit takes the file's size.
pub(crate) const BLOCK_SIZE: u64 = 0x4_0000;

/// Where the monitor's protection domain sees things; its own program starts at 2 MiB and the
/// stack is at the top.
mod vaddr {
    pub const PLAN: u64 = 0x1000_0000;
    pub const TREE: u64 = 0x1020_0000;
    pub const UART: u64 = 0x1040_0000;
    pub const IDLE: u64 = 0x1060_0000;
    pub const SEED: u64 = 0x1080_0000;
    pub const CLOCK: u64 = 0x10a0_0000;
    pub const KERNEL: u64 = 0x2000_0000;
    pub const INITRD: u64 = 0x4000_0000;
    pub const RAM: u64 = 0x1_0000_0000;
}

/// What the monitor emulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emulated {
    /// Its name for people.
    pub name: &'static str,
    /// Where the guest sees it.
    pub span: Span<Ipa>,
}

impl Emulated {
    /// Its name within a sentence.
    #[must_use]
    pub fn noun_phrase(&self) -> String {
        let acronym = self.name.chars().all(char::is_uppercase);
        if acronym { self.name.into() } else { format!("the {}", self.name) }
    }
}

/// What the monitor emulates for a guest with that clock and that interrupt controller.
#[must_use]
pub fn emulated(board: &Board, clock: Option<&Clock>, gic: u8, vcpus: u32) -> Vec<Emulated> {
    let at = |name, span: Span| Emulated { name, span: span.ipa() };
    let mut all = vec![at("marker page", board.marker.registers)];
    all.extend(clock.map(|clock| at("real-time clock", clock.registers)));
    match (gic, &board.gic.v2, &board.gic.v3) {
        (2, Some(gic), _) => all.push(at("GICD", gic.distributor)),
        (3, _, Some(gic)) => {
            all.push(at("GICD", gic.distributor));
            all.push(at("GICR", redistributors(gic.redistributors, vcpus)));
        }
        _ => {}
    }
    all
}

/// The frames of the vCPUs that there are.
pub(crate) fn redistributors(all: Span, vcpus: u32) -> Span {
    let size = u64::from(vcpus).saturating_mul(REDISTRIBUTOR_SIZE);
    Span::until(all.base(), all.end().min(all.base().saturating_add(size)))
}

/// What the memory of a guest follows from.
pub(crate) struct Needs<'n> {
    pub board: &'n Board,
    pub wish: &'n Wish,
    pub gic: Gic<'n>,
    pub layout: &'n Layout,
    /// Bytes of the guest's tree.
    pub dtb: u64,
    pub closure: &'n Closure,
}

/// All regions of a guest, physical addresses of normal memory still open.
pub(crate) fn regions(needs: &Needs<'_>) -> Vec<Region> {
    let mut all = images(needs);
    all.extend(machine(needs));
    all.extend(passed(needs.board, needs.closure));
    all
}

fn images(needs: &Needs<'_>) -> Vec<Region> {
    let image = |name: RegionName, file: &str, vaddr, bytes: u64| Region {
        name: name.into(),
        ipa: None,
        pa: None,
        // Large pages where they waste little: one entry of a table stands for 512.
        size: align_up(bytes, if bytes < LARGE_PAGE { PAGE } else { LARGE_PAGE }),
        owner: Owner::Monitor,
        kind: Kind::Normal,
        vaddr: Some(vaddr),
        prefill: Some(Prefill { file: file.into(), size: bytes }),
    };
    let ram = needs.layout.ram;
    let mut all = vec![
        Region {
            name: RegionName::Ram.into(),
            ipa: Some(ram.base()),
            // The same numbers on the board.
            pa: needs.wish.identity.then_some(Pa(ram.base().0)),
            size: ram.size(),
            owner: Owner::Guest,
            kind: Kind::Normal,
            vaddr: Some(vaddr::RAM),
            prefill: None,
        },
        image(RegionName::Plan, PLAN_FILE, vaddr::PLAN, BLOCK_SIZE),
        image(RegionName::Kernel, KERNEL_FILE, vaddr::KERNEL, needs.layout.kernel_file),
        image(RegionName::DeviceTree, TREE_FILE, vaddr::TREE, needs.dtb),
    ];
    let initrd = needs.layout.initrd.size();
    if initrd != 0 {
        all.push(image(RegionName::Initrd, INITRD_FILE, vaddr::INITRD, initrd));
    }
    if let Some(Seed { memory, .. }) = needs.board.seed_for(needs.wish) {
        all.push(Region {
            name: RegionName::Seed.into(),
            ipa: None,
            pa: Some(Pa(memory.base())),
            size: memory.size(),
            owner: Owner::Monitor,
            kind: Kind::Normal,
            vaddr: Some(vaddr::SEED),
            prefill: None,
        });
    }
    all
}

/// Registers at `span` of the board; where the guest sees them, and where the monitor does.
fn device(name: impl Into<Label>, span: Span, owner: Owner) -> Region {
    Region {
        name: name.into(),
        ipa: None,
        pa: Some(Pa(span.base())),
        size: span.size(),
        owner,
        kind: Kind::Device,
        vaddr: None,
        prefill: None,
    }
}

/// Console, interrupt controller, idle timer and real-time clock.
fn machine(needs: &Needs<'_>) -> Vec<Region> {
    let uart = needs.board.console.registers;
    let console = device(RegionName::Uart, uart, Owner::MonitorOnceStopped);
    let mut all = vec![Region { ipa: Some(Ipa(uart.base())), vaddr: Some(vaddr::UART), ..console }];
    let baremetal = needs.wish.host == Host::Baremetal;
    let mut monitor = |name: RegionName, span| all.push(device(name, span, Owner::Monitor));
    match needs.gic {
        Gic::V2(gic) => {
            if baremetal {
                monitor(RegionName::Gicd, gic.distributor);
                monitor(RegionName::Gicc, gic.physical_cpu_interface);
                monitor(RegionName::Gich, gic.virtual_control);
            }
            let gicv = device(RegionName::Gicv, gic.virtual_cpu_interface, Owner::Guest);
            all.push(Region { ipa: Some(Ipa(gic.cpu_interface.base())), ..gicv });
        }
        Gic::V3(gic) if baremetal => {
            monitor(RegionName::Gicd, gic.distributor);
            monitor(RegionName::Gicr, gic.redistributors);
        }
        Gic::V3(_) => {}
    }
    let idle = needs.board.idle_on(needs.wish.host);
    if let Some(span) = idle.and_then(|idle| idle.registers) {
        let timer = device(RegionName::IdleTimer, span, Owner::Monitor);
        all.push(Region { vaddr: Some(vaddr::IDLE), ..timer });
    }
    if let Some(clock) = needs.board.clock_beside(needs.closure.registers()) {
        let registers = device(RegionName::Clock, clock.device, Owner::Monitor);
        all.push(Region { vaddr: Some(vaddr::CLOCK), ..registers });
    }
    all
}

/// Registers of passed devices, rounded to pages; those that share a page or touch are one region.
fn passed(board: &Board, closure: &Closure) -> Vec<Region> {
    let uart = board.console.registers;
    let mut pages: Vec<(Span, &str)> = Vec::new();
    for device in &closure.devices {
        let name = device.path.rsplit('/').next().unwrap_or_default();
        let name = name.split('@').next().unwrap_or_default();
        for span in &device.registers {
            if !uart.encloses(span.pages()) {
                pages.push((span.pages(), name));
            }
        }
    }
    // By address, so that one look back finds what touches.
    pages.sort_by_key(|(span, _)| span.base());
    let mut merged: Vec<(Span, &str)> = Vec::new();
    for (span, name) in pages {
        match merged.last_mut() {
            Some((last, _)) if span.base() <= last.end() => {
                *last = Span::until(last.base(), last.end().max(span.end()));
            }
            _ => merged.push((span, name)),
        }
    }
    let region = |(span, name): (Span, &str)| {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).take(6).collect();
        let name = Label::Other(format!("{name}-{:x}", span.base()));
        Region { ipa: Some(Ipa(span.base())), ..device(name, span, Owner::Guest) }
    };
    merged.into_iter().map(region).collect()
}

/// Gives every piece of normal memory a physical address behind the bare-metal monitor.
pub(crate) fn place(board: &Board, wish: &Wish, regions: &mut [Region]) -> Result<(), PlanError> {
    let facts = board.bare_metal()?;
    let (memory, monitor) = (facts.memory.pa(), facts.monitor.pa());
    let mut next = monitor.end();
    // Guest RAM last: it is the largest. The plan block first, where the monitor looks for it.
    let normal = |region: &&mut Region| region.kind == Kind::Normal;
    let (ram, images): (Vec<_>, Vec<_>) =
        regions.iter_mut().filter(normal).partition(|region| region.name == RegionName::Ram);
    for region in images.into_iter().chain(ram) {
        let base = region.pa.unwrap_or(Pa(align_up(next.0, LARGE_PAGE)));
        // RAM with equal addresses may lie below the monitor as well as behind the images.
        let taken = Span::until(monitor.base(), next);
        let fits = |span: &Span<Pa>| !span.overlaps(taken) && memory.encloses(*span);
        let Some(span) = Span::new(base, region.size).filter(fits) else {
            let end = memory.end();
            let left = Span::until(base.max(next), end).size();
            let is_ram = region.name == RegionName::Ram;
            let way_out = match (is_ram, wish.identity) {
                // The place is as large as asked for: the images lie in it.
                (true, true) => "smaller images, or no --identity".into(),
                (true, false) => most(left, &format!("with these images: memory ends at {end}")),
                (false, _) => format!("smaller images: memory ends at {end}"),
            };
            return Err(PlanError::DoesNotFit {
                thing: if is_ram { "guest RAM".into() } else { format!("region {}", region.name) },
                extent: Extent { base: base.0, size: region.size },
                room: format!("the board's memory ({memory}, {taken} taken)"),
                left,
                way_out,
            });
        };
        region.pa = Some(span.base());
        next = next.max(span.end());
    }
    Ok(())
}

/// Refuses what the kernel cannot have left for a system.
pub(crate) fn check(board: &Board, ram: Span<Ipa>, regions: &[Region]) -> Result<(), PlanError> {
    let memory = &board.microkit.memory;
    let normal = || regions.iter().filter(|region| region.kind == Kind::Normal);
    // The system image holds the files once more (compressed, but by how much is not known here).
    let files: u64 =
        normal().filter_map(|region| region.prefill.as_ref()).map(|prefill| prefill.size).sum();
    let all = memory.span();
    let inside = |region: &&Region| region.physical_span().is_none_or(|span| span.overlaps(all));
    let taken = |of_ram: bool| -> u64 {
        let wanted = normal().filter(|region| (region.name == RegionName::Ram) == of_ram);
        wanted.filter(inside).map(|region| region.size).sum()
    };
    let (wanted, others) = (taken(true), taken(false));
    let left =
        memory.size.saturating_sub(memory.reserve).saturating_sub(files).saturating_sub(others);
    if wanted <= left {
        return Ok(());
    }
    Err(PlanError::DoesNotFit {
        thing: "guest RAM".into(),
        extent: ram.into(),
        room: format!("the board's memory ({})", Size(memory.size)),
        left,
        way_out: most(left, "with these images"),
    })
}

/// The way out of RAM that does not fit where `left` bytes are.
pub(crate) fn most(left: u64, why: &str) -> String {
    match align_down(left, LARGE_PAGE) >> 20 {
        0 => format!("no RAM is left {why}: give smaller images"),
        mib => format!("--ram {mib} is the most {why}"),
    }
}
