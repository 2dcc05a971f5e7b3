// SPDX-License-Identifier: BSD-2-Clause
//! `ci/drills`: things that go wrong, and how `ci/boot` ends then. docs/failures.md has the table of
//! what must happen; this has what to break.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vmm_plan::filenames::{KERNEL_FILE, PLAN_FILE};
use vmm_plan::finding::Rule;
use vmm_plan::wish::{Accept, Pass};

use crate::boot;
use crate::emulator::Mishap;
use crate::error::{Error, Result};
use crate::image::{self, Image};
use crate::options::{BootOptions, GuestConfig, HostName, Machine};
use crate::session::Step;
use crate::ways_out;

/// What must happen.
const TABLE: &str = "docs/failures.md";

/// Silence after which a guest that nobody hears is given up.
const SILENCE: u64 = 5;

/// What goes wrong.
#[derive(Clone, Copy)]
enum Trouble {
    /// The kernel's bytes.
    Kernel(fn(&mut [u8])),
    /// The initial RAM file system, and boot arguments.
    Initrd(fn(&Path) -> Result<Vec<u8>>, &'static str),
    /// The guest's device tree, and what is accepted.
    Tree(fn(&mut [u8]), &'static [Rule]),
    /// A device of a board's tree that is passed through.
    Pass(&'static str, &'static str),
    /// A device in the guest's own tree that it was not given, and what is accepted.
    NotGiven(&'static [Rule]),
    /// Guest RAM in MiB.
    Ram(u64),
    /// A file of the plan, before the image is made of it.
    Planned(&'static str, fn(&mut [u8]) -> Kept),
    /// A command at the guest's shell.
    Command(&'static str),
    /// The emulator.
    Emulator(Mishap),
}

/// Whether a damaged file is still there.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    Yes,
    No,
}

/// QEMU's own machine.
const QEMU: &str = "qemu_virt_aarch64";
/// A board with more devices. What is passed through there ends before anything is built.
const MAAXBOARD: &str = "maaxboard";
/// With all that its driver can do without.
const CARD: &str = "mmc@30b40000,clocks=200000000,drop=pins+supplies";
/// The same.
const CAMERA: &str = "csi@30a90000,clocks=100000000,drop=power+resets+others+pins";

/// Everything that can be tried, by its name in docs/failures.md.
const DRILLS: &[(&str, Trouble)] = &[
    ("kernel without its header", Trouble::Kernel(|kernel| fill(kernel, ..64))),
    ("kernel with zeros for code", Trouble::Kernel(|kernel| fill(kernel, 64..))),
    ("initrd cut short", Trouble::Initrd(|path| Ok(half(read(path)?)), "")),
    ("compressed initrd cut short", Trouble::Initrd(|path| Ok(half(compressed(path)?)), "")),
    (
        "kernel that panics and restarts",
        Trouble::Initrd(|path| Ok(half(compressed(path)?)), "panic=1"),
    ),
    ("device tree of another GIC", Trouble::Tree(other_gic, &[])),
    (
        "device tree of another GIC, accepted",
        Trouble::Tree(other_gic, &[Rule::GicMismatch, Rule::IrqOfDisabledNode, Rule::DmaUnknown]),
    ),
    ("device of the guest's tree that it was not given", Trouble::NotGiven(&[])),
    ("the same, accepted", Trouble::NotGiven(&[Rule::NodeUnmapped])),
    ("file of the plan missing", Trouble::Planned(KERNEL_FILE, |_| Kept::No)),
    ("plan block of another version", Trouble::Planned(PLAN_FILE, next_version)),
    ("plan block damaged", Trouble::Planned(PLAN_FILE, damage)),
    ("device passed through that shares its page", Trouble::Pass(QEMU, "/virtio_mmio@a003e00")),
    ("bus master passed through", Trouble::Pass(QEMU, "/fw-cfg@9020000")),
    ("PCI bridge passed through", Trouble::Pass(QEMU, "/pcie@10000000")),
    ("SD card controller passed through", Trouble::Pass(MAAXBOARD, CARD)),
    ("camera passed through", Trouble::Pass(MAAXBOARD, CAMERA)),
    ("guest RAM too small", Trouble::Ram(2)),
    ("command that fails behind a boot message", Trouble::Command("dmesg | head -1; false")),
    ("command that prints a stop of its own", Trouble::Command(FORGED)),
    ("command that restarts the machine unasked", Trouble::Command("reboot -f")),
    ("kernel that reports a bug", Trouble::Command("echo '<2>BUG: a drill' >/dev/kmsg; sleep 1")),
    ("console unplugged", Trouble::Emulator(Mishap::Unplugged)),
    ("emulator killed while Linux boots", Trouble::Emulator(Mishap::Killed)),
];

/// A line like the monitor's, as good as the guest can make it that does not know the counters.
const FORGED: &str = r#"printf '\n@{"v":1,"event":"stop","kind":"unknown-exit"}\n'"#;

/// Tries everything and prints the table. The exit code is 1 if something ends in another way than
/// docs/failures.md says.
///
/// # Errors
/// docs/failures.md cannot be read, or a drill cannot be prepared.
pub fn run(root: &Path, config: &GuestConfig) -> Result<u8> {
    let table = root.join(TABLE);
    let table = fs::read_to_string(&table).map_err(|e| Error::file("read", &table, &e))?;
    let mut code = 0;
    crate::show::out(format_args!("| What goes wrong | Exit code | What is said |\n|---|---|---|"));
    for &(name, trouble) in DRILLS {
        let of_qemu = matches!(trouble, Trouble::Pass(..) | Trouble::NotGiven(_));
        if of_qemu && !is_qemu(&config.board) {
            crate::show::err(format_args!(
                "{name}: left out, its node is in the tree of QEMU's machine"
            ));
            continue;
        }
        let (exit_code, sentence) = attempt(root, config, trouble)?;
        let sentence = sentence.replace(&format!("{}/", root.display()), "").replace('|', "\\|");
        let row = format!("| {name} | {exit_code} | {sentence} |");
        crate::show::out(format_args!("{row}"));
        if let Some(complaint) = complaint(&table, name, &row) {
            crate::show::err(format_args!("error: {name}: {complaint}"));
            code = 1;
        }
    }
    if is_qemu(&config.board) {
        for wrong in ways_out::run(root, config)? {
            crate::show::err(format_args!("error: a way out leads nowhere: {wrong}"));
            code = 1;
        }
    }
    Ok(code)
}

/// Whether that is the board that QEMU's own machine is.
fn is_qemu(board: &str) -> bool {
    matches!(board, "qemu" | QEMU)
}

/// What a row differs in from the document's; `None` if it does not.
fn complaint(document: &str, name: &str, row: &str) -> Option<String> {
    let is_it = |line: &&str| line.starts_with(&format!("| {name} |"));
    let Some(should) = document.lines().find(is_it) else {
        return Some(format!("{TABLE} has no such row"));
    };
    (but_for_numbers(should) != but_for_numbers(row)).then(|| format!("{TABLE} has: {should}"))
}

/// Sizes, addresses, versions and names of consoles depend on kernel, board and host; everything else counts, the exit
/// code too.
fn but_for_numbers(row: &str) -> String {
    let (head, sentence) = row.rsplit_once(" | ").unwrap_or((row, ""));
    let words = sentence.split(|c: char| c.is_whitespace() || "()'/.,:@".contains(c));
    let mut plain: Vec<_> = words
        .filter(|word| !word.is_empty())
        .map(|word| {
            let number = word.trim_start_matches("GICv").starts_with(|c: char| c.is_ascii_digit());
            let console = word.starts_with("tty");
            let unit = matches!(word, "B" | "KiB" | "MiB" | "GiB");
            if number || console || unit { "#" } else { word }
        })
        .collect();
    plain.dedup();
    format!("{head} | {}", plain.join(" "))
}

/// How `ci/boot` ends: its exit code, and the sentence that it prints last.
fn attempt(root: &Path, config: &GuestConfig, trouble: Trouble) -> Result<(u8, String)> {
    let (kernel, initrd) = image::test_guest()?;
    let mut machine = config.machine();
    let folder = folder(root, &machine);
    let mut timeout = BootOptions::default().timeout;
    let mut mishap = None;
    let mut run = Vec::new();
    match trouble {
        Trouble::Kernel(damage) => {
            let mut bytes = read(&kernel)?;
            damage(&mut bytes);
            machine.kernel = Some(given(&folder, "kernel", &bytes)?);
            machine.initrd = Some(initrd);
        }
        Trouble::Initrd(make, append) => {
            machine.append = append.into();
            // The size at the end of what is cut short is any number.
            machine.accept = accepted(&[Rule::InitramfsTooBig]);
            machine.initrd = Some(given(&folder, "initrd", &make(&initrd)?)?);
            machine.kernel = Some(kernel);
        }
        Trouble::NotGiven(rules) => {
            machine.dtb = Some(ways_out::tree(root, &machine)?);
            machine.accept = accepted(rules);
        }
        Trouble::Tree(damage, rules) => {
            let mut bytes = image::plan(root, &machine)?.plan().dtb.clone();
            damage(&mut bytes);
            machine.dtb = Some(given(&folder, "dtb", &bytes)?);
            machine.accept = accepted(rules);
        }
        Trouble::Pass(board, node) => {
            if board != QEMU {
                // The SDK may not have that board.
                (machine.board, machine.host, machine.gic) =
                    (board.into(), HostName::Baremetal, None);
            }
            machine.pass = Pass::parse(node).into_iter().collect();
        }
        Trouble::Ram(mib) => machine.ram = Some(mib),
        Trouble::Command(command) => run.push(Step::command(command)),
        Trouble::Planned(..) => {}
        Trouble::Emulator(kind) => {
            mishap = Some(kind);
            timeout = if kind == Mishap::Unplugged { SILENCE } else { timeout };
        }
    }
    let after_planning = |folder: &Path| match trouble {
        Trouble::Planned(file, damage) => replace(&folder.join(file), damage),
        _ => Ok(()),
    };
    let options = BootOptions { machine, timeout, run, ..BootOptions::default() };
    let ended = boot_once(root, &options, mishap, after_planning);
    Ok(ended.unwrap_or_else(|error| {
        let text = error.to_string();
        // Of several findings the first.
        let finding = text.lines().find(|line| line.starts_with("error "));
        (error.code(), finding.unwrap_or(&text).to_owned())
    }))
}

fn boot_once(
    root: &Path,
    options: &BootOptions,
    mishap: Option<Mishap>,
    after_planning: impl Fn(&Path) -> Result<()>,
) -> Result<(u8, String)> {
    let mut image = Image::prepare_with(root, &options.machine, after_planning)?;
    image.emulator.mishap = mishap;
    let run = boot::once(&image, &options.machine, boot::linux(options), 1)?;
    Ok((run.exit_code, run.message))
}

/// Findings that the plan may have; a name that there is not is missing then, and the drill ends in
/// another way.
fn accepted(rules: &[Rule]) -> Vec<Accept> {
    rules.iter().copied().map(Accept::all).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| Error::file("read", path, &e))
}

/// Where the drills on a machine have their files.
pub fn folder(root: &Path, machine: &Machine) -> PathBuf {
    root.join("build/drills").join(format!("{}-{}", machine.board, machine.host.name()))
}

/// Writes a file for a drill.
///
/// # Errors
/// The folder cannot be made or written to.
pub fn given(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, bytes));
    written.map_err(|e| Error::file("write", &path, &e)).map(|()| path)
}

fn replace(path: &Path, damage: fn(&mut [u8]) -> Kept) -> Result<()> {
    let mut bytes = read(path)?;
    let done = match damage(&mut bytes) {
        Kept::Yes => fs::write(path, bytes),
        Kept::No => fs::remove_file(path),
    };
    done.map_err(|e| Error::file("replace", path, &e))
}

fn fill(bytes: &mut [u8], range: impl std::slice::SliceIndex<[u8], Output = [u8]>) {
    if let Some(part) = bytes.get_mut(range) {
        part.fill(0);
    }
}

fn half(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.len();
    bytes.truncate(length / 2);
    bytes
}

fn compressed(path: &Path) -> Result<Vec<u8>> {
    let packed = Command::new("gzip").arg("--stdout").arg(path).output();
    packed.map(|output| output.stdout).map_err(|e| Error::file("compress", path, &e))
}

/// Names a controller that neither board has.
fn other_gic(tree: &mut [u8]) {
    for (name, other) in
        [(&b"arm,cortex-a15-gic"[..], &b"arm,cortex-a99-gic"[..]), (b"arm,gic-v3", b"arm,gic-v9")]
    {
        let found = tree.windows(name.len()).position(|window| window == name);
        let place = found.and_then(|at| tree.get_mut(at..)?.get_mut(..other.len()));
        if let Some(place) = place {
            place.copy_from_slice(other);
        }
    }
}

/// The version is the 32-bit word behind eight bytes of magic (vmm/core/src/plan/mod.rs, `Header`).
fn next_version(block: &mut [u8]) -> Kept {
    if let Some(version) = block.get_mut(8) {
        *version = version.wrapping_add(1);
    }
    Kept::Yes
}

/// Flips a bit behind the header.
fn damage(block: &mut [u8]) -> Kept {
    if let Some(byte) = block.get_mut(100) {
        *byte ^= 1;
    }
    Kept::Yes
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "| guest RAM too small | 3 | the kernel takes 34 MiB (0x40000000..0x42200000), but 2 MiB are left |";

    #[test]
    fn a_row_may_differ_in_its_numbers() {
        let readme = format!("# Title\n{ROW}\n");
        let other = "| guest RAM too small | 3 | the kernel takes 900 KiB (0x80000000..0x9), but 1.5 MiB are left |";
        assert_eq!(complaint(&readme, "guest RAM too small", other), None);
    }

    #[test]
    fn a_row_may_not_differ_in_its_code_or_words() {
        for (from, to) in [("| 3 |", "| 2 |"), ("left", "right"), ("takes", "took")] {
            let text = complaint(ROW, "guest RAM too small", &ROW.replace(from, to));
            assert!(
                text.is_some_and(|text| text.contains("docs/failures.md has: ")),
                "{from} {to}"
            );
        }
    }

    #[test]
    fn a_missing_row_is_noticed() {
        assert!(complaint("# Title\n", "guest RAM too small", ROW).is_some());
    }

    #[test]
    fn the_document_has_a_row_for_every_drill() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let readme = fs::read_to_string(root.join(TABLE)).unwrap();
        for &(name, _) in DRILLS {
            let row = format!("| {name} |");
            assert_eq!(readme.matches(&row).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_tree_names_another_controller_afterwards() {
        for name in ["arm,cortex-a15-gic", "arm,gic-v3"] {
            let mut tree = format!("before\0{name}\0after").into_bytes();
            other_gic(&mut tree);
            let text = String::from_utf8(tree).unwrap();
            assert!(!text.contains(name) && text.ends_with("\0after"), "{text}");
        }
    }
}
