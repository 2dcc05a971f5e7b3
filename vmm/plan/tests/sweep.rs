// SPDX-License-Identifier: BSD-2-Clause
//! Every arm64 device tree of Debian's kernel package, as the planner reads it and as a second
//! reading of the specification does (`common/walk.rs`): the registers of each node, each interrupt,
//! and nothing may differ. `ci/setup` keeps the trees in the cache; without them the sweep says so.

mod common;
#[path = "common/walk.rs"]
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use vmm_plan::board::Trigger;
use vmm_plan::dt;
use walk::{Interrupt, Register, Walk};

/// The trees, in one order; empty where there are none.
fn trees() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let Some(cache) = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home) else {
        return Vec::new();
    };
    let mut folders = vec![cache.join("sel4-linux-vmm/guest/dtb")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "dtb") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What was compared, and what of it the planner refuses by name.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

impl Tally {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
        self.differences.extend(other.differences);
    }
}

/// Compares one tree.
fn compare(name: &str, blob: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let walk = Walk::read(blob).unwrap_or_else(|| panic!("{name} is no device tree"));
    let tree = match dt::read(name, blob) {
        Ok((_, tree)) => tree,
        Err(error) => {
            tally.differences.push(format!("{name}: {error}"));
            return tally;
        }
    };
    if walk.nodes.len() != tree.nodes().count() {
        tally.differences.push(format!("{name}: {} nodes", walk.nodes.len()));
    }
    for (id, node) in walk.nodes.iter().enumerate() {
        let Some(own) = tree.by_path(&node.path).map(|id| tree.node(id)) else {
            tally.differences.push(format!("{name}: {}: not found", node.path));
            continue;
        };
        let (registers, left) = walk.registers(id);
        if let Err(why) = same_registers(own, &registers, left, &mut tally) {
            tally.differences.push(format!("{name}: {}: {why}", node.path));
        }
        if let Err(why) = same_interrupts(own, &walk.interrupts(id), &mut tally) {
            tally.differences.push(format!("{name}: {}: {why}", node.path));
        }
    }
    tally
}

fn same_registers(
    own: &dt::Node,
    registers: &[Register],
    left: bool,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut wanted = Vec::new();
    let mut dropped = usize::from(left);
    for register in registers {
        match register {
            Register::At(base, size) => wanted.push((*base, *size)),
            // Where it begins decides, as in Linux's of_translate_address.
            Register::Crosses(base, size) => {
                tally.count("that cross a window");
                wanted.push((*base, *size));
            }
            _ => dropped += 1,
        }
    }
    if !registers.is_empty() {
        tally.count("nodes with reg");
    }
    let found: Vec<_> = own.registers.iter().map(|span| (span.base, span.size)).collect();
    if found != wanted {
        return Err(format!("registers {found:x?}, by the specification {registers:x?}"));
    }
    for _ in &wanted {
        tally.count("registers");
    }
    if dropped > 0 {
        tally.count("nodes with entries that are no registers");
    }
    Ok(())
}

fn same_interrupts(
    own: &dt::Node,
    interrupts: &[Interrupt],
    tally: &mut Tally,
) -> Result<(), String> {
    let trigger = |flags: u32| if flags & 3 == 0 { Trigger::Level } else { Trigger::Edge };
    for (index, interrupt) in interrupts.iter().enumerate() {
        let found = own.interrupts.get(index).and_then(|interrupt| interrupt.gic);
        let wanted = match interrupt {
            Interrupt::Gic(intid, flags) => Some((*intid, trigger(*flags))),
            Interrupt::Behind(intid, flags) => {
                if found.is_none() {
                    tally.count("interrupts refused for a controller in between");
                    continue;
                }
                Some((*intid, trigger(*flags)))
            }
            Interrupt::Inner(_) => None,
            Interrupt::Broken(_) => None,
        };
        // No kernel here knows GICv3's extended ranges.
        let extended = |(intid, _): &(u32, Trigger)| *intid >= 1056;
        if wanted.as_ref().is_some_and(extended) && found.is_none() {
            tally.count("interrupts refused for an extended range");
        } else if found != wanted {
            return Err(format!(
                "interrupt {index} is {found:?}, by the specification {interrupt:?}"
            ));
        } else {
            tally.count(if found.is_some() {
                "interrupts"
            } else {
                "interrupts of inner controllers"
            });
        }
    }
    if own.interrupts.len() > interrupts.len() {
        return Err(format!(
            "{} interrupts, by the specification {interrupts:?}",
            own.interrupts.len()
        ));
    }
    Ok(())
}

/// Runs `each` for every item on every core.
fn on_all_cores<T: Sync>(items: &[T], each: impl Fn(&T) -> Tally + Sync) -> Tally {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tally = each(item);
                    all.lock().unwrap().add(tally);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

fn short(path: &Path) -> String {
    let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

#[test]
fn every_tree_of_debians_kernel_reads_as_the_specification_says() {
    let (trees, start) = (trees(), Instant::now());
    if trees.is_empty() {
        println!("skipped: no device trees in the build cache (ci/setup fetches them)");
        return;
    }
    let tally = on_all_cores(&trees, |path| compare(&short(path), &std::fs::read(path).unwrap()));
    println!("{} trees, {:?}, {:.1} s", trees.len(), tally.counts, start.elapsed().as_secs_f64());
    for difference in tally.differences.iter().take(200) {
        println!("{difference}");
    }
    assert!(trees.len() > 500, "{} trees: ci/setup keeps more than 500", trees.len());
    assert_eq!(tally.differences.len(), 0);
}
