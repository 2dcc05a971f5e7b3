// SPDX-License-Identifier: BSD-2-Clause
//! What changed between two plans: their blocks and their guest trees.

use std::collections::BTreeSet;
use std::path::Path;

use vmm_core::plan::{Interrupt, NO_PA, PlanBlock as Block};
use zerocopy::IntoBytes;

use crate::dt::{self, Tree};
use crate::error::PlanError;
use crate::filenames::{PLAN_FILE, TREE_FILE};

/// A plan read back: one line for each fact, and the guest's tree.
struct Read {
    facts: Vec<(String, String)>,
    tree: Option<Tree>,
}

/// What changed from the plan in folder `old` to that in `new`, one line each; empty if nothing did.
///
/// # Errors
/// A plan block or tree is missing or damaged.
pub fn diff(old: &Path, new: &Path) -> Result<Vec<String>, PlanError> {
    let (old, new) = (read(old)?, read(new)?);
    let mut changes = Vec::new();
    for (key, value) in &old.facts {
        match new.facts.iter().find(|(other, _)| other == key) {
            None => changes.push(format!("- {key}: {value}")),
            Some((_, other)) if other != value => {
                changes.push(format!("~ {key}: {value} -> {other}"))
            }
            Some(_) => {}
        }
    }
    for (key, value) in &new.facts {
        if old.facts.iter().all(|(other, _)| other != key) {
            changes.push(format!("+ {key}: {value}"));
        }
    }
    if let (Some(old), Some(new)) = (&old.tree, &new.tree) {
        trees(old, new, &mut changes);
    }
    Ok(changes)
}

fn read(path: &Path) -> Result<Read, PlanError> {
    let folder = path.is_dir();
    let file = if folder { path.join(PLAN_FILE) } else { path.to_owned() };
    let bytes = std::fs::read(&file).map_err(PlanError::file(&file))?;
    // A plan block is aligned to 8, a Vec of bytes need not be.
    let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
    for (to, from) in aligned.as_mut_bytes().iter_mut().zip(&bytes) {
        *to = *from;
    }
    let block = Block::read(aligned.as_bytes()).map_err(|error| PlanError::BoardFile {
        path: file.display().to_string(),
        why: error.to_string(),
    })?;
    let tree = path.join(TREE_FILE);
    let tree = (folder && tree.is_file()).then(|| dt::read_file(&tree)).transpose()?;
    Ok(Read { facts: facts(&block), tree: tree.map(|(_, tree)| tree) })
}

fn facts(block: &Block<'_>) -> Vec<(String, String)> {
    let facts = block.facts();
    let mut all = Vec::new();
    let mut add = |key: &str, value: String| all.push((key.to_owned(), value));
    add("board", facts.board.as_str().into());
    add("vcpus", facts.vcpus.get().to_string());
    add("flags", format!("{:#x}", facts.flags));
    for (key, window) in [
        ("ram", facts.ram),
        ("kernel", facts.kernel),
        ("device tree", facts.device_tree),
        ("initrd", facts.initrd),
        ("gic distributor", facts.gic.distributor),
        ("gic redistributors", facts.gic.redistributors),
        ("console", facts.console.window),
    ] {
        add(key, window.range().to_string());
    }
    for device in block.devices() {
        add(&device.kind.to_string(), device.window.range().to_string());
    }
    add("gic version", facts.gic.version.to_string());
    add("gic lines", facts.gic.intid_count.to_string());
    add("console kind", format!("{:?}", facts.console.kind));
    let idle = facts.idle_timer;
    add("idle timer", format!("{:?}, channel {}", idle.kind, idle.channel));
    for Interrupt { intid, trigger, channel } in block.interrupts() {
        add(&format!("line {}", intid.number()), format!("{trigger}, channel {channel}"));
    }
    for rule in block.rules() {
        add(
            &format!("firmware call {:#x}", rule.function),
            format!("{:?}, value {:#x}", rule.action, rule.value),
        );
    }
    for region in block.regions() {
        let pa = if region.pa == NO_PA {
            "chosen by the kernel".into()
        } else {
            format!("{:#x}", region.pa)
        };
        let (window, owner) = (region.window.range(), region.owner);
        add(
            &format!("region {}", region.name.as_str()),
            format!("{window} at {pa}, owner {owner:?}"),
        );
    }
    for node in block.nodes() {
        let (path, window) = (node.path.as_str(), node.window.range());
        add(&format!("device {path} {window}"), format!("{:?}", node.state));
    }
    all
}

fn trees(old: &Tree, new: &Tree, changes: &mut Vec<String>) {
    let paths =
        |tree: &Tree| tree.nodes().map(|(_, node)| node.path.clone()).collect::<BTreeSet<_>>();
    let (before, after) = (paths(old), paths(new));
    changes.extend(before.difference(&after).map(|path| format!("- node {path}")));
    changes.extend(after.difference(&before).map(|path| format!("+ node {path}")));
    for path in before.intersection(&after) {
        let node = |tree: &Tree| {
            tree.by_path(path).map(|id| tree.node(id).properties.clone()).unwrap_or_default()
        };
        let (before, after) = (node(old), node(new));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let sign = match (before.get(name), after.get(name)) {
                (Some(before), Some(after)) if before == after => continue,
                (Some(_), Some(_)) => '~',
                (Some(_), None) => '-',
                (None, _) => '+',
            };
            changes.push(format!("{sign} node {path}: {name}"));
        }
    }
}
