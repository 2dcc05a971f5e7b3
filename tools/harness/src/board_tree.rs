// SPDX-License-Identifier: BSD-2-Clause
//! The board's own device tree, from which a report names the devices that a guest was not given.

use std::path::Path;
use std::process::{Command, Stdio};

use vmm_plan::dt::{self, Tree};
use vmm_plan::{Board, Checked};

use crate::emulator;
use crate::error::{Error, Result};
use crate::image;
use crate::options::Machine;
use crate::profile::{BoardTree, Profile, option_value};

/// Reads the tree that the machine's profile names. `None`, with a line that says so, where it is
/// not there: everything works without it, but reports then name no device.
///
/// # Errors
/// The profile cannot be read, or what it names is no device tree.
pub fn find(root: &Path, machine: &Machine, board: &Board, folder: &Path) -> Result<Option<Tree>> {
    let usage = |e: vmm_plan::PlanError| Error::Usage(e.to_string());
    let gic = board.gic_for(image::plan_host(machine), machine.gic).map_err(usage)?;
    let Some(name) = machine.profile.clone().or_else(|| gic.profiles().first().cloned()) else {
        return Ok(None);
    };
    let profile = Profile::load(root, &name)?;
    let path = match &profile.board_tree {
        None => return Ok(None),
        Some(BoardTree::File(file)) => image::cache()?.join("guest").join(file),
        Some(BoardTree::Machine(machine)) => {
            let path = folder.join(format!("{name}.dtb"));
            let dump = format!("{machine},dumpdtb={}", option_value(&path.display().to_string()));
            let mut qemu = Command::new(emulator::find(&profile.program)?);
            qemu.args([
                "-machine",
                &dump,
                "-cpu",
                "cortex-a53",
                // As much as the profiles give it: the planner compares.
                "-m",
                "2048",
                "-display",
                "none",
                "-nic",
                "none",
            ]);
            let done =
                qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !done.is_ok_and(|status| status.success()) {
                return Err(Error::Build(format!(
                    "{} did not write its device tree",
                    profile.program
                )));
            }
            path
        }
    };
    if !path.is_file() {
        crate::show::err(format_args!(
            "note: there is no {}, which tools/machines/{name}.toml names: reports will name no device \
             until the board's device tree is put there",
            path.display()
        ));
        return Ok(None);
    }
    Ok(Some(dt::read_file(&path).map_err(usage)?.1))
}

/// Plans a guest, its board's tree at hand, and checks the plan; what is accepted or worth knowing
/// is printed.
///
/// # Errors
/// As [`find`]; or the guest does not fit, or something is wrong with it.
pub fn plan(
    root: &Path,
    machine: &Machine,
    board: &Board,
    wish: &vmm_plan::Wish,
    images: vmm_plan::Images,
) -> Result<Checked> {
    let folder = root.join("build");
    std::fs::create_dir_all(&folder).map_err(|e| Error::file("make", &folder, &e))?;
    let tree = find(root, machine, board, &folder)?;
    let checked = Checked::new(board, wish, images, tree);
    let checked = checked.map_err(|e| Error::Usage(e.to_string()))?;
    for finding in checked.notes() {
        crate::show::err(format_args!("{finding}"));
    }
    Ok(checked)
}
