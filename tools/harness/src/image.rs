// SPDX-License-Identifier: BSD-2-Clause
//! What is booted: plans the guest, builds the monitor and hands back an emulator's command line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use vmm_plan::{Board, Images, Plan, Wish};

use crate::board_tree;
use crate::emulator::Emulator;
use crate::error::{Error, Result};
use crate::options::{HostName, Machine};
use crate::profile::{Profile, Values};
use crate::program::{self, Sdk};

/// Emulated time of an instruction under `--icount`; a power of two, because the emulator takes its
/// logarithm.
pub const NANOSECONDS_PER_INSTRUCTION: u32 = 2;

/// Everything that is needed to boot once more.
#[derive(Debug)]
pub struct Image {
    /// The plan of the guest.
    pub plan: Plan,
    /// Name of the emulated machine.
    pub profile: String,
    /// Its command line.
    pub emulator: Emulator,
    /// The monitor's ELF file, where there is a monitor.
    pub monitor: Option<PathBuf>,
    /// Sizes of what was built and loaded, in bytes, by file name.
    pub sizes: BTreeMap<String, u64>,
    /// Keeps another harness from rewriting the files while they are in use.
    _lock: File,
}

/// Version of the interrupt controller that the guest will have.
///
/// # Errors
/// There is no such board, or it has no such controller for the host.
pub fn gic(root: &Path, machine: &Machine) -> Result<u8> {
    let board = board(root, machine)?;
    let gic = board.gic_for(plan_host(machine), machine.gic).map_err(usage)?;
    Ok(gic.version())
}

/// The board of a machine.
///
/// # Errors
/// There is none of that name.
pub fn board(root: &Path, machine: &Machine) -> Result<Board> {
    Board::find(&root.join("boards"), &machine.board).map_err(usage)
}

/// Guest-physical address of the marker page.
///
/// # Errors
/// There is no such board.
pub fn marker(root: &Path, machine: &Machine) -> Result<u64> {
    let board = board(root, machine)?;
    Ok(board.marker.registers.base)
}

fn usage(error: vmm_plan::PlanError) -> Error {
    Error::Usage(error.to_string())
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
    let cpus = match plan.wish.vcpus {
        1 => String::new(),
        several => format!("-cpus{several}"),
    };
    format!("{}-{host}-{config}-gicv{}{cpus}", plan.board.name, plan.gic)
}

impl Image {
    /// Plans and builds.
    ///
    /// # Errors
    /// Something is missing, does not fit or does not build; the text says what to do.
    pub fn prepare(root: &Path, machine: &Machine) -> Result<Self> {
        Self::prepare_with(root, machine, |_| Ok(()))
    }

    /// As [`Image::prepare`]; `touch` has the folder between its planning and its building.
    ///
    /// # Errors
    /// As above, or those of `touch`.
    pub fn prepare_with(
        root: &Path,
        machine: &Machine,
        touch: impl Fn(&Path) -> Result<()>,
    ) -> Result<Self> {
        let Built { plan, folder, monitor, lock } = build(root, machine, name, touch)?;
        let image = match machine.host {
            HostName::Microkit => Some(folder.join(vmm_plan::plan::LOADER_FILE)),
            HostName::Baremetal | HostName::Bare => monitor.clone(),
        };
        let profile = match &machine.profile {
            Some(name) => name.clone(),
            None => plan.profiles().into_iter().next().ok_or_else(|| {
                Error::Usage(format!("no emulated machine for {}: give --profile", plan.board.name))
            })?,
        };
        let enter = match (machine.host, &machine.guest) {
            (HostName::Bare, Some(_)) => "bare-el2",
            (host, _) => host.name(),
        };
        let machine_profile = Profile::load(root, &profile)?;
        let values = values(machine, &plan, &folder, image)?;
        let mut emulator = emulator(root, machine, &machine_profile, enter, values)?;
        if machine.host == HostName::Baremetal {
            for load in plan.loads() {
                let file = folder.join(load.file);
                let loader =
                    format!("loader,file={},addr={:#x},force-raw=on", file.display(), load.address);
                emulator.arguments.extend(["-device".into(), loader]);
            }
        }
        Ok(Self { sizes: sizes(&folder), plan, profile, emulator, monitor, _lock: lock })
    }
}

impl Image {
    /// Boots another Microkit image, in the place of this one.
    ///
    /// # Errors
    /// There is no emulated machine for it, or its shim does not build.
    pub fn enter_loader(&mut self, root: &Path, machine: &Machine, loader: &Path) -> Result<()> {
        let profile = Profile::load(root, &self.profile)?;
        let values = values(machine, &self.plan, Path::new("."), Some(loader.to_owned()))?;
        self.emulator = emulator(root, machine, &profile, HostName::Microkit.name(), values)?;
        Ok(())
    }
}

/// The emulator, its shim built if it has one.
fn emulator(
    root: &Path,
    machine: &Machine,
    profile: &Profile,
    enter: &str,
    mut values: Values,
) -> Result<Emulator> {
    if let Some(shim) = &profile.shim {
        let built = program::build(root, "machine-shims")?.join(shim);
        values.insert("shim", Some(built.display().to_string()));
    }
    let mut emulator = profile.emulator(enter, &values)?;
    if machine.icount {
        let shift = NANOSECONDS_PER_INSTRUCTION.ilog2();
        emulator.arguments.extend(["-icount".into(), format!("shift={shift},sleep=off")]);
    }
    Ok(emulator)
}

/// What is on disk: the plan's files, the monitor and, on seL4, the image around it.
#[derive(Debug)]
pub struct Built {
    /// The plan of the guest.
    pub plan: Plan,
    /// Where everything is.
    pub folder: PathBuf,
    /// The monitor's ELF file, where there is a monitor.
    pub monitor: Option<PathBuf>,
    lock: File,
}

/// Plans and builds into the folder under `build/` that `name` chooses; `touch` has that folder in
/// between.
///
/// # Errors
/// Something is missing, does not fit or does not build; the text says what to do.
pub fn build(
    root: &Path,
    machine: &Machine,
    name: fn(&Machine, &Plan) -> String,
    touch: impl Fn(&Path) -> Result<()>,
) -> Result<Built> {
    let plan = plan(root, machine)?;
    let folder = root.join("build").join(name(machine, &plan));
    let lock = lock(&folder)?;
    plan.write_to(&folder).map_err(usage)?;
    touch(&folder)?;
    complete(&plan, &folder)?;
    let monitor = monitor(root, machine, &plan, &folder)?;
    Ok(Built { plan, folder, monitor, lock })
}

/// Plans a guest.
///
/// # Errors
/// Something is missing or does not fit; the text says what to do.
pub fn plan(root: &Path, machine: &Machine) -> Result<Plan> {
    let board = board(root, machine)?;
    // Before anything takes time.
    let there = kernel_cores(machine, &board)?;
    let cores = machine.cores.unwrap_or(there);
    if cores == 0 || cores > there {
        return Err(Error::Usage(format!(
            "--cores {cores}: the kernel under the monitor has 1 to {there} ({})",
            machine.config.name()
        )));
    }
    let images = images(root, machine)?;
    let mut append = machine.append.clone();
    if machine.guest.is_some() {
        // The marker page has no node: a conformance guest is told where it is.
        append.push_str(&format!(" marker={:#x}", board.marker.registers.base));
    }
    let wish = Wish {
        host: plan_host(machine),
        gic: machine.gic,
        ram_mib: machine.ram,
        vcpus: machine.cpus.unwrap_or(1),
        cores,
        append,
        rules: machine.forward.clone(),
        unowned: machine.unowned,
        trace: machine.trace,
        ..Wish::default()
    };
    board_tree::plan(root, machine, &board, &wish, images)
}

/// Cores that the kernel under the monitor runs on; one where there is no kernel.
fn kernel_cores(machine: &Machine, board: &Board) -> Result<u32> {
    match machine.host {
        HostName::Microkit => Sdk::find()?.cores(&board.microkit.board, machine.config),
        HostName::Baremetal | HostName::Bare => Ok(1),
    }
}

/// Whether every file that is put into memory is there.
fn complete(plan: &Plan, folder: &Path) -> Result<()> {
    let files = plan.regions.iter().filter_map(|region| Some(&region.prefill.as_ref()?.0));
    for file in files {
        if !folder.join(file).is_file() {
            return Err(Error::Usage(format!(
                "{file}, which the plan puts into memory, is missing from the build folder: run the command again"
            )));
        }
    }
    Ok(())
}

/// The host that the plan is for. Without a monitor only the guest's tree is taken from it, and
/// every tree exists on bare metal.
pub const fn plan_host(machine: &Machine) -> vmm_plan::Host {
    match machine.host {
        HostName::Microkit => vmm_plan::Host::Microkit,
        HostName::Baremetal | HostName::Bare => vmm_plan::Host::Baremetal,
    }
}

/// Builds the monitor, and the Microkit image around it; returns its ELF file.
fn monitor(root: &Path, machine: &Machine, plan: &Plan, folder: &Path) -> Result<Option<PathBuf>> {
    match machine.host {
        HostName::Bare => Ok(None),
        HostName::Microkit => {
            let (sdk, board) = (Sdk::find()?, plan.board.microkit.board.as_str());
            let monitor = folder.join("vmm.elf");
            copy(&sdk.monitor(root, board, machine.config)?, &monitor)?;
            sdk.pack(folder, board, machine.config)?;
            Ok(Some(monitor))
        }
        HostName::Baremetal => {
            let built = program::build(root, "vmm-baremetal")?.join("vmm-baremetal");
            let monitor = folder.join("vmm-baremetal.elf");
            copy(&built, &monitor)?;
            Ok(Some(monitor))
        }
    }
}

/// Locks a build folder, which is made if need be; waits for another harness that uses it.
fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).map_err(|e| Error::file("make", folder, &e))?;
    let path = folder.join("lock");
    let locked = File::create(&path).and_then(|file| {
        if file.try_lock().is_err() {
            eprintln!("waiting for another run that uses {}", folder.display());
            file.lock()?;
        }
        Ok(file)
    });
    locked.map_err(|e| Error::file("lock", &path, &e))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_| ()).map_err(|e| Error::file("copy", from, &e))
}

fn images(root: &Path, machine: &Machine) -> Result<Images> {
    let dtb = machine.dtb.as_deref();
    if let Some(guest) = &machine.guest {
        let kernel = program::build(root, "guest-conformance")?.join(guest);
        return Images::read(&kernel, None, dtb).map_err(usage);
    }
    if let Some(kernel) = &machine.kernel {
        return Images::read(kernel, machine.initrd.as_deref(), dtb).map_err(usage);
    }
    let (kernel, initrd) = test_guest()?;
    Images::read(&kernel, Some(&initrd), dtb).map_err(usage)
}

/// Kernel and initial RAM file system that `ci/setup` makes of Debian's packages.
///
/// # Errors
/// They are not there.
pub fn test_guest() -> Result<(PathBuf, PathBuf)> {
    let guest = cache()?.join("guest");
    let (kernel, initrd) = (guest.join("Image"), guest.join("initrd.cpio"));
    if !kernel.exists() || !initrd.exists() {
        let folder = guest.display();
        return Err(Error::Usage(format!("there is no test guest in {folder}: run ci/setup")));
    }
    Ok((kernel, initrd))
}

/// What fills the placeholders of a profile.
///
/// # Errors
/// Those of [`kernel_cores`].
fn values(machine: &Machine, plan: &Plan, folder: &Path, image: Option<PathBuf>) -> Result<Values> {
    let file = |name: &str| Some(folder.join(name).display().to_string());
    let initrd = plan.images.initrd.is_some();
    // An SMP kernel waits for all of its cores.
    let cpus = plan.wish.vcpus.max(kernel_cores(machine, &plan.board)?);
    Ok(BTreeMap::from([
        ("image", image.map(|path| path.display().to_string())),
        ("load_address", Some(format!("{:#x}", plan.board.microkit.loader_address))),
        ("kernel", file(vmm_plan::plan::KERNEL_FILE)),
        ("initrd", file(vmm_plan::plan::INITRD_FILE).filter(|_| initrd)),
        ("dtb", file(vmm_plan::plan::TREE_FILE)),
        ("append", Some(machine.append.clone()).filter(|text| !text.is_empty())),
        ("ram_mib", Some((plan.layout.ram.size >> 20).to_string())),
        ("cpus", Some(cpus.to_string())),
    ]))
}

fn sizes(folder: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        let data = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((entry.file_name().into_string().ok()?, data.len()))
    });
    files.collect()
}
