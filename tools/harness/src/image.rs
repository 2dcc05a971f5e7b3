// SPDX-License-Identifier: BSD-2-Clause
//! What is booted: plans the guest, builds the monitor and hands back an emulator's command line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use vmm_plan::files::Facts;
use vmm_plan::wish::TURN_US;
use vmm_plan::{Board, Checked, Images, Plan, Wish};

use crate::board_tree;
use crate::conformance;
use crate::emulator::Emulator;
use crate::error::{Error, Result};
use crate::made;
use crate::options::{Config, HostName, Machine};
use crate::profile::{self, Profile, option_value};
use crate::program::{self, Sdk};

/// File name of the bare-metal monitor.
pub const MONITOR_FILE: &str = "vmm-baremetal.elf";
/// File name of the kernel's description of itself: seL4's `gen_config.json`.
pub const KERNEL_FILE: &str = "kernel.json";

/// Emulated time of an instruction under `--icount`; a power of two, because the emulator takes its
/// logarithm.
pub const NANOSECONDS_PER_INSTRUCTION: u32 = 2;

/// Turn of a virtual CPU under `--icount`. The emulator does not trap WFE, so there a lock that is
/// waited for is handed over once a turn, and a long one keeps it from the others; a short one has
/// virtual CPUs wake each other more often. Of the two loads of `ci/bench` the slower one took, times plain
/// QEMU, on two and on four virtual CPUs: 1.45 and 1.46 with 100, 1.17 and 1.17 with 300, 1.14 and 1.40
/// with 500 (`seq | sort` and forks, 28 November 2026). In the emulator's real time each turn is dear.
const COUNTED_TURN_US: u32 = 300;

/// Everything that is needed to boot once more.
#[derive(Debug)]
pub struct Image {
    /// What has to be known of it.
    pub facts: Facts,
    /// The plan of the guest; `None` for what was built elsewhere.
    pub plan: Option<Plan>,
    /// Name of the emulated machine.
    pub profile: String,
    /// Its command line.
    pub emulator: Emulator,
    /// The monitor's ELF file, where there is a monitor.
    pub monitor: Option<PathBuf>,
    /// Kinds of lines that are no failure on that machine ([`crate::fatal`]).
    pub allow: Vec<String>,
    /// Where transcripts go.
    pub transcripts: PathBuf,
    /// Sizes of what was built and loaded, in bytes, by file name.
    pub sizes: BTreeMap<String, u64>,
    /// Keeps another harness from rewriting the files while they are in use; none is needed for
    /// what was built elsewhere.
    pub(crate) _lock: Option<File>,
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
    Ok(board.marker.registers.base())
}

fn usage(error: vmm_plan::PlanError) -> Error {
    Error::Usage(error.to_string())
}

/// `${XDG_CACHE_HOME:-~/.cache}/sel4-linux-vmm`. A path that is empty or relative counts as not set
/// (XDG Base Directory Specification 0.8, 'Basics').
///
/// # Errors
/// Neither variable is set.
pub fn cache() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    cache_of(variable("XDG_CACHE_HOME"), variable("HOME")).ok_or_else(|| {
        Error::Usage("neither XDG_CACHE_HOME nor HOME is set: set one of them".into())
    })
}

fn cache_of(cache: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let set = |path: Option<PathBuf>| path.filter(|path| path.is_absolute());
    let base = set(cache).or_else(|| Some(set(home)?.join(".cache")));
    Some(base?.join("sel4-linux-vmm"))
}

/// Name of what is booted, without spaces: for folders and transcripts.
#[must_use]
pub fn name(machine: &Machine, facts: &Facts) -> String {
    let (host, config) = (machine.host.name(), machine.config().name());
    let cpus = match facts.cpus {
        1 => String::new(),
        several => format!("-cpus{several}"),
    };
    format!("{}-{host}-{config}-gicv{}{cpus}", facts.board, facts.gic)
}

impl Image {
    /// Plans and builds.
    ///
    /// # Errors
    /// Something is missing, does not fit or does not build; the text says what to do.
    pub fn prepare(root: &Path, machine: &Machine) -> Result<Self> {
        match &machine.from {
            Some(folder) => made::image(machine, folder),
            None => Self::prepare_with(root, machine, |_| Ok(())),
        }
    }

    /// As [`Image::prepare`]; `touch` has the folder between its planning and its building.
    ///
    /// # Errors
    /// As above, or those of `touch`.
    pub fn prepare_with(
        root: &Path,
        machine: &Machine,
        after_planning: impl Fn(&Path) -> Result<()>,
    ) -> Result<Self> {
        let Built { plan, folder, monitor, lock } = build(root, machine, name, after_planning)?;
        let image = match machine.host {
            HostName::Microkit => Some(folder.join(vmm_plan::filenames::LOADER_FILE)),
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
        let facts = plan.facts();
        let values = Values {
            facts: &facts,
            folder: &folder,
            image,
            cores: kernel_cores(machine, &plan.board)?,
            append: &machine.append,
            shim: shim(root, &machine_profile, &plan.board.name)?,
        };
        let emulator = emulator(machine, &machine_profile, enter, values)?;
        Ok(Self {
            sizes: sizes(&folder),
            facts,
            plan: Some(plan),
            profile,
            emulator,
            monitor,
            allow: machine_profile.allow,
            transcripts: root.join("build/transcripts"),
            _lock: Some(lock),
        })
    }

    /// Boots another Microkit image, in the place of this one.
    ///
    /// # Errors
    /// There is no emulated machine for it, or its shim does not build.
    pub fn enter_loader(&mut self, root: &Path, machine: &Machine, loader: &Path) -> Result<()> {
        let profile = Profile::load(root, &self.profile)?;
        let board = Board::find(&root.join("boards"), &machine.board).map_err(usage)?;
        let values = Values {
            facts: &self.facts,
            folder: Path::new("."),
            image: Some(loader.to_owned()),
            cores: kernel_cores(machine, &board)?,
            append: &machine.append,
            shim: shim(root, &profile, &board.name)?,
        };
        self.emulator = emulator(machine, &profile, HostName::Microkit.name(), values)?;
        Ok(())
    }
}

/// What fills the placeholders of a profile.
#[derive(Debug)]
pub struct Values<'a> {
    /// Of what is booted.
    pub facts: &'a Facts,
    /// Where the plan's files are.
    pub folder: &'a Path,
    /// What the machine enters.
    pub image: Option<PathBuf>,
    /// Cores of the kernel under the monitor.
    pub cores: u32,
    /// Boot arguments, where the emulator hands them over.
    pub append: &'a str,
    /// What plays the board's firmware.
    pub shim: Option<PathBuf>,
}

/// The shim that a machine needs, built.
fn shim(root: &Path, profile: &Profile, board: &str) -> Result<Option<PathBuf>> {
    profile
        .shim
        .as_ref()
        .map(|shim| Ok(program::build_for(root, "machine-shims", board)?.join(shim)))
        .transpose()
}

/// The emulator's command line.
///
/// # Errors
/// The machine does not know the host, or the program is missing.
pub fn emulator(
    machine: &Machine,
    profile: &Profile,
    enter: &str,
    values: Values<'_>,
) -> Result<Emulator> {
    let program = machine.emulator.clone().map_or_else(|| profile.program(), Ok)?;
    let mut emulator = profile.emulator(program, enter, &values.placeholders())?;
    if machine.host == HostName::Baremetal {
        for load in &values.facts.loads {
            let file = values.folder.join(&load.file);
            let file = option_value(&file.display().to_string());
            let loader = format!("loader,file={file},addr={:#x},force-raw=on", load.address);
            emulator.arguments.extend(["-device".into(), loader]);
        }
    }
    if machine.icount {
        let shift = NANOSECONDS_PER_INSTRUCTION.ilog2();
        emulator.arguments.extend(["-icount".into(), format!("shift={shift},sleep=off")]);
        // The same run gives the same times, so the random numbers that it begins with are the same.
        emulator.arguments.extend(["-seed".into(), "1".into()]);
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
    name: fn(&Machine, &Facts) -> String,
    after_planning: impl Fn(&Path) -> Result<()>,
) -> Result<Built> {
    let checked = plan(root, machine)?;
    let folder = root.join("build").join(name(machine, &checked.plan().facts()));
    let lock = lock(&folder)?;
    checked.write_to(&folder).map_err(usage)?;
    let plan = checked.into_plan();
    after_planning(&folder)?;
    complete(&plan, &folder)?;
    let monitor = monitor(root, machine, &plan, &folder)?;
    Ok(Built { plan, folder, monitor, lock })
}

/// Plans a guest and checks the plan.
///
/// # Errors
/// Something is missing, does not fit or is wrong; the text says what to do.
pub fn plan(root: &Path, machine: &Machine) -> Result<Checked> {
    let mut board = board(root, machine)?;
    if machine.host == HostName::Bare {
        // Nobody emulates it there, and Linux reads what it is.
        board.clock = None;
    }
    // Before anything takes time.
    let there = kernel_cores(machine, &board)?;
    check_computer(machine, there)?;
    let cores = machine.cores.unwrap_or(there);
    if cores == 0 || cores > there {
        return Err(Error::Usage(format!(
            "--cores {cores}: the kernel under the monitor has 1 to {there} ({})",
            machine.config().name()
        )));
    }
    let mut append = machine.append.clone();
    if machine.guest.is_some() {
        // The marker page has no node: a conformance guest is told where it is.
        append.push_str(&format!(" marker={:#x}", board.marker.registers.base()));
    }
    let wish = Wish {
        host: plan_host(machine),
        gic: machine.gic,
        ram_mib: machine.ram,
        vcpus: machine.cpus.unwrap_or(1),
        cores,
        turn_us: machine.turn.unwrap_or(if machine.icount { COUNTED_TURN_US } else { TURN_US }),
        entropy: !machine.no_entropy,
        append,
        pass: machine.pass.clone(),
        identity: machine.identity,
        accept: machine.accept.clone(),
        debug_kernel: machine.prints(),
        rules: machine.forward.clone(),
        unowned: machine.unowned,
        trace: machine.trace,
    };
    let images = images(root, machine, board.ram_size(&wish))?;
    board_tree::plan(root, machine, &board, &wish, images)
}

/// Cores that the kernel under the monitor runs on; one where there is no kernel.
fn kernel_cores(machine: &Machine, board: &Board) -> Result<u32> {
    match machine.host {
        HostName::Microkit => Sdk::find()?.cores(&board.microkit.board, machine.config()),
        HostName::Baremetal | HostName::Bare => Ok(1),
    }
}

/// Processors of this computer that this program may use.
fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// Refuses a kernel with more cores than this computer: they wait for each other's, and an emulated
/// core that waits takes the time of the one that it waits for. With counted instructions all cores
/// take turns on one thread, and a core that waits for the kernel's lock does so for its whole turn, up
/// to 50 ms; before QEMU 8.1 (commit 83ecdb18eb65) for ever.
fn check_computer(machine: &Machine, cores: u32) -> Result<()> {
    let here = processors();
    let config = machine.config().name();
    if machine.host != HostName::Microkit || cores == 1 {
        Ok(())
    } else if machine.icount {
        Err(Error::Usage(format!(
            "--icount with the kernel {config}: of its {cores} cores one would wait through long turns of \
             the emulator for another; leave out --icount, or take --config release"
        )))
    } else if cores > here {
        Err(Error::Usage(format!(
            "the kernel {config} has {cores} cores, this computer {here}: they would wait for each other; \
             take --config release, or an SDK for {here} cores (docs/sdk.md)"
        )))
    } else {
        Ok(())
    }
}

/// Takes the SMP kernel for a machine with several virtual CPUs where nobody has chosen one: if it
/// has a core for each, and this computer a processor for each core. Not where instructions are
/// counted, which that kernel does not stand.
///
/// # Errors
/// There is no such board, or no SDK.
pub fn choose_config(root: &Path, machine: &mut Machine) -> Result<()> {
    let Some(cpus) = machine.cpus.filter(|cpus| *cpus > 1) else { return Ok(()) };
    if machine.host != HostName::Microkit || machine.config.is_some() || machine.icount {
        return Ok(());
    }
    let board = board(root, machine)?;
    let Ok(cores) = Sdk::find()?.cores(&board.microkit.board, Config::SmpRelease) else {
        crate::show::err(format_args!(
            "note: {cpus} virtual CPUs in turns on one core: the SDK has no smp-release"
        ));
        return Ok(());
    };
    let here = processors();
    if cpus <= cores && cores <= here {
        crate::show::err(format_args!(
            "note: --config smp-release, with a core for each of {cpus} virtual CPUs"
        ));
        machine.config = Some(Config::SmpRelease);
    } else {
        crate::show::err(format_args!(
            "note: {cpus} virtual CPUs in turns on one core: smp-release has {cores}, this computer {here}"
        ));
    }
    Ok(())
}

/// What a guest can do to the kernel under the monitor, in one line; `None` where it can do nothing.
///
/// # Errors
/// There is no such board, no SDK, or it does not say how the kernel was built.
pub fn kernel_note(root: &Path, machine: &Machine) -> Result<Option<String>> {
    let survives = conformance::survives_stepping(root, machine)?;
    Ok((!survives).then(|| {
        format!(
            "this kernel ({}) is built without HardwareDebugAPI: a guest that single-steps a \
             program stops the whole board, without a report (docs/sdk.md)",
            machine.config().name()
        )
    }))
}

/// Puts what the kernel says of itself beside an image.
///
/// # Errors
/// There is no SDK, or the file cannot be copied.
pub fn copy_kernel_facts(machine: &Machine, built: &Built) -> Result<()> {
    let facts = Sdk::find()?.kernel_facts(&built.plan.board.microkit.board, machine.config())?;
    copy(&facts, &built.folder.join(KERNEL_FILE))
}

/// Whether every file that is put into memory is there.
fn complete(plan: &Plan, folder: &Path) -> Result<()> {
    let files = plan.regions.iter().filter_map(|region| Some(&region.prefill.as_ref()?.file));
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
            copy(&sdk.monitor(root, board, machine.config())?, &monitor)?;
            sdk.pack(folder, board, machine.config())?;
            Ok(Some(monitor))
        }
        HostName::Baremetal => {
            let built =
                program::build_for(root, "vmm-baremetal", &plan.board.name)?.join("vmm-baremetal");
            let monitor = folder.join(MONITOR_FILE);
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
            crate::show::err(format_args!(
                "waiting for another run that uses {}",
                folder.display()
            ));
            file.lock()?;
        }
        Ok(file)
    });
    locked.map_err(|e| Error::file("lock", &path, &e))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_| ()).map_err(|e| Error::file("copy", from, &e))
}

fn images(root: &Path, machine: &Machine, ram: u64) -> Result<Images> {
    let dtb = machine.dtb.as_deref();
    if let Some(guest) = &machine.guest {
        let kernel = program::build(root, "guest-conformance")?.join(guest);
        return Images::read(&kernel, None, dtb, ram).map_err(usage);
    }
    if let Some(kernel) = &machine.kernel {
        return Images::read(kernel, machine.initrd.as_deref(), dtb, ram).map_err(usage);
    }
    let (kernel, initrd) = test_guest()?;
    Images::read(&kernel, Some(&initrd), dtb, ram).map_err(usage)
}

/// Kernel and initial RAM file system that `ci/setup` makes of Debian's packages, or those in the
/// folder that `VMM_GUEST` names.
///
/// # Errors
/// They are not there.
pub fn test_guest() -> Result<(PathBuf, PathBuf)> {
    let guest = match std::env::var_os("VMM_GUEST").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => cache()?.join("guest"),
    };
    let (kernel, initrd) = (guest.join("Image"), guest.join("initrd.cpio"));
    if !kernel.exists() || !initrd.exists() {
        let folder = guest.display();
        return Err(Error::Usage(format!(
            "there is no test guest in {folder}: run ci/setup, give --kernel, or set VMM_GUEST to a folder with Image and initrd.cpio"
        )));
    }
    Ok((kernel, initrd))
}

impl Values<'_> {
    fn placeholders(&self) -> profile::Values {
        let path = |path: &Path| Some(path.display().to_string());
        let file = |name: &str| path(&self.folder.join(name));
        let initrd = self.folder.join(vmm_plan::filenames::INITRD_FILE);
        let cpus = match self.facts.host {
            // An SMP kernel waits for all of its cores; virtual CPUs beyond them take turns.
            vmm_plan::Host::Microkit => self.cores,
            vmm_plan::Host::Baremetal => self.facts.cpus,
        };
        BTreeMap::from([
            ("image", self.image.as_deref().and_then(path)),
            ("load_address", Some(self.facts.load_address.clone())),
            ("kernel", file(vmm_plan::filenames::KERNEL_FILE)),
            ("initrd", path(&initrd).filter(|_| initrd.is_file())),
            ("dtb", file(vmm_plan::filenames::TREE_FILE)),
            ("append", Some(self.append.to_owned()).filter(|text| !text.is_empty())),
            ("ram_mib", Some(self.facts.ram_mib.to_string())),
            ("cpus", Some(cpus.to_string())),
            ("shim", self.shim.as_deref().and_then(path)),
        ])
    }
}

/// Sizes of the files in a folder, in bytes, by name.
pub fn sizes(folder: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        // What was built elsewhere may be links.
        let data = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
        Some((entry.file_name().into_string().ok()?, data.len()))
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_instructions_are_refused_on_several_cores_of_sel4() {
        let machine = |host, icount| Machine {
            host,
            icount,
            config: Some(Config::SmpRelease),
            ..Machine::default()
        };
        let error = check_computer(&machine(HostName::Microkit, true), 2).unwrap_err();
        assert_eq!(error.code(), 3);
        assert!(error.to_string().contains("leave out --icount"), "{error}");
        assert!(check_computer(&machine(HostName::Microkit, true), 1).is_ok());
        assert!(check_computer(&machine(HostName::Microkit, false), 1).is_ok());
        assert!(check_computer(&machine(HostName::Baremetal, true), 2).is_ok());
        let error = check_computer(&machine(HostName::Microkit, false), u32::MAX).unwrap_err();
        assert!(error.to_string().contains("an SDK for"), "{error}");
    }

    #[test]
    fn a_cache_that_is_empty_or_relative_is_not_set() {
        let path = |text: &str| Some(PathBuf::from(text));
        let in_home = path("/h/.cache/sel4-linux-vmm");
        assert_eq!(cache_of(path("/c"), path("/h")), path("/c/sel4-linux-vmm"));
        assert_eq!(cache_of(None, path("/h")), in_home);
        assert_eq!(cache_of(path(""), path("/h")), in_home);
        assert_eq!(cache_of(path("c"), path("/h")), in_home);
        assert_eq!(cache_of(path(""), path("")), None);
    }
}
