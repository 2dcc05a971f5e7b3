// SPDX-License-Identifier: BSD-2-Clause
//! The plan: every region with its owner, every interrupt with its channel, every image with its
//! place. The files are written from it and from nothing else.

use std::path::Path;

use crate::board::{Board, Gic, Idle, Trigger};
use crate::error::PlanError;
use crate::image::Images;
use crate::layout::Layout;
use crate::span::{LARGE_PAGE, PAGE, Size, Span, align_up, length};
use crate::wish::{Host, Wish};
use crate::{block, system, tree};

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
    pub name: &'static str,
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
    pub prefill: Option<(&'static str, u64)>,
}

/// A device interrupt passed through to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// INTID, the same for guest and board.
    pub intid: u32,
    /// What signals it.
    pub trigger: Trigger,
    /// Microkit channel.
    pub channel: u32,
}

/// A file that an emulator has to put into memory before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// File name in the output folder; for `loader.img` in the Microkit tool's.
    pub file: &'static str,
    /// Physical address.
    pub address: u64,
}

/// Everything that a guest needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Facts of the board.
    pub board: Board,
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
    /// The guest's tree.
    pub tree: dtoolkit::model::DeviceTree,
    /// The guest's tree, flattened.
    pub dtb: Vec<u8>,
    /// The images.
    pub images: Images,
}

/// File name of the plan block.
pub const PLAN_FILE: &str = "plan.bin";
/// File name of the kernel.
pub const KERNEL_FILE: &str = "kernel.img";
/// File name of the guest's tree, flattened.
pub const TREE_FILE: &str = "guest.dtb";
/// File name of the guest's tree for people.
pub const TREE_SOURCE_FILE: &str = "guest.dts";
/// File name of the initial RAM file system.
pub const INITRD_FILE: &str = "initrd.img";
/// File name of the Microkit system file.
pub const SYSTEM_FILE: &str = "guest.system";
/// File name of the image that the Microkit tool makes.
pub const LOADER_FILE: &str = "loader.img";

/// Channel of the idle timer; device lines follow.
const IDLE_CHANNEL: u32 = 1;
/// Bytes set aside for the plan block.
const BLOCK_SIZE: u64 = 0x4_0000;
/// Where the monitor's protection domain sees things; its own program starts at 2 MiB and the
/// stack is at the top.
mod vaddr {
    pub const PLAN: u64 = 0x1000_0000;
    pub const TREE: u64 = 0x1020_0000;
    pub const UART: u64 = 0x1040_0000;
    pub const IDLE: u64 = 0x1060_0000;
    pub const KERNEL: u64 = 0x2000_0000;
    pub const INITRD: u64 = 0x4000_0000;
    pub const RAM: u64 = 0x1_0000_0000;
}

impl Plan {
    /// Plans a guest.
    ///
    /// # Errors
    /// [`PlanError`] names what is missing, wrong or too big.
    pub fn new(board: &Board, wish: &Wish, images: Images) -> Result<Self, PlanError> {
        let gic = board.gic_for(wish.host, wish.gic)?;
        if wish.vcpus == 0 || wish.vcpus > board.cpu.max_vcpus {
            return Err(PlanError::Wish {
                what: "the number of virtual CPUs",
                value: wish.vcpus.to_string(),
                range: format!("1 to {}", board.cpu.max_vcpus),
            });
        }
        let layout = Layout::new(guest_ram(board, wish)?, &images)?;
        let lines = vec![Line {
            intid: board.console.interrupt,
            trigger: board.console.trigger,
            channel: IDLE_CHANNEL.saturating_add(1),
        }];
        let last = lines.iter().map(|line| line.intid).max().unwrap_or(0);
        let intids = last.saturating_add(1).next_multiple_of(32).max(64);
        let tree = match &images.dtb {
            Some(dtb) => tree::given(dtb, &layout, wish)?,
            None => tree::guest(board, wish, gic, &layout),
        };
        let dtb = tree.to_dtb();
        if length(&dtb) > layout.tree.size {
            return Err(PlanError::DoesNotFit {
                what: "the device tree".into(),
                span: Span::new(layout.tree.base, length(&dtb)),
                place: "2 MiB (booting.rst)".into(),
                left: layout.tree.size,
                way_out: "pass fewer nodes through".into(),
            });
        }
        let mut plan = Self {
            board: board.clone(),
            wish: wish.clone(),
            gic: gic.version(),
            intids,
            layout,
            regions: Vec::new(),
            lines,
            idle_channel: IDLE_CHANNEL,
            tree,
            dtb,
            images,
        };
        plan.add_images();
        plan.add_devices();
        match wish.host {
            Host::Microkit => plan.check_memory()?,
            Host::Baremetal => plan.place_physical()?,
        }
        Ok(plan)
    }

    fn add_images(&mut self) {
        let image = |name, file, vaddr, bytes: u64| Region {
            name,
            ipa: None,
            pa: None,
            size: align_up(bytes, if bytes < LARGE_PAGE { PAGE } else { LARGE_PAGE }),
            owner: Owner::Monitor,
            kind: Kind::Normal,
            vaddr: Some(vaddr),
            prefill: Some((file, bytes)),
        };
        self.regions.push(Region {
            name: "ram",
            ipa: Some(self.layout.ram.base),
            pa: None,
            size: self.layout.ram.size,
            owner: Owner::Guest,
            kind: Kind::Normal,
            vaddr: Some(vaddr::RAM),
            prefill: None,
        });
        self.regions
            .push(image("plan", PLAN_FILE, vaddr::PLAN, BLOCK_SIZE));
        self.regions.push(image(
            "kernel",
            KERNEL_FILE,
            vaddr::KERNEL,
            self.layout.kernel_file,
        ));
        self.regions
            .push(image("dtb", TREE_FILE, vaddr::TREE, length(&self.dtb)));
        if self.layout.initrd.size != 0 {
            self.regions.push(image(
                "initrd",
                INITRD_FILE,
                vaddr::INITRD,
                self.layout.initrd.size,
            ));
        }
    }

    fn add_devices(&mut self) {
        let device = |name, ipa, span: Span, owner, vaddr| Region {
            name,
            ipa,
            pa: Some(span.base),
            size: span.size,
            owner,
            kind: Kind::Device,
            vaddr,
            prefill: None,
        };
        let uart = self.board.console.registers;
        let owner = Owner::MonitorOnceStopped;
        self.regions.push(device(
            "uart",
            Some(uart.base),
            uart,
            owner,
            Some(vaddr::UART),
        ));
        let baremetal = self.wish.host == Host::Baremetal;
        if let Some(gic) = self.board.gic.v2.as_ref().filter(|_| self.gic == 2) {
            let guest = Some(gic.cpu_interface.base);
            self.regions.push(device(
                "gicv",
                guest,
                gic.virtual_cpu_interface,
                Owner::Guest,
                None,
            ));
            if baremetal {
                for (name, span) in [
                    ("gicd", gic.distributor),
                    ("gicc", gic.physical_cpu_interface),
                    ("gich", gic.virtual_control),
                ] {
                    self.regions
                        .push(device(name, None, span, Owner::Monitor, None));
                }
            }
        }
        if let Some(gic) = self
            .board
            .gic
            .v3
            .as_ref()
            .filter(|_| self.gic == 3 && baremetal)
        {
            for (name, span) in [("gicd", gic.distributor), ("gicr", gic.redistributors)] {
                self.regions
                    .push(device(name, None, span, Owner::Monitor, None));
            }
        }
        if let Some(span) = self.idle().and_then(|idle| idle.registers) {
            self.regions.push(device(
                "idle",
                None,
                span,
                Owner::Monitor,
                Some(vaddr::IDLE),
            ));
        }
    }

    /// Gives every piece of normal memory a physical address behind the bare-metal monitor.
    fn place_physical(&mut self) -> Result<(), PlanError> {
        let Some(facts) = self.board.baremetal.as_ref() else {
            return Err(PlanError::BoardLacks {
                board: self.board.name.clone(),
                what: "no [baremetal] facts, so the bare-metal host does not run on it".into(),
            });
        };
        let mut next = facts.monitor.end();
        // Guest RAM last: it is the largest, and the plan block comes first, where the monitor
        // looks for it.
        let normal = |region: &&mut Region| region.kind == Kind::Normal;
        let (ram, images): (Vec<_>, Vec<_>) = self
            .regions
            .iter_mut()
            .filter(normal)
            .partition(|region| region.name == "ram");
        for region in images.into_iter().chain(ram) {
            let span = Span::new(align_up(next, LARGE_PAGE), region.size);
            if span.size != region.size || !facts.memory.encloses(span) {
                return Err(PlanError::DoesNotFit {
                    what: region.name.into(),
                    span: Span {
                        base: span.base,
                        size: region.size,
                    },
                    place: format!("the board's memory ({})", facts.memory),
                    left: facts.memory.end().saturating_sub(span.base),
                    way_out: "give the guest less RAM, or smaller images".into(),
                });
            }
            region.pa = Some(span.base);
            next = span.end();
        }
        Ok(())
    }

    /// Refuses what the kernel cannot have left for a system.
    fn check_memory(&self) -> Result<(), PlanError> {
        let memory = &self.board.microkit.memory;
        let images: u64 = self
            .regions
            .iter()
            .filter_map(|region| region.prefill)
            .map(|(_, n)| n)
            .sum();
        let normal: u64 = self
            .regions
            .iter()
            .filter(|region| region.kind == Kind::Normal && region.pa.is_none())
            .map(|region| region.size)
            .sum();
        // A prefilled region is there twice: in the system image, and where it is mapped.
        let need = normal.saturating_add(images);
        if need <= memory.size {
            return Ok(());
        }
        let ram = self.layout.ram;
        Err(PlanError::DoesNotFit {
            what: "guest RAM".into(),
            span: ram,
            place: format!("the board's memory ({})", Size(memory.size)),
            left: memory.size.saturating_sub(need.saturating_sub(ram.size)),
            way_out: "give the guest less RAM, or smaller images".into(),
        })
    }

    /// What wakes a parked vCPU; bare metal has a timer of its own.
    #[must_use]
    pub fn idle(&self) -> Option<&Idle> {
        self.board
            .idle
            .as_ref()
            .filter(|_| self.wish.host == Host::Microkit)
    }

    /// The region called `name`.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.name == name)
    }

    /// The emulated machine that runs this plan (a file in `ci/profiles`), the usual one first.
    #[must_use]
    pub fn profiles(&self) -> Vec<String> {
        let gic = self.board.gics().find(|gic| gic.version() == self.gic);
        gic.map_or_else(Vec::new, |gic: Gic<'_>| gic.profiles().to_vec())
    }

    /// What an emulator loads, besides the bare-metal monitor itself.
    #[must_use]
    pub fn loads(&self) -> Vec<Load> {
        if self.wish.host == Host::Microkit {
            let address = self.board.microkit.loader_address;
            return vec![Load {
                file: LOADER_FILE,
                address,
            }];
        }
        let load = |region: &Region| {
            let (file, _) = region.prefill?;
            Some(Load {
                file,
                address: region.pa?,
            })
        };
        self.regions.iter().filter_map(load).collect()
    }

    /// The guest's tree for people.
    #[must_use]
    pub fn tree_source(&self) -> String {
        self.tree.to_string()
    }

    /// The Microkit system file; `None` on bare metal.
    #[must_use]
    pub fn system(&self) -> Option<String> {
        (self.wish.host == Host::Microkit).then(|| system::write(self))
    }

    /// The monitor's plan block.
    ///
    /// # Errors
    /// More lines, rules or regions than the block has room for.
    pub fn block(&self) -> Result<Vec<u8>, PlanError> {
        block::write(self)
    }

    /// Writes every file of the plan into `folder`, which is made if need be.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_to(&self, folder: &Path) -> Result<(), PlanError> {
        std::fs::create_dir_all(folder).map_err(PlanError::file(folder))?;
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(PlanError::file(&path))
        };
        put(PLAN_FILE, &self.block()?)?;
        put(TREE_FILE, &self.dtb)?;
        put(TREE_SOURCE_FILE, self.tree_source().as_bytes())?;
        put(KERNEL_FILE, &self.images.kernel)?;
        if let Some(initrd) = &self.images.initrd {
            put(INITRD_FILE, initrd)?;
        }
        if let Some(system) = self.system() {
            put(SYSTEM_FILE, system.as_bytes())?;
        }
        Ok(())
    }
}

/// Guest RAM as asked for.
fn guest_ram(board: &Board, wish: &Wish) -> Result<Span, PlanError> {
    let mib = wish.ram_mib.unwrap_or(board.ram.default_mib);
    let size = mib.saturating_mul(0x10_0000);
    let span = Span::new(board.ram.base, size);
    if mib == 0 || !mib.is_multiple_of(2) || span.size != size {
        return Err(PlanError::Wish {
            what: "guest RAM in MiB",
            value: mib.to_string(),
            range: format!(
                "a multiple of 2; this board's default is {}",
                board.ram.default_mib
            ),
        });
    }
    Ok(span)
}
