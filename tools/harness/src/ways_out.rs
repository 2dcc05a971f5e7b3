// SPDX-License-Identifier: BSD-2-Clause
//! The three ways out of a fault report, each taken as it is printed: `ci/drills` boots a guest
//! whose tree has a device that it was not given, and then once more for each way.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use vmm_plan::finding::Rule;
use vmm_plan::wish::{Accept, Pass};

use crate::boot;
use crate::drill;
use crate::error::{Error, Result};
use crate::image::{self, Image};
use crate::options::{BootOptions, GuestConfig, Machine};
use crate::report::Run;

/// A device of QEMU's machine that is easily given: a clock with a page of its own.
pub const DEVICE: &str = "/pl031@9010000";
/// The function by which Debian's kernel starts the driver of the second way. The option that the
/// report names takes it out of a kernel that is built anew; this one leaves it out at boot.
const DRIVER: &str = "initcall_blacklist=pl031_driver_init";
/// The option of the same driver (Linux drivers/rtc/Makefile), as the report must name it.
const OPTION: &str = "RTC_DRV_PL031 is not set";

/// A tree for the guest with [`DEVICE`] in it, enabled.
///
/// # Errors
/// Nothing can be planned, or the tree cannot be written.
pub fn tree(root: &Path, machine: &Machine) -> Result<PathBuf> {
    let pass = Pass::parse(DEVICE).map_err(Error::Usage)?;
    let with = Machine { pass: vec![pass], ..machine.clone() };
    drill::given(
        &drill::folder(root, machine),
        "with-device.dtb",
        &image::plan(root, &with)?.plan().dtb,
    )
}

/// The node as it says itself which PrimeCell it is, so that Linux's bus does not read that (Linux
/// bindings arm/primecell.yaml): its driver alone touches it then, and all three ways are ways out.
const IDENTIFIED: &str = "&{/pl031@9010000} { arm,primecell-periphid = <0x00041031>; };";

/// Takes each way; what went wrong, in a line each.
///
/// # Errors
/// A guest cannot be prepared.
pub fn run(root: &Path, config: &GuestConfig) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let dtb = tree(root, &config.machine())?;
    let Some(dtb) = appended(&dtb, IDENTIFIED, "identified.dtb")? else {
        crate::show::err(format_args!("the three ways out: left out, dtc is not installed"));
        return Ok(wrong);
    };
    let with_tree = Machine { dtb: Some(dtb.clone()), ..config.machine() };
    let stopped = Machine { accept: vec![Accept::all(Rule::NodeUnmapped)], ..with_tree.clone() };
    let report = boot_once(root, &stopped)?;
    if report.exit_code != 2 {
        return Ok(vec![format!("{DEVICE} in the guest's tree: {}", report.message)]);
    }
    let behind = |begin: &str| {
        let line = report.monitor.iter().find_map(|line| line.trim().strip_prefix(begin));
        line.map(|rest| rest.trim().to_owned())
    };
    // The line of the first way begins with the node, that of the second is a line of a
    // configuration, and the third is an option.
    let (node, option, pass) = (behind("&{"), behind("# CONFIG_"), behind("3. Give the device to"));
    let mut take = |way: &str, machine: Machine| -> Result<()> {
        let run = boot_once(root, &machine)?;
        crate::show::err(format_args!("{way}: {}", run.message));
        if run.exit_code != 0 {
            wrong.push(format!("{way}: {}", run.message));
        }
        Ok(())
    };
    let (Some(node), Some(option), Some(pass)) = (node, option, pass) else {
        return Ok(vec![format!("not three ways out: {:?}", report.monitor)]);
    };
    let disabled = appended(&dtb, &format!("&{{{node}"), "disabled.dtb")?;
    take(&format!("1. &{{{node}"), Machine { dtb: disabled, ..with_tree.clone() })?;
    if option != OPTION {
        return Ok(vec![format!("2. # CONFIG_{option}: it is # CONFIG_{OPTION}")]);
    }
    let without = Machine { append: DRIVER.into(), ..stopped.clone() };
    take(&format!("2. # CONFIG_{option}"), without)?;
    let pass = pass.split("--pass ").nth(1).unwrap_or_default();
    let passed = vec![Pass::parse(pass).map_err(Error::Usage)?];
    take(&format!("3. --pass {pass}"), Machine { pass: passed, ..with_tree.clone() })?;
    Ok(wrong)
}

/// Boots to the shell and powers off.
fn boot_once(root: &Path, machine: &Machine) -> Result<Run> {
    let image = Image::prepare(root, machine)?;
    let options = BootOptions { machine: machine.clone(), ..BootOptions::default() };
    boot::once(&image, machine, boot::linux(&options), 1)
}

/// The tree with lines at the end of its source, by dtc, in a file of that name; `None` where dtc is
/// not installed.
fn appended(dtb: &Path, lines: &str, name: &str) -> Result<Option<PathBuf>> {
    let source = Command::new("dtc").args(["-q", "-I", "dtb", "-O", "dts"]).arg(dtb).output();
    let Ok(source) = source else { return Ok(None) };
    let text = format!("{}\n{lines}\n", String::from_utf8_lossy(&source.stdout));
    let changed = dtb.with_file_name(name);
    let failed = |e: std::io::Error| Error::file("write", &changed, &e);
    let mut dtc = Command::new("dtc")
        .args(["-q", "-I", "dts", "-O", "dtb", "-o"])
        .arg(&changed)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = dtc.stdin.take() {
        input.write_all(text.as_bytes()).map_err(failed)?;
    }
    if !dtc.wait().map_err(failed)?.success() {
        return Err(Error::Build(format!("dtc does not take, at the end of the tree: {lines}")));
    }
    Ok(Some(changed))
}
