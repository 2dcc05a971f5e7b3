// SPDX-License-Identifier: BSD-2-Clause
//! Builds the programs without an operating system, and the Microkit image around one of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use elf::ElfBytes;
use elf::abi::PT_LOAD;
use elf::endian::LittleEndian;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::options::Config;
use crate::progress;

/// The target of everything without an operating system.
const TARGET: &str = "aarch64-unknown-none";

/// Builds one crate of the root workspace for the machine under it; returns the folder of its
/// programs. One target folder for all of them, so that `core` is built once.
///
/// # Errors
/// Cargo cannot be run, or the crate does not build.
pub fn build(root: &Path, package: &str) -> Result<PathBuf> {
    let target = absolute(&root.join("build/target"))?;
    run_cargo(bare_cargo(root), &target, None, package, BARE_LIBRARY)
}

/// As [`build`], for a crate that has the addresses of one board in it: its programs are in a folder
/// of that board's own, because the next board's are built over them.
///
/// # Errors
/// As above, or the crate cannot be built for this board.
pub fn build_for(root: &Path, package: &str, board: &str) -> Result<PathBuf> {
    let target = absolute(&root.join("build/target"))?;
    let programs = target.join("boards").join(board);
    let mut cargo = bare_cargo(root);
    let facts = absolute(&root.join("boards"))?.join(board).join("board.toml");
    cargo.env(vmm_plan::program::VARIABLE, facts);
    run_cargo(cargo, &target, Some(programs), package, BARE_LIBRARY)
}

/// None of the root workspace's programs without an operating system allocates.
const BARE_LIBRARY: &str = "core,compiler_builtins";

fn bare_cargo(root: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).env("RUSTC_BOOTSTRAP", "1");
    cargo
}

/// Bytes of a program in memory: its loadable segments, zeroed data included.
///
/// # Errors
/// The file cannot be read, or is no 64-bit little-endian ELF file.
pub fn memory_size(path: &Path) -> Result<u64> {
    let data = std::fs::read(path).map_err(|e| Error::file("read", path, &e))?;
    let wrong = |why: &str| Error::Build(format!("{}: {why}", path.display()));
    let file = ElfBytes::<LittleEndian>::minimal_parse(&data).map_err(|e| wrong(&e.to_string()))?;
    let segments = file.segments().ok_or_else(|| wrong("it has no segments"))?;
    let loaded = segments.iter().filter(|segment| segment.p_type == PT_LOAD);
    Ok(loaded.map(|segment| segment.p_memsz).fold(0, u64::saturating_add))
}

/// The Microkit SDK that `MICROKIT_SDK` names.
#[derive(Clone, Debug)]
pub struct Sdk {
    root: PathBuf,
}

impl Sdk {
    /// Finds it.
    ///
    /// # Errors
    /// The variable is not set, or names no SDK.
    pub fn find() -> Result<Self> {
        let hint = "set it to the folder of a Microkit SDK (docs/sdk.md), or use --host baremetal, which needs none";
        let root = std::env::var_os("MICROKIT_SDK")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
            .ok_or_else(|| Error::Usage(format!("MICROKIT_SDK is not set: {hint}")))?;
        if !root.join("bin/microkit").is_file() {
            let root = root.display();
            let text = format!("MICROKIT_SDK is {root}, which has no bin/microkit: {hint}");
            return Err(Error::Usage(text));
        }
        Ok(Self { root: absolute(&root)? })
    }

    /// Folder of the kernel for one of the SDK's boards.
    fn kernel(&self, board: &str, config: Config) -> Result<PathBuf> {
        let kernel = self.root.join("board").join(board).join(config.name());
        if kernel.is_dir() {
            return Ok(kernel);
        }
        let (sdk, config) = (self.root.display(), config.name());
        let have = boards(&self.root.join("board"));
        Err(Error::Usage(format!("the SDK at {sdk} has no board {board}/{config}; it has: {have}")))
    }

    /// The file in which the kernel for one of the SDK's boards says how it was built.
    ///
    /// # Errors
    /// The SDK has no such board.
    pub fn kernel_facts(&self, board: &str, config: Config) -> Result<PathBuf> {
        Ok(self.kernel(board, config)?.join("include/kernel/gen_config.json"))
    }

    /// Cores that the kernel for one of the SDK's boards runs on.
    ///
    /// # Errors
    /// The SDK has no such board, or its description of the kernel does not read.
    pub fn cores(&self, board: &str, config: Config) -> Result<u32> {
        cores_of(&self.kernel_facts(board, config)?)
    }

    /// Whether a guest's debug exceptions stay the guest's (`KernelHardwareDebugAPI`).
    ///
    /// # Errors
    /// The SDK has no such board, or its description of the kernel does not read.
    pub fn survives_stepping(&self, board: &str, config: Config) -> Result<bool> {
        survives_stepping(&self.kernel_facts(board, config)?)
    }

    /// Builds the monitor as a protection domain for one of the SDK's boards; returns its file.
    ///
    /// # Errors
    /// The SDK has no such board, or the monitor does not build.
    pub fn monitor(&self, root: &Path, board: &str, config: Config) -> Result<PathBuf> {
        let kernel = self.kernel(board, config)?;
        let folder = root.join("vmm/hosts/microkit");
        // The kernel's headers are an input that cargo does not see: one target folder for each.
        let target = root.join(format!("build/target-{board}-{}", config.name()));
        let mut cargo = microkit_cargo(&folder)?;
        cargo.current_dir(&folder).env("SEL4_INCLUDE_DIRS", kernel.join("include"));
        // Cargo's own git does not read what git is told of mirrors and certificates.
        cargo.env("CARGO_NET_GIT_FETCH_WITH_CLI", "true");
        let library = "core,alloc,compiler_builtins";
        Ok(run_cargo(cargo, &absolute(&target)?, None, "vmm-microkit", library)?.join("vmm"))
    }

    /// Packs the system file in `folder`, and what it names, into `loader.img` there.
    ///
    /// # Errors
    /// The tool refuses; its words are in the text.
    pub fn pack(&self, folder: &Path, board: &str, config: Config) -> Result<()> {
        let mut tool = Command::new(self.root.join("bin/microkit"));
        tool.env("MICROKIT_SDK", &self.root)
            .arg(folder.join(vmm_plan::filenames::SYSTEM_FILE))
            .args(["--board", board, "--config", config.name(), "--search-path"])
            .arg(folder)
            .arg("-o")
            .arg(folder.join(vmm_plan::filenames::LOADER_FILE))
            .arg("-r")
            .arg(folder.join("report.txt"));
        run(tool, "the Microkit image")
    }
}

/// Whether a guest's debug exceptions stay the guest's, by the file `gen_config.json` of the kernel.
///
/// # Errors
/// The file cannot be read.
pub fn survives_stepping(path: &Path) -> Result<bool> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
    Ok(has_debug_api(&text))
}

/// Whether a kernel's `gen_config.json` names the option, and has it on.
fn has_debug_api(text: &str) -> bool {
    let values: Option<serde_json::Value> = serde_json::from_str(text).ok();
    values.is_some_and(|values| values.get("HARDWARE_DEBUG_API") == Some(&true.into()))
}

/// Cores that a kernel runs on, by the file `gen_config.json` that comes with it.
///
/// # Errors
/// The file cannot be read, or does not say.
pub fn cores_of(path: &Path) -> Result<u32> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
    cores(&text).ok_or_else(|| {
        Error::Usage(format!(
            "{} does not say on how many cores the kernel runs (ENABLE_SMP_SUPPORT, MAX_NUM_NODES)",
            path.display()
        ))
    })
}

/// The boards of an SDK with their configurations.
fn boards(folder: &Path) -> String {
    let within = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let configs = within(folder).into_iter().flat_map(|board| within(&board));
    let names =
        configs.filter_map(|path| Some(path.strip_prefix(folder).ok()?.display().to_string()));
    let mut names: Vec<_> = names.collect();
    names.sort();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Cores in a kernel's `gen_config.json`: one without SMP support, whatever the limit.
fn cores(text: &str) -> Option<u32> {
    let values: serde_json::Value = serde_json::from_str(text).ok()?;
    if !values.get("ENABLE_SMP_SUPPORT")?.as_bool()? {
        return Some(1);
    }
    let number = values.get("MAX_NUM_NODES")?;
    let number = number.as_u64().or_else(|| number.as_str()?.parse().ok())?;
    u32::try_from(number).ok().filter(|cores| *cores > 0)
}

/// The cargo for rust-sel4. Its toolchain file names a nightly; where rustup does not have that
/// one, Debian's rustc does the work, under whichever cargo there is.
fn microkit_cargo(folder: &Path) -> Result<Command> {
    #[derive(Deserialize)]
    struct File {
        toolchain: Toolchain,
    }
    #[derive(Deserialize)]
    struct Toolchain {
        channel: String,
    }
    let path = folder.join("rust-toolchain.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| Error::file("read", &path, &e))?;
    let file: File =
        toml::from_str(&text).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
    let channel = file.toolchain.channel;
    let which = |arguments: &[&str]| {
        let mut rustup = Command::new("rustup");
        rustup.arg("which").args(arguments).current_dir("/").stderr(Stdio::null());
        let output = rustup.output().ok().filter(|output| output.status.success())?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    if let (Some(cargo), Some(rustc)) =
        (which(&["--toolchain", &channel, "cargo"]), which(&["--toolchain", &channel, "rustc"]))
    {
        let mut command = Command::new(cargo);
        command.env("RUSTC", rustc);
        return Ok(command);
    }
    // The environment has the right one (`nix develop`): what PATH says is meant.
    if std::env::var_os("VMM_TOOLS").is_some_and(|value| value == "provided") {
        let mut command = Command::new("cargo");
        command.env("RUSTC_BOOTSTRAP", "1");
        return Ok(command);
    }
    let mut command = Command::new(which(&["cargo"]).unwrap_or_else(|| "/usr/bin/cargo".into()));
    command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
    Ok(command)
}

/// What this program has built: all guests of a run are of one build, and cargo is asked once.
static BUILT: Mutex<BTreeSet<(PathBuf, String)>> = Mutex::new(BTreeSet::new());

/// Builds a package; its programs are copied to `copies`, which is the folder that comes back, or stay
/// in `target`.
fn run_cargo(
    mut cargo: Command,
    target: &Path,
    copies: Option<PathBuf>,
    package: &str,
    library: &str,
) -> Result<PathBuf> {
    let copied = copies.is_some();
    let programs = copies.unwrap_or_else(|| target.join(TARGET).join("release"));
    // Whoever else wants to build waits here.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let this = (programs.clone(), package.to_owned());
    if built.contains(&this) {
        return Ok(programs);
    }
    cargo
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["--package", package])
        .arg(format!("-Zbuild-std={library}"))
        .args(["-Zbuild-std-features=compiler-builtins-mem", "--target-dir"])
        .arg(target);
    if copied {
        // Cargo copies while it holds the lock of the target folder.
        cargo.args(["-Zunstable-options", "--artifact-dir"]).arg(&programs);
    }
    cargo
        // Debian ships no rust-lld.
        .env("CARGO_TARGET_AARCH64_UNKNOWN_NONE_LINKER", "ld.lld");
    run(cargo, package)?;
    built.insert(this);
    Ok(programs)
}

/// Runs a build step; its words matter only when it fails. A terminal sees that it runs.
fn run(command: Command, product: &str) -> Result<()> {
    let failed = |why: &str| Error::Build(format!("{product} does not build: {why}"));
    let program = command.get_program().display().to_string();
    let output = progress::output(command, &format!("building {product}, then: what boots it"))
        .map_err(|e| failed(&format!("cannot start {program}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    if let Some(why) = unavailable(&words) {
        return Err(Error::Usage(format!("{product} does not build: {why}")));
    }
    Err(failed(&format!("{}\n{}", output.status, words.trim_end())))
}

/// What cargo lacks that no source can mend, in a sentence (that of the network also in ci/toolchain.sh).
fn unavailable(words: &str) -> Option<&'static str> {
    const NETWORK: [&str; 6] = [
        "failed to download",
        "download of config.json failed",
        "could not resolve host",
        "network failure seems to have happened",
        "failed to fetch",
        "could not connect to server",
    ];
    let lower = words.to_lowercase();
    if NETWORK.iter().any(|text| lower.contains(text)) {
        return Some(
            "the crates that it needs are not on this computer, and the network does not give them: run it once where there is one",
        );
    }
    if words.contains("git_proxy_options") {
        return Some(
            "Debian 12's cargo cannot check out crates from git (its libgit2 is older than it). Install rustup, \
             which brings a cargo that can: https://rustup.rs. Debian's rustc goes on doing the work",
        );
    }
    words.contains("Read-only file system").then_some(
        "the checkout is on a read-only file system, and target/ and build/ have to be made in it: use a copy",
    )
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::file("find", path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_api_is_read_from_the_kernels_description() {
        assert!(has_debug_api(r#"{"HARDWARE_DEBUG_API": true}"#));
        for text in [r#"{"HARDWARE_DEBUG_API": false}"#, "{}", ""] {
            assert!(!has_debug_api(text), "{text}");
        }
    }

    #[test]
    fn a_board_that_the_sdk_lacks_is_refused_with_those_that_it_has() {
        let root = std::env::temp_dir().join(format!("harness-{}-sdk", std::process::id()));
        for board in ["maaxboard/debug", "maaxboard/release"] {
            std::fs::create_dir_all(root.join("board").join(board)).unwrap();
        }
        let sdk = Sdk { root: root.clone() };
        let error = sdk.kernel("qemu", Config::Release).unwrap_err();
        std::fs::remove_dir_all(root).unwrap();
        assert_eq!(error.code(), 3);
        let error = error.to_string();
        assert!(error.ends_with("it has: maaxboard/debug, maaxboard/release"), "{error}");
    }

    #[test]
    fn what_builds_is_built_once_and_what_does_not_is_tried_again() {
        let target = std::env::temp_dir().join(format!("harness-{}-once", std::process::id()));
        std::fs::create_dir_all(&target).unwrap();
        let tries = target.join("tries");
        let build = |status: &str| {
            let mut cargo = Command::new("/bin/sh");
            cargo.args(["-c", &format!("echo >>'{}'; {status}", tries.display())]);
            run_cargo(cargo, &target, None, "package", "core")
        };
        assert!(build("false").is_err());
        let programs = build("true").unwrap();
        assert_eq!(build("false").unwrap(), programs);
        let tries = std::fs::read_to_string(tries).unwrap();
        std::fs::remove_dir_all(target).unwrap();
        assert_eq!(tries.lines().count(), 2);
    }

    #[test]
    fn what_no_source_can_mend_is_told_in_a_sentence() {
        let words = "error: failed to download from `https://example.org/x`\n\nCaused by: ...";
        assert!(unavailable(words).is_some_and(|why| why.contains("network")));
        let words = "Caused by:\n  invalid version 0 on git_proxy_options; class=Invalid (3)";
        assert!(unavailable(words).is_some_and(|why| why.contains("rustup")));
        let words = "error: could not write: Read-only file system (os error 30)";
        assert!(unavailable(words).is_some_and(|why| why.contains("read-only")));
        assert_eq!(unavailable("error[E0308]: mismatched types"), None);
    }

    #[test]
    fn cores_are_read_from_the_kernels_description() {
        for (text, is) in [
            (r#"{"ENABLE_SMP_SUPPORT":true,"MAX_NUM_NODES":"4"}"#, Some(4)),
            (r#"{"ENABLE_SMP_SUPPORT":true,"MAX_NUM_NODES":2}"#, Some(2)),
            (r#"{"ENABLE_SMP_SUPPORT":false,"MAX_NUM_NODES":"8"}"#, Some(1)),
            (r#"{"ENABLE_SMP_SUPPORT":true,"MAX_NUM_NODES":"0"}"#, None),
            (r#"{"ENABLE_SMP_SUPPORT":true}"#, None),
            (r#"{"MAX_NUM_NODES":"4"}"#, None),
            ("", None),
        ] {
            assert_eq!(cores(text), is, "{text}");
        }
    }
}
