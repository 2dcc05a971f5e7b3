// SPDX-License-Identifier: BSD-2-Clause
//! The plan: every region with its owner, every interrupt with its channel, every image with its
//! place. The files are written from it and from nothing else.

use dtoolkit::model::DeviceTree;
use vmm_core::addr::{Ipa, Pa};
use vmm_core::plan::{MAX_INTERRUPTS, MAX_REGIONS, MAX_RULES};

use crate::board::{Board, Clock, Gic, Idle, Seed, Window};
use crate::closure::{Closure, Device, Missing, Unplanned};
use crate::dt::{self, Cells, Tree};
use crate::error::PlanError;
use crate::finding::Rule;
use crate::firmware::CallRule;
use crate::image::Images;
use crate::initramfs::{Unpacked, unpacked};
use crate::irq::{FIRST_SPI, GicInterrupt, Line};
use crate::layout::Layout;
use crate::memory::{self, Emulated, Needs, Region, RegionName};
use crate::span::{Extent, Span, length};
use crate::tree;
use crate::wish::{Host, Wish};

/// Everything that a guest needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Facts of the board.
    pub board: Board,
    /// The board's own tree, where one was given.
    pub board_tree: Option<Tree>,
    /// What was asked for.
    pub wish: Wish,
    /// GIC version.
    pub gic: u8,
    /// INTIDs that the guest's distributor has.
    pub intids: u32,
    /// Places in guest RAM.
    pub layout: Layout,
    /// All memory.
    pub regions: Vec<Region>,
    /// Device interrupts.
    pub lines: Vec<Line>,
    /// Microkit channel of the idle timer.
    pub idle_channel: u32,
    /// What passed nodes need and do not get.
    pub missing: Vec<Missing>,
    /// What of them cannot be planned.
    pub unplanned: Vec<Unplanned>,
    /// Errors that were accepted: rule and subject ([`Checked`](crate::Checked) finds them).
    pub accepted: Vec<String>,
    /// The guest's tree.
    pub tree: DeviceTree,
    /// The guest's tree, flattened.
    pub dtb: Vec<u8>,
    /// The images.
    pub images: Images,
}

/// Channel of the idle timer; device lines follow.
const IDLE_CHANNEL: u32 = 1;

impl Plan {
    /// Plans a guest from board facts alone.
    ///
    /// # Errors
    /// [`PlanError`] names what is missing, wrong or too big.
    pub fn new(board: &Board, wish: &Wish, images: Images) -> Result<Self, PlanError> {
        Self::with_tree(board, wish, images, None)
    }

    /// Plans a guest from board facts and the board's own device tree, which devices that are
    /// passed through come from.
    ///
    /// # Errors
    /// [`PlanError`] names what is missing, wrong or too big.
    pub fn with_tree(
        board: &Board,
        wish: &Wish,
        images: Images,
        board_tree: Option<Tree>,
    ) -> Result<Self, PlanError> {
        let gic = board.gic_for(wish.host, wish.gic)?;
        check_wish(board, wish)?;
        check_initrd(&images)?;
        // Images before devices: where the tree goes follows from the kernel's size, not from its own.
        let layout = Layout::new(guest_ram(board, wish)?, &images)?;
        // The board's first: of two for one node the later one, the wish's, counts.
        let passes: Vec<_> = board.pass.iter().chain(&wish.pass).cloned().collect();
        let closure = match (&board_tree, passes.first()) {
            (Some(tree), _) => Closure::new(tree, &passes)?,
            (None, None) => Closure::default(),
            (None, Some(pass)) => {
                return Err(PlanError::Wish {
                    asked: "a node to pass through",
                    value: format!("'{}'", pass.node),
                    range: "in the board's device tree, and none was given (--tree FILE)".into(),
                });
            }
        };
        check_root(board, &layout, closure.cells)?;
        let tree = match &images.dtb {
            Some(dtb) => tree::given(dt::read("given for the guest", dtb)?.0, board, &layout, wish),
            None => tree::guest(board, wish, gic, &layout, &closure),
        };
        let dtb = tree.to_dtb();
        if length(&dtb) > layout.tree.size() {
            return Err(PlanError::DoesNotFit {
                thing: "the device tree".into(),
                extent: Extent { base: layout.tree.base().0, size: length(&dtb) },
                room: "2 MiB (booting.rst)".into(),
                left: layout.tree.size(),
                way_out: "pass fewer nodes through".into(),
            });
        }
        // Behind the tree: the monitor has a copy of it in a region of that size.
        let needs =
            Needs { board, wish, gic, layout: &layout, dtb: length(&dtb), closure: &closure };
        let mut regions = memory::regions(&needs);
        match wish.host {
            Host::Microkit => memory::check(board, layout.ram, &regions)?,
            Host::Baremetal => memory::place(board, wish, &mut regions)?,
        }
        let lines = lines(board, &closure);
        let last = lines.iter().map(|line| line.intid).max().unwrap_or(0);
        let mut plan = Self {
            board: board.clone(),
            board_tree,
            wish: wish.clone(),
            gic: gic.version(),
            // GICD_TYPER counts in 32s (Arm IHI 0048B, 4.3.2), and the monitor has at least one of SPIs.
            intids: last.saturating_add(1).next_multiple_of(32).max(64),
            layout,
            regions,
            lines,
            idle_channel: IDLE_CHANNEL,
            missing: closure.missing.clone(),
            unplanned: closure.unplanned.clone(),
            accepted: Vec::new(),
            tree,
            dtb,
            images,
        };
        plan.unplanned.extend(too_large(&plan, &closure));
        Ok(plan)
    }

    /// What wakes a parked vCPU; bare metal has a timer of its own.
    #[must_use]
    pub fn idle(&self) -> Option<&Idle> {
        self.board.idle_on(self.wish.host)
    }

    /// What seeds the guest's random numbers.
    #[must_use]
    pub fn seed(&self) -> Option<&Seed> {
        self.board.seed_for(&self.wish)
    }

    /// Whether virtual CPUs take turns on a core; on bare metal each has its own.
    #[must_use]
    pub fn shares_cores(&self) -> bool {
        self.wish.host == Host::Microkit && self.wish.vcpus > self.wish.cores
    }

    /// Firmware calls that are answered or forwarded: the wish's own rules before the board's.
    pub fn rules(&self) -> impl Iterator<Item = &CallRule> {
        let mine = &self.wish.rules;
        let unnamed = |rule: &&CallRule| mine.iter().all(|own| own.function != rule.function);
        mine.iter().chain(self.board.smc.rules.iter().filter(unnamed))
    }

    /// The board's clock, if the guest has an emulated one that shows its time.
    #[must_use]
    pub fn clock(&self) -> Option<&Clock> {
        self.board.clock.as_ref().filter(|_| self.region(RegionName::Clock).is_some())
    }

    /// What the monitor emulates.
    #[must_use]
    pub fn emulated(&self) -> Vec<Emulated> {
        memory::emulated(&self.board, self.clock(), self.gic, self.wish.vcpus)
    }

    /// The region of that name.
    #[must_use]
    pub fn region(&self, name: RegionName) -> Option<&Region> {
        self.regions.iter().find(|region| region.name == name)
    }

    /// The emulated machines that run this plan (files in `tools/machines`), the usual one first.
    #[must_use]
    pub fn profiles(&self) -> Vec<String> {
        let gic = self.board.gics().find(|gic| gic.version() == self.gic);
        gic.map_or_else(Vec::new, |gic: Gic<'_>| gic.profiles().to_vec())
    }
}

/// A table of the plan block.
struct Table {
    /// Its entries.
    entries: &'static str,
    count: usize,
    room: usize,
    /// How many of them the device with the most has.
    most: String,
    way_out: String,
}

/// What the plan block has no room for.
fn too_large(plan: &Plan, closure: &Closure) -> Vec<Unplanned> {
    let most = |count: fn(&Device) -> usize| {
        let device = closure.devices.iter().max_by_key(|device| count(device));
        device.map_or(String::new(), |device| format!(", {} of {}", count(device), device.path))
    };
    let fewer = "pass fewer devices through";
    let tables = [
        Table {
            entries: "device interrupts",
            count: plan.lines.len(),
            room: MAX_INTERRUPTS,
            most: most(|device| device.interrupts.len()),
            way_out: format!("{fewer}: Microkit has no more channels for a protection domain"),
        },
        Table {
            entries: "regions",
            count: plan.regions.len(),
            room: MAX_REGIONS,
            most: most(|device| device.registers.len()),
            way_out: format!("{fewer}, or raise MAX_REGIONS in vmm/core/src/plan/layout.rs and build again"),
        },
        Table {
            entries: "firmware-call rules",
            count: plan.rules().count(),
            room: MAX_RULES,
            most: String::new(),
            way_out: "fewer of --answer, --forward and [[smc.rules]], or raise MAX_RULES in vmm/core/src/plan/layout.rs and build again".into(),
        },
    ];
    let beyond = tables.into_iter().filter(|table| table.count > table.room);
    beyond
        .map(|Table { entries, count, room, most, way_out }| Unplanned {
            rule: Rule::PlanTooLarge,
            node: entries.into(),
            problem: format!("they are {count}{most}, and the monitor has room for {room}"),
            way_out,
        })
        .collect()
}

/// Whether a guest's tree with these `#address-cells` and `#size-cells` at its root, which are the
/// board's own, can say where everything is.
fn check_root(board: &Board, layout: &Layout, cells: Cells) -> Result<(), PlanError> {
    let mut spans = vec![("guest RAM", layout.ram), ("the console", board.console.registers.ipa())];
    for gic in board.gics() {
        spans.push(("the interrupt controller", gic.distributor().ipa()));
        match gic {
            Gic::V2(gic) => spans.push(("GICC", gic.cpu_interface.ipa())),
            Gic::V3(gic) => spans.push(("GICR", gic.redistributors.ipa())),
        }
    }
    let small = u64::from(u32::MAX);
    let wide = |span: &Span<Ipa>| {
        (cells.address == 1 && span.end().0 > small.saturating_add(1))
            || (cells.size == 1 && span.size() > small)
    };
    let Some((thing, span)) = spans.into_iter().find(|(_, span)| wide(span)) else { return Ok(()) };
    Err(PlanError::Tree {
        which: "of the board".into(),
        why: format!(
            "its root has #address-cells = {} and #size-cells = {}, too few for {thing} ({span}): give the guest less RAM or RAM below 4 GiB, or a tree whose root has 2 and 2",
            cells.address, cells.size
        ),
    })
}

fn lines(board: &Board, closure: &Closure) -> Vec<Line> {
    let (intid, trigger) = (board.console.interrupt, board.console.trigger);
    let mut wanted = vec![GicInterrupt { intid, trigger }];
    for own in closure.devices.iter().flat_map(|device| &device.interrupts) {
        if own.intid >= FIRST_SPI && wanted.iter().all(|known| known.intid != own.intid) {
            wanted.push(*own);
        }
    }
    let channels = IDLE_CHANNEL.saturating_add(1)..;
    wanted
        .into_iter()
        .zip(channels)
        .map(|(GicInterrupt { intid, trigger }, channel)| Line { intid, trigger, channel })
        .collect()
}

fn check_wish(board: &Board, wish: &Wish) -> Result<(), PlanError> {
    if wish.vcpus == 0 || wish.vcpus > board.cpu.max_vcpus {
        return Err(PlanError::Wish {
            asked: "the number of virtual CPUs",
            value: wish.vcpus.to_string(),
            range: format!("1 to {} on board {} (--cpus N)", board.cpu.max_vcpus, board.name),
        });
    }
    for rule in &wish.rules {
        board
            .check_rule(rule)
            .map_err(|why| PlanError::BoardLacks { board: board.name.clone(), lack: why })?;
    }
    Ok(())
}

/// What is cut short would end in a panic of the guest's kernel, which does not say why.
fn check_initrd(images: &Images) -> Result<(), PlanError> {
    let Some(initrd) = &images.initrd else { return Ok(()) };
    match unpacked(initrd) {
        Unpacked::Damaged(at) => Err(PlanError::DamagedInitrd { at, bytes: length(initrd) }),
        Unpacked::Known(_) | Unpacked::AtLeast(..) | Unpacked::Unusable(..) => Ok(()),
    }
}

/// Guest RAM as asked for.
fn guest_ram(board: &Board, wish: &Wish) -> Result<Span<Ipa>, PlanError> {
    let mib = wish.ram_mib.unwrap_or(board.ram.default_mib);
    let size = board.ram_size(wish);
    let base = if wish.identity { identity(board, wish.host, size)?.0 } else { board.ram.base };
    let whole = |_: &Span<Ipa>| mib != 0 && mib.is_multiple_of(2);
    Span::new(Ipa(base), size).filter(whole).ok_or_else(|| PlanError::Wish {
        asked: "guest RAM in MiB",
        value: mib.to_string(),
        range: format!("a multiple of 2; this board's default is {}", board.ram.default_mib),
    })
}

/// The first place for `size` bytes with equal guest and physical addresses.
fn identity(board: &Board, host: Host, size: u64) -> Result<Pa, PlanError> {
    // Without seL4 the monitor is where it is linked to, perhaps within a window.
    let monitor = board.baremetal.as_ref().filter(|_| host == Host::Baremetal);
    let monitor = monitor.map(|facts| facts.monitor.pa());
    let free = |window: Span<Pa>| match monitor {
        Some(monitor) if window.overlaps(monitor) => Span::until(window.base(), monitor.base()),
        _ => window,
    };
    let windows = board.ram.identity.iter().map(Window::span);
    let windows: Vec<_> = windows.map(free).collect();
    if let Some(window) = windows.iter().find(|window| window.size() >= size) {
        return Ok(window.base());
    }
    let Some(largest) = windows.into_iter().max_by_key(|window| window.size()) else {
        return Err(PlanError::BoardLacks {
            board: board.name.clone(),
            lack: "no [[ram.identity]] in board.toml, no place for --identity".into(),
        });
    };
    Err(PlanError::DoesNotFit {
        thing: "guest RAM with equal guest and physical addresses".into(),
        extent: Extent { base: largest.base().0, size },
        room: format!("the largest place for it ({largest})"),
        left: largest.size(),
        way_out: memory::most(largest.size(), "with --identity"),
    })
}
