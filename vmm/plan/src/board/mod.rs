// SPDX-License-Identifier: BSD-2-Clause
//! Facts of a board, read from `boards/<name>/board.toml`.

mod facts;

use std::path::Path;

pub use facts::*;

use crate::error::PlanError;
use crate::firmware::{CallAction, CallRule};
use crate::irq::FIRST_SPECIAL;
use crate::span::{LARGE_PAGE, Span};
use crate::wish::{Host, Wish};

/// One of the board's interrupt controllers.
#[derive(Clone, Copy, Debug)]
pub enum Gic<'a> {
    /// A GICv2.
    V2(&'a GicV2),
    /// A GICv3.
    V3(&'a GicV3),
}

impl Gic<'_> {
    /// 2 or 3.
    #[must_use]
    pub const fn version(&self) -> u8 {
        match self {
            Self::V2(_) => 2,
            Self::V3(_) => 3,
        }
    }

    /// Hosts that run with it.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        match self {
            Self::V2(gic) => &gic.hosts,
            Self::V3(gic) => &gic.hosts,
        }
    }

    /// Emulated machines that have it, the usual one first.
    #[must_use]
    pub fn profiles(&self) -> &[String] {
        match self {
            Self::V2(gic) => &gic.profiles,
            Self::V3(gic) => &gic.profiles,
        }
    }

    /// GICD.
    #[must_use]
    pub const fn distributor(&self) -> Span {
        match self {
            Self::V2(gic) => gic.distributor,
            Self::V3(gic) => gic.distributor,
        }
    }
}

/// Refuses two boards that one name could mean.
fn unambiguous(folder: &Path, boards: &[Board]) -> Result<(), PlanError> {
    for (index, board) in boards.iter().enumerate() {
        for other in boards.iter().skip(index.saturating_add(1)) {
            let names = [&board.name, &board.alias];
            if let Some(name) =
                names.into_iter().find(|name| [&other.name, &other.alias].contains(name))
            {
                return Err(PlanError::TwoBoards {
                    name: name.clone(),
                    first: folder.join(&board.name).display().to_string(),
                    second: folder.join(&other.name).display().to_string(),
                });
            }
        }
    }
    Ok(())
}

/// Bytes of the largest page of the bare-metal monitor's own table, and where that ends: one table,
/// at level 1, of 512 of them (Arm DDI 0487, D8.2.8).
const BLOCK: u64 = 1 << 30;
const BLOCKS_END: u64 = BLOCK << 9;

impl Baremetal {
    /// Whether the monitor can be linked there and can map what is there.
    fn check(&self) -> Result<(), String> {
        let (memory, monitor) = (self.memory, self.monitor);
        let whole =
            |span: Span, page| [span.base(), span.size()].iter().all(|n| n.is_multiple_of(page));
        if memory.is_empty() || !whole(memory, BLOCK) || memory.end() > BLOCKS_END {
            return Err(format!(
                "baremetal.memory: {memory} is not whole GiB below {BLOCKS_END:#x}, as the monitor maps it"
            ));
        }
        if monitor.is_empty() || !whole(monitor, LARGE_PAGE) || !memory.encloses(monitor) {
            return Err(format!(
                "baremetal.monitor: {monitor} is not whole 2 MiB pages within baremetal.memory ({memory})"
            ));
        }
        Ok(())
    }
}

impl Board {
    /// Reads `<boards>/<name>/board.toml`; `name` may be the alias.
    ///
    /// # Errors
    /// No such board, or its file does not read.
    pub fn find(boards: &Path, name: &str) -> Result<Self, PlanError> {
        let all = Self::all(boards)?;
        let known: Vec<_> = all.iter().map(|board| board.name.clone()).collect();
        all.into_iter().find(|board| board.name == name || board.alias == name).ok_or_else(|| {
            PlanError::UnknownBoard {
                name: name.into(),
                folder: boards.display().to_string(),
                known: known.join(", "),
            }
        })
    }

    /// Reads every board under `boards`, by name.
    ///
    /// # Errors
    /// The folder or one of the files does not read, or two boards have one name or alias.
    pub fn all(boards: &Path) -> Result<Vec<Self>, PlanError> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(boards).map_err(PlanError::file(boards))? {
            let folder = entry.map_err(PlanError::file(boards))?.path();
            let file = folder.join("board.toml");
            if file.is_file() {
                all.push(Self::read(&file)?);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        unambiguous(boards, &all)?;
        Ok(all)
    }

    /// Reads one board file; the board is named after its folder.
    ///
    /// # Errors
    /// The file does not read, or a fact is outside its range.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let text = std::fs::read_to_string(path).map_err(PlanError::file(path))?;
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
        Self::parse(&folder.to_string_lossy(), &text)
            .map_err(|why| PlanError::BoardFile { path: path.display().to_string(), why })
    }

    /// Reads the text of a board file; the board is called `name`.
    ///
    /// # Errors
    /// The text does not read, or a fact is outside its range; in words, without the file's name.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut board: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        board.name = name.into();
        board.check()?;
        Ok(board)
    }

    fn check(&self) -> Result<(), String> {
        let mut pages =
            vec![("console", self.console.registers), ("marker", self.marker.registers)];
        pages.extend(self.idle.as_ref().and_then(|idle| idle.registers).map(|span| ("idle", span)));
        if let Some(clock) = &self.clock {
            pages.push(("clock.registers", clock.registers));
            pages.push(("clock.device", clock.device));
        }
        if let Some(gic) = &self.gic.v2 {
            pages.push(("gic.v2.distributor", gic.distributor));
            pages.push(("gic.v2.cpu_interface", gic.cpu_interface));
            pages.push(("gic.v2.virtual_cpu_interface", gic.virtual_cpu_interface));
            pages.push(("gic.v2.virtual_control", gic.virtual_control));
            pages.push(("gic.v2.physical_cpu_interface", gic.physical_cpu_interface));
        }
        if let Some(gic) = &self.gic.v3 {
            pages.push(("gic.v3.distributor", gic.distributor));
            pages.push(("gic.v3.redistributors", gic.redistributors));
            pages.extend(
                gic.virtual_cpu_interface.map(|span| ("gic.v3.virtual_cpu_interface", span)),
            );
        }
        for (place, span) in pages {
            if span.is_empty() || span.pages() != span {
                return Err(format!("{place}: {span} is not a range of whole 4 KiB pages"));
            }
        }
        if let Some(memory) = self.seed.as_ref().map(|seed| seed.memory)
            && (memory.is_empty()
                || [memory.base(), memory.size()].iter().any(|n| !n.is_multiple_of(LARGE_PAGE)))
        {
            let (base, size) = (memory.base(), memory.size());
            return Err(format!("seed.memory {base:#x}, {size:#x} bytes: no whole 2 MiB pages"));
        }
        if let Some(facts) = &self.baremetal {
            facts.check()?;
        }
        if !self.ram.base.is_multiple_of(LARGE_PAGE) {
            return Err(format!("ram.base() {:#x} is not a multiple of 2 MiB", self.ram.base));
        }
        if !(64..=FIRST_SPECIAL).contains(&self.gic.intids) {
            return Err(format!(
                "gic.intids {} is no number of interrupts: 64 to {FIRST_SPECIAL}",
                self.gic.intids
            ));
        }
        if !(32..988).contains(&self.console.interrupt) {
            let intid = self.console.interrupt;
            return Err(format!(
                "console.interrupt {intid} is no SPI: INTIDs 32 to 987, the tree's number + 32"
            ));
        }
        for rule in &self.smc.rules {
            self.check_rule(rule)?;
        }
        if self.gic.v2.is_none() && self.gic.v3.is_none() {
            return Err("gic: neither v2 nor v3".into());
        }
        Ok(())
    }

    /// Bytes of guest RAM that are wished for.
    #[must_use]
    pub fn ram_size(&self, wish: &Wish) -> u64 {
        wish.ram_mib.unwrap_or(self.ram.default_mib).saturating_mul(0x10_0000)
    }

    /// How the bare-metal host lays the board out.
    ///
    /// # Errors
    /// The board has no table `[baremetal]`.
    pub fn bare_metal(&self) -> Result<&Baremetal, PlanError> {
        self.baremetal.as_ref().ok_or_else(|| PlanError::BoardLacks {
            board: self.name.clone(),
            lack: "no [baremetal] facts, so the bare-metal host does not run on it".into(),
        })
    }

    /// What wakes a parked vCPU on that host; bare metal has a timer of its own.
    #[must_use]
    pub fn idle_on(&self, host: Host) -> Option<&Idle> {
        self.idle.as_ref().filter(|_| host == Host::Microkit)
    }

    /// The clock that the monitor reads for a guest that is given these registers: none if the guest
    /// has the board's own.
    #[must_use]
    pub fn clock_beside(&self, given: impl IntoIterator<Item = Span>) -> Option<&Clock> {
        let mut given = given.into_iter();
        self.clock.as_ref().filter(|clock| !given.any(|given| given.overlaps(clock.device)))
    }

    /// What seeds the random numbers of such a guest.
    #[must_use]
    pub fn seed_for(&self, wish: &Wish) -> Option<&Seed> {
        self.seed.as_ref().filter(|_| wish.entropy)
    }

    /// Whether `rule` keeps to what the board allows.
    ///
    /// # Errors
    /// It forwards a call that reaches more than the guest.
    pub(crate) fn check_rule(&self, rule: &CallRule) -> Result<(), String> {
        let function = rule.function;
        let may = vmm_core::arm::smccc::may_forward(function)
            && !self.smc.never_forward.contains(&function);
        if rule.action == CallAction::Forward && !may {
            return Err(format!(
                "smc: {function:#x} reaches more than the guest and is never forwarded"
            ));
        }
        Ok(())
    }

    /// The interrupt controllers that the board can have, the usual one first.
    pub fn gics(&self) -> impl Iterator<Item = Gic<'_>> {
        let v2 = self.gic.v2.as_ref().map(Gic::V2);
        v2.into_iter().chain(self.gic.v3.as_ref().map(Gic::V3))
    }

    /// The interrupt controller for `host`: of `version`, or the first that the host can do.
    ///
    /// # Errors
    /// The board has no such thing; the message says what it has.
    pub fn gic_for(&self, host: Host, version: Option<u8>) -> Result<Gic<'_>, PlanError> {
        let wanted = |gic: &Gic<'_>| version.is_none_or(|version| gic.version() == version);
        self.gics().find(|gic| wanted(gic) && gic.hosts().contains(&host)).ok_or_else(|| {
            let has: Vec<_> = self
                .gics()
                .flat_map(|gic| {
                    let version = gic.version();
                    gic.hosts()
                        .iter()
                        .map(move |host| format!("GICv{version} on {}", host.name()))
                        .collect::<Vec<_>>()
                })
                .collect();
            let version = version.map_or("GIC".into(), |version| format!("GICv{version}"));
            PlanError::BoardLacks {
                board: self.name.clone(),
                lack: format!("no {version} on {}; there is: {}", host.name(), has.join(", ")),
            }
        })
    }
}
