// SPDX-License-Identifier: BSD-2-Clause
//! The one reader of flattened trees (Devicetree Specification 0.4, 5). It takes nothing on trust: a
//! tree is somebody else's file.
//!
//! Why not dtoolkit's, whose model and writer are used: it refuses names of more than 31 characters,
//! which Linux' own trees have (`simple-audio-card,bitclock-inversion`), checks in one walk and reads
//! in another, and panics on what it has not checked.

use dtoolkit::memreserve::MemoryReservation;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use super::tree::MAX_DEPTH;

/// First word of a flattened tree (5.2).
const MAGIC: u32 = 0xd00d_feed;
/// The format's version (5.2).
const VERSION: u32 = 17;
/// Bytes of the header (5.2).
const HEADER: usize = 40;

/// Tokens of the structure block (5.4.1).
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Reads a blob; why it is no tree, in words.
pub(super) fn read(blob: &[u8]) -> Result<DeviceTree, String> {
    let blob = Blob::new(blob)?;
    let mut tree = DeviceTree::new();
    tree.memory_reservations = blob.reservations()?;
    tree.root = blob.structure()?;
    Ok(tree)
}

/// A blob whose header is in order.
struct Blob<'b> {
    bytes: &'b [u8],
    /// Where the memory reservation block begins, and the structure block, which ends it.
    reservations: usize,
    structure: usize,
    /// The strings block.
    strings: &'b [u8],
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn double(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The text at the start of `bytes`, up to its zero byte.
fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(bytes.get(..end)?).ok()
}

const fn align(offset: usize) -> usize {
    offset.saturating_add(3) & !3
}

impl<'b> Blob<'b> {
    fn new(blob: &'b [u8]) -> Result<Self, String> {
        let field = |index: usize| word(blob, index.saturating_mul(4));
        if field(0) != Some(MAGIC) {
            return Err(format!("no magic {MAGIC:#x} at its beginning"));
        }
        // Offsets and sizes have 32 bits, so that no sum of two is too large here.
        let offset = |index| field(index).unwrap_or(0) as usize;
        let size = offset(1);
        // Files may be longer than the tree in them.
        let bytes = blob.get(..size).ok_or_else(|| {
            format!(
                "it was cut short: its header says {size} bytes, {} are there, {} are missing",
                blob.len(),
                size.saturating_sub(blob.len())
            )
        })?;
        if size < HEADER {
            return Err(format!("its header says {size} bytes, and has {HEADER} itself"));
        }
        let (version, oldest) = (field(5).unwrap_or(0), field(6).unwrap_or(0));
        if !(oldest..=version).contains(&VERSION) {
            return Err(format!("it is of version {version}, this reads {VERSION}"));
        }
        let (structure, strings, reservations) = (offset(2), offset(3), offset(4));
        let structure_end = structure.saturating_add(offset(9));
        let strings_end = strings.saturating_add(offset(8));
        let aligned = reservations.is_multiple_of(8) && structure.is_multiple_of(4);
        let in_order = HEADER <= reservations
            && reservations <= structure
            && structure_end <= strings
            && strings_end <= size;
        let strings = bytes.get(strings..strings_end);
        match strings {
            Some(strings) if aligned && in_order => {
                Ok(Self { bytes, reservations, structure, strings })
            }
            _ => Err("its blocks overlap, are in another order, or leave the file".into()),
        }
    }

    fn reservations(&self) -> Result<Vec<MemoryReservation>, String> {
        let mut all = Vec::new();
        let mut at = self.reservations;
        while at < self.structure {
            let entry = double(self.bytes, at).zip(double(self.bytes, at.saturating_add(8)));
            match entry {
                Some((0, 0)) => return Ok(all),
                Some((address, size)) => all.push(MemoryReservation::new(address, size)),
                None => break,
            }
            at = at.saturating_add(16);
        }
        Err("its memory reservations have no end".into())
    }

    /// The root with all below it.
    fn structure(&self) -> Result<DeviceTreeNode, String> {
        let mut open: Vec<DeviceTreeNode> = Vec::new();
        let mut at = self.structure;
        // Whether a property may come: those of a node stand before its children.
        let mut properties = false;
        loop {
            let token = word(self.bytes, at);
            let wrong = |problem: &str| Err(format!("{problem} at byte {at}"));
            match token {
                Some(BEGIN_NODE) => {
                    let name = self.node_name(at, open.is_empty())?;
                    if open.len() >= MAX_DEPTH {
                        return Err(format!("nodes are nested more than {MAX_DEPTH} deep"));
                    }
                    at = align(at.saturating_add(5).saturating_add(name.len()));
                    open.push(DeviceTreeNode::new_unchecked(name));
                    properties = true;
                }
                Some(PROPERTY) if properties => {
                    let (property, after) = self.property(at)?;
                    if let Some(node) = open.last_mut() {
                        node.add_property(property);
                    }
                    at = after;
                }
                Some(END_NODE) => {
                    let Some(node) = open.pop() else { return wrong("the end of no node") };
                    at = at.saturating_add(4);
                    properties = false;
                    match open.last_mut() {
                        Some(parent) => parent.add_child(node),
                        None if word(self.bytes, at) == Some(END) => return Ok(node),
                        None => return Err(format!("no end behind the root, at byte {at}")),
                    }
                }
                Some(NOP) if !open.is_empty() => at = at.saturating_add(4),
                Some(PROPERTY) => return wrong("a property behind its node's children"),
                Some(token) => return wrong(&format!("unexpected token {token:#x}")),
                None => return Err("its nodes have no end".into()),
            }
        }
    }

    /// The name of the node that begins at `at`. The root has none.
    fn node_name(&self, at: usize, is_root: bool) -> Result<&'b str, String> {
        let name = text(self.bytes.get(at.saturating_add(4)..).unwrap_or_default());
        name.filter(|name| if is_root { name.is_empty() } else { is_node_name(name) })
            .ok_or_else(|| format!("no name of a node at byte {at}"))
    }

    /// The property at `at`, and what is behind it.
    fn property(&self, at: usize) -> Result<(DeviceTreeProperty, usize), String> {
        let field = |bytes: usize| word(self.bytes, at.saturating_add(bytes));
        let fields = field(4).zip(field(8)).map(|(length, name)| (length as usize, name as usize));
        let (length, name) = fields.ok_or_else(|| format!("half a property at byte {at}"))?;
        let name = text(self.strings.get(name..).unwrap_or_default());
        let name = name.filter(|name| is_property_name(name));
        let name = name.ok_or_else(|| format!("no name of the property at byte {at}"))?;
        let begin = at.saturating_add(12);
        let end = begin.saturating_add(length);
        let value = self.bytes.get(begin..end);
        let value = value.ok_or_else(|| format!("property {name} at byte {at} has no end"))?;
        Ok((DeviceTreeProperty::new_unchecked(name, value), align(end)))
    }
}

fn is_name(name: &str, more: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || ",._+-".contains(c) || more.contains(c);
    !name.is_empty() && name.chars().all(good)
}

/// A name and perhaps a unit address (2.2.1), of any length: Linux' own trees have longer ones than
/// 31 characters.
fn is_node_name(name: &str) -> bool {
    match name.split_once('@') {
        Some((name, unit)) => is_name(name, "") && is_name(unit, ""),
        None => is_name(name, ""),
    }
}

/// The name of a property (2.2.4.1), of any length.
fn is_property_name(name: &str) -> bool {
    is_name(name, "?#")
}
