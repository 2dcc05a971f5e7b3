// SPDX-License-Identifier: BSD-2-Clause
//! What is booted: plans the guest, builds the monitor and hands back an emulator's command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use vmm_plan::{Board, Images, Plan, Wish};

use crate::emulator::Emulator;
use crate::error::{Error, Result};
use crate::options::{HostName, Machine};
use crate::profile::{Profile, Values};

/// Everything that is needed to boot once more.
#[derive(Debug)]
pub struct Image {
    /// The plan of the guest.
    pub plan: Plan,
    /// Name of the emulated machine.
    pub profile: String,
    /// Its command line.
    pub emulator: Emulator,
    /// Where the files are.
    pub folder: PathBuf,
    /// Sizes of what was built and loaded, in bytes, by file name.
    pub sizes: BTreeMap<String, u64>,
}

/// `${XDG_CACHE_HOME:-~/.cache}/sel4-linux-vmm`.
///
/// # Errors
/// Neither variable is set.
pub fn cache() -> Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let none = || Error::Usage("neither XDG_CACHE_HOME nor HOME is set: set one of them".into());
    Ok(base.ok_or_else(none)?.join("sel4-linux-vmm"))
}

/// Name of what is booted, without spaces: for folders and transcripts.
#[must_use]
pub fn name(machine: &Machine, plan: &Plan) -> String {
    let (host, config) = (machine.host.name(), machine.config.name());
    format!("{}-{host}-{config}-gicv{}", plan.board.name, plan.gic)
}

impl Image {
    /// Plans and builds.
    ///
    /// # Errors
    /// Something is missing, does not fit or does not build; the text says what to do.
    pub fn prepare(root: &Path, machine: &Machine) -> Result<Self> {
        let usage = |error: vmm_plan::PlanError| Error::Usage(error.to_string());
        let board = Board::find(&root.join("boards"), &machine.board).map_err(usage)?;
        let images = images(machine)?;
        let wish = Wish {
            host: plan_host(machine),
            gic: machine.gic,
            ram_mib: machine.ram,
            append: machine.append.clone(),
            trace: machine.trace,
            ..Wish::default()
        };
        let plan = Plan::new(&board, &wish, images).map_err(usage)?;
        let folder = root.join("build").join(name(machine, &plan));
        plan.write_to(&folder).map_err(usage)?;
        let profile = match &machine.profile {
            Some(name) => name.clone(),
            None => plan.profiles().into_iter().next().ok_or_else(|| {
                Error::Usage(format!("no emulated machine for {}: give --profile", board.name))
            })?,
        };
        let mut emulator = Profile::load(root, &profile)?
            .emulator(machine.host.name(), &values(machine, &plan, &folder))?;
        if machine.icount {
            emulator.arguments.extend(["-icount".into(), "shift=1,sleep=off".into()]);
        }
        Ok(Self { sizes: sizes(&folder), plan, profile, emulator, folder })
    }
}

/// The host that the plan is for. Without a monitor only the guest's tree is taken from it, and
/// every tree exists on bare metal.
const fn plan_host(machine: &Machine) -> vmm_plan::Host {
    match machine.host {
        HostName::Microkit => vmm_plan::Host::Microkit,
        HostName::Baremetal | HostName::Bare => vmm_plan::Host::Baremetal,
    }
}

fn images(machine: &Machine) -> Result<Images> {
    let usage = |error: vmm_plan::PlanError| Error::Usage(error.to_string());
    let dtb = machine.dtb.as_deref();
    if let Some(kernel) = &machine.kernel {
        return Images::read(kernel, machine.initrd.as_deref(), dtb).map_err(usage);
    }
    let guest = cache()?.join("guest");
    let (kernel, initrd) = (guest.join("Image"), guest.join("initrd.cpio"));
    if !kernel.exists() || !initrd.exists() {
        let folder = guest.display();
        return Err(Error::Usage(format!("there is no test guest in {folder}: run ci/setup")));
    }
    Images::read(&kernel, Some(&initrd), dtb).map_err(usage)
}

/// What fills the placeholders of a profile.
fn values(machine: &Machine, plan: &Plan, folder: &Path) -> Values {
    let file = |name: &str| Some(folder.join(name).display().to_string());
    let initrd = plan.images.initrd.is_some();
    BTreeMap::from([
        ("kernel", file(vmm_plan::plan::KERNEL_FILE)),
        ("initrd", file(vmm_plan::plan::INITRD_FILE).filter(|_| initrd)),
        ("dtb", file(vmm_plan::plan::TREE_FILE)),
        ("append", Some(machine.append.clone()).filter(|text| !text.is_empty())),
        ("ram_mib", Some((plan.layout.ram.size >> 20).to_string())),
        ("cpus", Some(plan.wish.vcpus.to_string())),
    ])
}

fn sizes(folder: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        let data = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((entry.file_name().into_string().ok()?, data.len()))
    });
    files.collect()
}
