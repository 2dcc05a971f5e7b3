// SPDX-License-Identifier: BSD-2-Clause
//! Regions of memory: who owns them, and where they are.

use crate::board::Seed;
use crate::closure::Closure;
use crate::error::PlanError;
use crate::files::{INITRD_FILE, KERNEL_FILE, PLAN_FILE, TREE_FILE};
use crate::plan::Plan;
use crate::span::{LARGE_PAGE, PAGE, Size, Span, align_down, align_up, length};
use crate::wish::Host;

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
    /// Its name: in the system file, in the map, and before `_vaddr` in the monitor's symbols.
    pub name: String,
    /// Guest-physical address; `None` where the guest does not see it.
    pub ipa: Option<u64>,
    /// Physical address; `None` where the kernel chooses.
    pub pa: Option<u64>,
    /// Bytes, whole pages.
    pub size: u64,
    /// Who may touch it.
    pub owner: Owner,
    /// What it is made of.
    pub kind: Kind,
    /// Virtual address in the monitor's protection domain, where it is mapped there.
    pub vaddr: Option<u64>,
    /// File that it is filled from, and the file's bytes.
    pub prefill: Option<(String, u64)>,
}

impl Region {
    /// Where the guest sees it.
    #[must_use]
    pub fn guest_span(&self) -> Option<Span> {
        self.ipa.map(|ipa| Span::new(ipa, self.size))
    }

    /// Where it is on the board.
    #[must_use]
    pub fn physical_span(&self) -> Option<Span> {
        self.pa.map(|pa| Span::new(pa, self.size))
    }
}

/// Bytes set aside for the plan block on bare metal; Microkit takes the file's size.
const BLOCK_SIZE: u64 = 0x4_0000;

/// Where the monitor's protection domain sees things; its own program starts at 2 MiB and the
/// stack is at the top.
mod vaddr {
    pub const PLAN: u64 = 0x1000_0000;
    pub const TREE: u64 = 0x1020_0000;
    pub const UART: u64 = 0x1040_0000;
    pub const IDLE: u64 = 0x1060_0000;
    pub const SEED: u64 = 0x1080_0000;
    pub const KERNEL: u64 = 0x2000_0000;
    pub const INITRD: u64 = 0x4000_0000;
    pub const RAM: u64 = 0x1_0000_0000;
}

/// All regions of a plan, physical addresses of normal memory still open.
pub(crate) fn regions(plan: &Plan, closure: &Closure) -> Vec<Region> {
    let mut all = images(plan);
    all.extend(machine(plan));
    all.extend(passed(plan, closure));
    all
}

fn images(plan: &Plan) -> Vec<Region> {
    let image = |name: &str, file: &str, vaddr, bytes: u64| Region {
        name: name.into(),
        ipa: None,
        pa: None,
        size: align_up(bytes, if bytes < LARGE_PAGE { PAGE } else { LARGE_PAGE }),
        owner: Owner::Monitor,
        kind: Kind::Normal,
        vaddr: Some(vaddr),
        prefill: Some((file.into(), bytes)),
    };
    let ram = plan.layout.ram;
    let mut all = vec![
        Region {
            name: "ram".into(),
            ipa: Some(ram.base),
            pa: plan.wish.identity.then_some(ram.base),
            size: ram.size,
            owner: Owner::Guest,
            kind: Kind::Normal,
            vaddr: Some(vaddr::RAM),
            prefill: None,
        },
        image("plan", PLAN_FILE, vaddr::PLAN, BLOCK_SIZE),
        image("kernel", KERNEL_FILE, vaddr::KERNEL, plan.layout.kernel_file),
        image("dtb", TREE_FILE, vaddr::TREE, length(&plan.dtb)),
    ];
    if plan.layout.initrd.size != 0 {
        all.push(image("initrd", INITRD_FILE, vaddr::INITRD, plan.layout.initrd.size));
    }
    if let Some(Seed { memory, .. }) = plan.seed() {
        all.push(Region {
            name: "seed".into(),
            ipa: None,
            pa: Some(memory.base),
            size: memory.size,
            owner: Owner::Monitor,
            kind: Kind::Normal,
            vaddr: Some(vaddr::SEED),
            prefill: None,
        });
    }
    all
}

fn device(name: &str, ipa: Option<u64>, span: Span, owner: Owner, vaddr: Option<u64>) -> Region {
    let (pa, size) = (Some(span.base), span.size);
    Region { name: name.into(), ipa, pa, size, owner, kind: Kind::Device, vaddr, prefill: None }
}

/// Console, interrupt controller and idle timer.
fn machine(plan: &Plan) -> Vec<Region> {
    let board = &plan.board;
    let uart = board.console.registers;
    let mut all =
        vec![device("uart", Some(uart.base), uart, Owner::MonitorOnceStopped, Some(vaddr::UART))];
    let baremetal = plan.wish.host == Host::Baremetal;
    let mut monitor = |name, span| all.push(device(name, None, span, Owner::Monitor, None));
    match (plan.gic, &board.gic.v2, &board.gic.v3) {
        (2, Some(gic), _) => {
            if baremetal {
                monitor("gicd", gic.distributor);
                monitor("gicc", gic.physical_cpu_interface);
                monitor("gich", gic.virtual_control);
            }
            let ipa = Some(gic.cpu_interface.base);
            all.push(device("gicv", ipa, gic.virtual_cpu_interface, Owner::Guest, None));
        }
        (3, _, Some(gic)) if baremetal => {
            monitor("gicd", gic.distributor);
            monitor("gicr", gic.redistributors);
        }
        _ => {}
    }
    if let Some(span) = plan.idle().and_then(|idle| idle.registers) {
        all.push(device("idle", None, span, Owner::Monitor, Some(vaddr::IDLE)));
    }
    all
}

/// Registers of passed devices, rounded to pages; those that share a page or touch are one region.
fn passed(plan: &Plan, closure: &Closure) -> Vec<Region> {
    let uart = plan.board.console.registers;
    let mut pages: Vec<(Span, &str)> = Vec::new();
    for device in &closure.devices {
        let name = device.path.rsplit('/').next().unwrap_or_default();
        let name = name.split('@').next().unwrap_or_default();
        for span in &device.registers {
            let base = align_down(span.base, PAGE);
            let pages_of = Span::new(base, align_up(span.end(), PAGE).saturating_sub(base));
            if !uart.encloses(pages_of) {
                pages.push((pages_of, name));
            }
        }
    }
    pages.sort_by_key(|(span, _)| span.base);
    let mut merged: Vec<(Span, &str)> = Vec::new();
    for (span, name) in pages {
        match merged.last_mut() {
            Some((last, _)) if span.base <= last.end() => {
                last.size = last.size.max(span.end().saturating_sub(last.base));
            }
            _ => merged.push((span, name)),
        }
    }
    let region = |(span, name): (Span, &str)| {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).take(6).collect();
        device(&format!("{name}-{:x}", span.base), Some(span.base), span, Owner::Guest, None)
    };
    merged.into_iter().map(region).collect()
}

/// Gives every piece of normal memory a physical address behind the bare-metal monitor.
pub(crate) fn place(plan: &mut Plan) -> Result<(), PlanError> {
    let Some(facts) = plan.board.baremetal.as_ref() else {
        return Err(PlanError::BoardLacks {
            board: plan.board.name.clone(),
            what: "no [baremetal] facts, so the bare-metal host does not run on it".into(),
        });
    };
    let start = facts.monitor.base;
    let mut next = facts.monitor.end();
    // Guest RAM last: it is the largest. The plan block first, where the monitor looks for it.
    let normal = |region: &&mut Region| region.kind == Kind::Normal;
    let (ram, images): (Vec<_>, Vec<_>) =
        plan.regions.iter_mut().filter(normal).partition(|region| region.name == "ram");
    for region in images.into_iter().chain(ram) {
        let span = Span::new(region.pa.unwrap_or(align_up(next, LARGE_PAGE)), region.size);
        // RAM with equal addresses may lie below the monitor as well as behind the images.
        let taken = Span::new(start, next.saturating_sub(start));
        if span.size != region.size || span.overlaps(taken) || !facts.memory.encloses(span) {
            let end = facts.memory.end();
            let left = end.saturating_sub(span.base.max(next));
            let is_ram = region.name == "ram";
            let way_out = match (is_ram, plan.wish.identity) {
                // The place is as large as asked for: the images lie in it.
                (true, true) => "smaller images, or no --identity".into(),
                (true, false) => most(left, &format!("with these images: memory ends at {end:#x}")),
                (false, _) => format!("smaller images: memory ends at {end:#x}"),
            };
            return Err(PlanError::DoesNotFit {
                what: if is_ram { "guest RAM".into() } else { format!("region {}", region.name) },
                span: Span { base: span.base, size: region.size },
                place: format!("the board's memory ({}, {taken} taken)", facts.memory),
                left,
                way_out,
            });
        }
        region.pa = Some(span.base);
        next = next.max(span.end());
    }
    Ok(())
}

/// Refuses what the kernel cannot have left for a system.
pub(crate) fn check(plan: &Plan) -> Result<(), PlanError> {
    let memory = &plan.board.microkit.memory;
    let regions = || plan.regions.iter().filter(|region| region.kind == Kind::Normal);
    // The system image holds the files once more (compressed, but by how much is not known here).
    let files: u64 =
        regions().filter_map(|region| region.prefill.as_ref()).map(|(_, bytes)| *bytes).sum();
    let all = Span::new(memory.base, memory.size);
    let inside = |region: &&Region| region.physical_span().is_none_or(|span| span.overlaps(all));
    let others: u64 = regions()
        .filter(|region| region.name != "ram")
        .filter(inside)
        .map(|region| region.size)
        .sum();
    let ram = plan.region("ram").filter(|region| inside(region)).map_or(0, |region| region.size);
    let left =
        memory.size.saturating_sub(memory.reserve).saturating_sub(files).saturating_sub(others);
    if ram <= left {
        return Ok(());
    }
    Err(PlanError::DoesNotFit {
        what: "guest RAM".into(),
        span: plan.layout.ram,
        place: format!("the board's memory ({})", Size(memory.size)),
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
