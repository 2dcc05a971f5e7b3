// SPDX-License-Identifier: BSD-2-Clause
//! The files of a plan.

use std::path::Path;

use serde::{Deserialize, Serialize};
use vmm_report::{EventKind, Field, Line};

use crate::checked::Checked;
use crate::error::PlanError;
use crate::filenames::{
    IMAGE_FILE, INITRD_FILE, KERNEL_FILE, LOADER_FILE, MAP_FILE, PLAN_FILE, SYSTEM_FILE, TREE_FILE,
    TREE_SOURCE_FILE,
};
use crate::map::Map;
use crate::plan::Plan;
use crate::wish::Host;
use crate::{block, check, system};

/// A file that an emulator has to put into memory before it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// File name in the output folder; for [`LOADER_FILE`] in the Microkit tool's.
    pub file: String,
    /// Physical address.
    pub address: u64,
}

/// What a boot loader, an emulator, and who writes a card, has to know of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Folder under `boards/`.
    pub board: String,
    /// The board in words.
    pub title: String,
    /// The Microkit board.
    pub microkit_board: String,
    /// What the monitor runs on.
    pub host: Host,
    /// Version of the guest's interrupt controller.
    pub gic: u8,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Names of the emulated machines (tools/machines), the usual one first.
    pub profiles: Vec<String>,
    /// What an emulator loads, besides the bare-metal monitor itself.
    pub loads: Vec<Load>,
    /// Where a boot loader puts the image and enters it: a hexadecimal number.
    pub load_address: String,
    /// Guest RAM in MiB.
    pub ram_mib: u64,
    /// Errors that were accepted by name: rule and subject.
    #[serde(default)]
    pub accepted: Vec<String>,
    /// The console that the guest has and the one that its boot arguments ask for, in words.
    #[serde(default)]
    pub console: String,
    /// How the first lines on the serial line begin: the monitor's own, then Linux's.
    pub first_lines: Vec<String>,
}

impl Facts {
    /// Reads what a plan wrote into `folder`.
    ///
    /// # Errors
    /// The file cannot be read, or is not what this version writes.
    pub fn read(folder: &Path) -> Result<Self, PlanError> {
        let path = folder.join(IMAGE_FILE);
        let text = std::fs::read_to_string(&path).map_err(PlanError::file(&path))?;
        serde_json::from_str(&text).map_err(|error| PlanError::BoardFile {
            path: path.display().to_string(),
            why: error.to_string(),
        })
    }
}

impl Plan {
    /// What has to be known of the image.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let board = &self.board;
        let mut start = String::new();
        // A string takes everything.
        let _ = Line::new(&mut start, EventKind::Start)
            .and_then(|line| line.text(Field::Board, &board.name)?.number(Field::Gic, self.gic));
        start.push(',');
        Facts {
            board: board.name.clone(),
            title: board.title.clone(),
            microkit_board: board.microkit.board.clone(),
            host: self.wish.host,
            gic: self.gic,
            cpus: self.wish.vcpus,
            profiles: self.profiles(),
            loads: self.loads(),
            load_address: format!("{:#x}", board.microkit.loader_address),
            ram_mib: self.layout.ram.size() >> 20,
            accepted: self.accepted.clone(),
            console: check::console_words(self),
            first_lines: vec![start, "[    0.000000] Booting Linux on physical CPU ".into()],
        }
    }

    /// What an emulator loads, besides the bare-metal monitor itself.
    #[must_use]
    pub fn loads(&self) -> Vec<Load> {
        if self.wish.host == Host::Microkit {
            let address = self.board.microkit.loader_address;
            return vec![Load { file: LOADER_FILE.into(), address }];
        }
        let files =
            self.regions.iter().filter_map(|region| Some((region.prefill.as_ref()?, region.pa?)));
        files.map(|(prefill, pa)| Load { file: prefill.file.clone(), address: pa.0 }).collect()
    }

    /// The guest's tree for people.
    #[must_use]
    pub fn tree_source(&self) -> String {
        // It is this planner's own writing; a checked reading would refuse long names (see dt/blob.rs).
        dtoolkit::fdt::Fdt::new_unchecked(&self.dtb).to_string()
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
}

impl Checked {
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
        let plan = self.plan();
        // First what can still fail for want of room: then nothing is written.
        put(PLAN_FILE, &plan.block()?)?;
        put(MAP_FILE, Map::new(plan, true).markdown().as_bytes())?;
        put(TREE_FILE, &plan.dtb)?;
        put(TREE_SOURCE_FILE, plan.tree_source().as_bytes())?;
        put(KERNEL_FILE, &plan.images.kernel)?;
        if let Some(initrd) = &plan.images.initrd {
            put(INITRD_FILE, initrd)?;
        }
        if let Some(system) = plan.system() {
            put(SYSTEM_FILE, system.as_bytes())?;
        }
        // Facts are text and numbers: they always become JSON.
        let facts = serde_json::to_string_pretty(&plan.facts()).unwrap_or_default();
        put(IMAGE_FILE, (facts + "\n").as_bytes())
    }
}
