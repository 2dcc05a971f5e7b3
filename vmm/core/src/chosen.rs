// SPDX-License-Identifier: BSD-2-Clause
//! Where a property of `/chosen` is in a flattened device tree (Devicetree Specification 0.4,
//! chapter 5). The tree may be anyone's: what does not read has no such property.

use core::ops::Range;

const MAGIC: u32 = 0xd00d_feed;
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
/// A word of a structure block that every reader skips.
pub const NOP: u32 = 4;

/// Offsets of `off_dt_struct`, `off_dt_strings` and `totalsize` in the header (5.2).
const TOTAL: usize = 4;
const STRUCT: usize = 8;
const STRINGS: usize = 12;

/// A property, as offsets from the start of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its token, length and name.
    pub head: usize,
    /// Its bytes.
    pub value: Range<usize>,
}

impl Property {
    /// All words of it, the padding of its value included.
    pub fn words(&self) -> impl Iterator<Item = usize> + use<> {
        (self.head..self.value.end).step_by(4)
    }
}

/// The big-endian word at an offset.
fn word(tree: &[u8], at: usize) -> Option<u32> {
    let bytes = tree.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn offset(tree: &[u8], at: usize) -> Option<usize> {
    usize::try_from(word(tree, at)?).ok()
}

/// The text from `at` to its zero.
fn text(tree: &[u8], at: usize) -> Option<&[u8]> {
    tree.get(at..)?.split(|&byte| byte == 0).next()
}

/// The property `name` of the node `/chosen`.
#[must_use]
pub fn property(tree: &[u8], name: &str) -> Option<Property> {
    let tree = tree.get(..offset(tree, TOTAL)?)?;
    if word(tree, 0)? != MAGIC {
        return None;
    }
    let strings = offset(tree, STRINGS)?;
    let mut at = offset(tree, STRUCT)?;
    // The root is one deep, its children two.
    let (mut depth, mut inside) = (0_usize, false);
    // Each turn moves on by a word at least.
    while let Some(token) = word(tree, at) {
        let head = at;
        at = at.checked_add(4)?;
        match token {
            BEGIN_NODE => {
                let node = text(tree, at)?;
                depth = depth.checked_add(1)?;
                inside |= depth == 2 && node == b"chosen";
                at = at.checked_add(node.len())?.checked_add(1)?.next_multiple_of(4);
            }
            END_NODE => {
                depth = depth.checked_sub(1)?;
                if depth == 0 || inside && depth == 1 {
                    return None;
                }
            }
            PROP => {
                let (length, key) = (offset(tree, at)?, offset(tree, at.checked_add(4)?)?);
                let start = at.checked_add(8)?;
                let end = start.checked_add(length).filter(|end| *end <= tree.len())?;
                if inside && depth == 2 && text(tree, strings.checked_add(key)?)? == name.as_bytes()
                {
                    return Some(Property { head, value: start..end });
                }
                at = end.checked_next_multiple_of(4)?;
            }
            NOP => {}
            _ => return None,
        }
    }
    None
}
