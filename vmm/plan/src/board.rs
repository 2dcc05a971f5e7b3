// SPDX-License-Identifier: BSD-2-Clause
//! Facts of a board, read from `boards/<name>/board.toml`. Every table must name its source.

use std::path::Path;

use serde::Deserialize;

use crate::error::PlanError;
use crate::span::Span;
use crate::wish::Host;

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
    /// What wakes a parked vCPU on Microkit.
    pub idle: Option<Idle>,
    /// Firmware calls that are answered or forwarded; every other unknown one gets -1.
    #[serde(default)]
    pub smc: Vec<Rule>,
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
    /// Where that is from.
    pub source: String,
}

/// How the bare-metal host lays the board out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baremetal {
    /// What the monitor keeps for itself.
    pub monitor: Span,
    /// All physical memory.
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
    /// Emulated machines that have it, the usual one first (`ci/profiles`).
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
    /// Emulated machines that have it, the usual one first (`ci/profiles`).
    pub profiles: Vec<String>,
    /// GICD, the same place for guest and board.
    pub distributor: Span,
    /// GICR frames of all CPUs, the same place for guest and board.
    pub redistributors: Span,
    /// Where that is from.
    pub source: String,
}

/// What signals an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A high level.
    Level,
    /// A rising edge.
    Edge,
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

/// What becomes of a firmware call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// The monitor answers.
    Answer,
    /// The firmware answers.
    Forward,
}

/// How one firmware call is answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// SMCCC function identifier (DEN0028F, 2.5).
    pub function: u32,
    /// What becomes of it.
    pub action: RuleAction,
    /// X0 of an answer.
    #[serde(default)]
    pub value: u64,
    /// Where that is from.
    pub source: String,
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        [Self::Microkit, Self::Baremetal]
            .into_iter()
            .find(|host| host.name() == name)
            .ok_or_else(|| serde::de::Error::unknown_variant(&name, &["microkit", "baremetal"]))
    }
}

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

impl Board {
    /// Reads `<boards>/<name>/board.toml`; `name` may be the alias.
    ///
    /// # Errors
    /// No such board, or its file does not read.
    pub fn find(boards: &Path, name: &str) -> Result<Self, PlanError> {
        let all = Self::all(boards)?;
        let known: Vec<_> = all.iter().map(|board| board.name.clone()).collect();
        all.into_iter()
            .find(|board| board.name == name || board.alias == name)
            .ok_or_else(|| PlanError::UnknownBoard {
                name: name.into(),
                folder: boards.display().to_string(),
                known: known.join(", "),
            })
    }

    /// Reads every board under `boards`, by name.
    ///
    /// # Errors
    /// The folder or one of the files does not read.
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
        Ok(all)
    }

    /// Reads one board file; the board is named after its folder.
    ///
    /// # Errors
    /// The file does not read, or a fact is outside its range.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let text = std::fs::read_to_string(path).map_err(PlanError::file(path))?;
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
        Self::parse(&folder.to_string_lossy(), &text).map_err(|why| PlanError::BoardFile {
            path: path.display().to_string(),
            why,
        })
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut board: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        board.name = name.into();
        board.check()?;
        Ok(board)
    }

    fn check(&self) -> Result<(), String> {
        let mut pages = vec![
            ("console", self.console.registers),
            ("marker", self.marker.registers),
        ];
        pages.extend(
            self.idle
                .as_ref()
                .and_then(|idle| idle.registers)
                .map(|span| ("idle", span)),
        );
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
        }
        for (what, span) in pages {
            let whole = span.size != 0 && [span.base, span.size].iter().all(|n| n % 0x1000 == 0);
            if !whole || span.base.checked_add(span.size).is_none() {
                return Err(format!(
                    "{what}: {span} is not a range of whole 4 KiB pages"
                ));
            }
        }
        if !self.ram.base.is_multiple_of(crate::span::LARGE_PAGE) {
            return Err(format!(
                "ram.base {:#x} is not a multiple of 2 MiB",
                self.ram.base
            ));
        }
        if !(32..988).contains(&self.console.interrupt) {
            let intid = self.console.interrupt;
            return Err(format!(
                "console.interrupt {intid} is no SPI: INTIDs 32 to 987, the tree's number + 32"
            ));
        }
        if self.gic.v2.is_none() && self.gic.v3.is_none() {
            return Err("gic: neither v2 nor v3".into());
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
        self.gics()
            .find(|gic| wanted(gic) && gic.hosts().contains(&host))
            .ok_or_else(|| {
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
                    what: format!(
                        "no {version} on {}; there is: {}",
                        host.name(),
                        has.join(", ")
                    ),
                }
            })
    }
}
