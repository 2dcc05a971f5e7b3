// SPDX-License-Identifier: BSD-2-Clause
//! Reading a tree from a blob, or from source by Debian's `dtc`.

use std::path::Path;
use std::process::{Command, Stdio};

use dtoolkit::fdt::Fdt;
use dtoolkit::model::DeviceTree;

use super::Tree;
use crate::error::PlanError;
use crate::input;

/// Deepest nesting of nodes that is read. Linux itself stops at 64 (drivers/of/fdt.c).
pub const MAX_DEPTH: usize = 64;

/// First bytes of a flattened tree (Devicetree Specification 0.4, 5.2).
const MAGIC: [u8; 4] = 0xd00d_feed_u32.to_be_bytes();
/// Most bytes of a board's tree, many times what the longest of Linux's has.
const MAX_FILE: u64 = 16 << 20;

/// Reads a flattened tree. `which` names it in errors.
///
/// # Errors
/// [`PlanError::Tree`] says what is wrong with it.
pub fn read(which: &str, blob: &[u8]) -> Result<(DeviceTree, Tree), PlanError> {
    let wrong = |why: String| PlanError::Tree { which: which.into(), why };
    // Files may be longer than the tree in them, which dtoolkit does not take.
    let size = blob.get(4..8).and_then(|size| size.try_into().ok()).map(u32::from_be_bytes);
    let size = size.and_then(|size| usize::try_from(size).ok());
    if let Some(size) = size.filter(|&size| blob.starts_with(&MAGIC) && size > blob.len()) {
        return Err(wrong(format!(
            "it was cut short: its header says {size} bytes, {} are there, {} are missing",
            blob.len(),
            size.saturating_sub(blob.len())
        )));
    }
    let exact = size.and_then(|size| blob.get(..size)).unwrap_or(blob);
    let scan = Scan::new(exact);
    if scan.depth > MAX_DEPTH {
        return Err(wrong(format!("nodes are nested more than {MAX_DEPTH} deep")));
    }
    Fdt::new(&scan.shortened).map_err(|error| wrong(error.to_string()))?;
    if !scan.faithful {
        return Err(wrong(
            "long names with other characters than names have, or blocks that overlap".into(),
        ));
    }
    // The two differ in nothing but the length of good names, so what holds for one holds for both.
    let model = DeviceTree::from_fdt(&Fdt::new_unchecked(exact));
    let tree = Tree::new(&model);
    Ok((model, tree))
}

/// Longest name of the Devicetree Specification 0.4 (2.2.1 and 2.2.4.1). Linux' own trees have
/// longer ones (`simple-audio-card,bitclock-inversion`), but dtoolkit refuses them.
const MAX_NAME: usize = 31;
const NOP: [u8; 4] = [0, 0, 0, 4];

/// A look at the structure block (Devicetree Specification 0.4, 5.4) of a blob that nobody has
/// checked yet.
struct Scan {
    /// Deepest nesting of nodes. Everything behind this may recurse.
    depth: usize,
    /// The blob with long names cut to [`MAX_NAME`].
    shortened: Vec<u8>,
    /// Whether cutting them changed nothing else: they consist of what names consist of, and lie in
    /// no other block.
    faithful: bool,
}

impl Scan {
    fn new(blob: &[u8]) -> Self {
        let mut scan = Self { depth: 0, shortened: blob.to_vec(), faithful: true };
        let word = |offset: usize| -> Option<usize> {
            let bytes = blob.get(offset..offset.checked_add(4)?)?;
            usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
        };
        let names = word(12).unwrap_or(usize::MAX);
        let structure = word(8).unwrap_or(usize::MAX);
        let mut offset = structure;
        let mut now = 0_usize;
        while let Some(token) = word(offset) {
            offset = offset.saturating_add(4);
            match token {
                1 => {
                    now = now.saturating_add(1);
                    scan.depth = scan.depth.max(now);
                    let length = text(blob, offset);
                    scan.look_at(slice(blob, offset, length));
                    scan.shorten_node(offset, length);
                    offset = align(offset.saturating_add(length).saturating_add(1));
                }
                2 => now = now.saturating_sub(1),
                3 => {
                    let name = word(offset.saturating_add(4)).unwrap_or(0);
                    let at = names.saturating_add(name);
                    scan.look_at(slice(blob, at, text(blob, at)));
                    scan.shorten_property(offset, name, text(blob, at));
                    let length = word(offset).unwrap_or(0);
                    offset = align(offset.saturating_add(8).saturating_add(length));
                }
                4 => {}
                _ => break,
            }
        }
        let names_end = names.saturating_add(word(32).unwrap_or(usize::MAX));
        let apart = structure >= 40 && (names >= offset || names_end <= structure);
        scan.faithful &= apart || scan.shortened == blob;
        scan
    }

    /// Notes whether a long name is one.
    fn look_at(&mut self, name: &[u8]) {
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b",._+-?#@".contains(byte);
        self.faithful &= name.len() <= MAX_NAME || name.iter().all(good);
    }

    /// Lets the property at `offset` use the end of its name; names end with a zero byte, so the
    /// end of one is one.
    fn shorten_property(&mut self, offset: usize, name: usize, length: usize) {
        let cut = u32::try_from(name.saturating_add(length.saturating_sub(MAX_NAME)));
        let at = offset.saturating_add(4)..offset.saturating_add(8);
        if let (true, Ok(cut), Some(to)) = (length > MAX_NAME, cut, self.shortened.get_mut(at)) {
            to.copy_from_slice(&cut.to_be_bytes());
        }
    }

    /// Ends the node's name at `offset` early and fills the rest with no-operation tokens.
    fn shorten_node(&mut self, offset: usize, length: usize) {
        let end = align(offset.saturating_add(length).saturating_add(1));
        let Some(rest) = self.shortened.get_mut(offset.saturating_add(MAX_NAME)..end) else {
            return;
        };
        if length <= MAX_NAME {
            return;
        }
        if let Some((zero, nops)) = rest.split_first_mut() {
            *zero = 0;
            for nop in nops.chunks_exact_mut(4) {
                nop.copy_from_slice(&NOP);
            }
        }
    }
}

fn slice(blob: &[u8], offset: usize, length: usize) -> &[u8] {
    blob.get(offset..offset.saturating_add(length)).unwrap_or_default()
}

/// Length of the text at `offset`, up to its zero byte.
fn text(blob: &[u8], offset: usize) -> usize {
    let rest = blob.get(offset..).unwrap_or_default();
    rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len())
}

const fn align(offset: usize) -> usize {
    offset.saturating_add(3) & !3
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
