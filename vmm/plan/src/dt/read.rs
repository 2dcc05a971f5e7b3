// SPDX-License-Identifier: BSD-2-Clause
//! Reading a tree from a blob, or from source by Debian's `dtc`.

use std::path::Path;
use std::process::{Command, Stdio};

use dtoolkit::model::DeviceTree;

use super::{Tree, blob};
use crate::error::PlanError;
use crate::input;

/// Most bytes of a board's tree, many times what the longest of Linux's has.
const MAX_FILE: u64 = 16 << 20;

/// Reads a flattened tree. `which` names it in errors.
///
/// # Errors
/// [`PlanError::Tree`] says what is wrong with it.
pub fn read(which: &str, bytes: &[u8]) -> Result<(DeviceTree, Tree), PlanError> {
    let wrong = |why| PlanError::Tree { which: which.into(), why };
    let model = blob::read(bytes).map_err(wrong)?;
    let tree = Tree::new(&model);
    Ok((model, tree))
}

/// Reads `path`: a blob, or source if the name ends with `.dts` (compiled with `dtc`).
///
/// # Errors
/// The file does not read, or is no device tree.
pub fn read_file(path: &Path) -> Result<(DeviceTree, Tree), PlanError> {
    let name = path.display().to_string();
    if path.extension().is_some_and(|extension| extension == "dts") {
        return read(&name, &compile(path)?);
    }
    read(&name, &input::read(path, "a device tree", MAX_FILE)?)
}

fn compile(path: &Path) -> Result<Vec<u8>, PlanError> {
    let wrong = |why: String| PlanError::Tree { which: path.display().to_string(), why };
    let output = Command::new("dtc")
        .args(["-q", "-I", "dts", "-O", "dtb"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            wrong(format!(
                "dtc does not run ({error}); install device-tree-compiler, or give a .dtb"
            ))
        })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(wrong(format!(
        "dtc: {}; a source with #include goes through the C preprocessor first",
        why.trim()
    )))
}
