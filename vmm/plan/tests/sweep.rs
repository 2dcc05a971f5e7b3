// SPDX-License-Identifier: BSD-2-Clause
//! Every arm64 device tree of Debian's kernel package, as the planner reads it and as a second
//! reading of the specification does (`vmm_testkit::walk`): the registers of each node, each interrupt,
//! and nothing may differ. Plans of their devices that are clean are then given to Microkit's tool,
//! which must take them. `ci/setup` keeps the trees in the cache; without them the sweep says so.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use vmm_plan::dt;
use vmm_plan::irq::{GicInterrupt, Trigger};
use vmm_plan::wish::{Accept, Need, Pass};
use vmm_plan::{Board, Checked, PlanError, Wish};
use vmm_testkit::walk::{Interrupt, Register, Walk};

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
    let found: Vec<_> = own.registers.iter().map(|span| (span.base(), span.size())).collect();
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
    let at_gic = |intid, flags: u32| {
        let trigger = if flags & 3 == 0 { Trigger::Level } else { Trigger::Edge };
        Some(GicInterrupt { intid, trigger })
    };
    for (index, interrupt) in interrupts.iter().enumerate() {
        let found = own.interrupts.get(index).and_then(|interrupt| interrupt.gic);
        let wanted = match interrupt {
            Interrupt::Gic(intid, flags) => at_gic(*intid, *flags),
            Interrupt::Behind(intid, flags) => {
                if found.is_none() {
                    tally.count("interrupts refused for a controller in between");
                    continue;
                }
                at_gic(*intid, *flags)
            }
            Interrupt::Inner(_) => None,
            Interrupt::Broken(_) => None,
        };
        // No kernel here knows GICv3's extended ranges.
        let extended = |gic: &GicInterrupt| gic.intid >= 1056;
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
    let (trees, start) = (common::debians_trees(), Instant::now());
    if trees.is_empty() {
        return;
    }
    let tally = on_all_cores(&trees, |path| compare(&short(path), &std::fs::read(path).unwrap()));
    println!("{} trees, {:?}, {:.1} s", trees.len(), tally.counts, start.elapsed().as_secs_f64());
    for difference in tally.differences.iter().take(200) {
        println!("{difference}");
    }
    assert_eq!(tally.differences.len(), 0);
}

/// How many clean plans the tool is given.
const SAMPLE: usize = 50;

/// The board that a tree is planned for: its own, where this tree has it, or QEMU's.
fn board_of(path: &Path) -> Board {
    let name = path.file_name().unwrap().to_string_lossy();
    common::board(if name.starts_with("imx8mq-") { "maaxboard" } else { "qemu" })
}

/// A plan that passes one device of the tree, another one in each tree, and lets it do without
/// whatever it may do without. Another board's tree does not describe this board, and what may be a
/// bus master is accepted by name, so that all else is left to judge.
fn planned(path: &Path, turn: usize) -> Option<Result<Checked, PlanError>> {
    let tree = dt::read_file(path).unwrap().1;
    let device = |(id, node): &(usize, &dt::Node)| {
        let known = node.is("simple-bus") || node.is_memory() || dt::is_gic(node);
        node.enabled && !node.registers.is_empty() && !known && !tree.is_bus(*id)
    };
    let devices: Vec<_> = tree.nodes().filter(device).map(|(_, node)| node.path.clone()).collect();
    let node = devices.get(turn.wrapping_mul(7919) % devices.len().max(1))?.clone();
    let pass = Pass { node, clocks: vec![24_000_000], drop: Need::ALL.to_vec() };
    let rules = ["board-mismatch", "ram-over-reserved", "dma-unknown", "dma-no-smmu"];
    let accept = rules.map(|rule| Accept::parse(rule).unwrap()).to_vec();
    // As a bus master needs it; others do not mind.
    let wish = Wish { pass: vec![pass], accept, identity: true, ..Wish::default() };
    Some(Checked::new(&board_of(path), &wish, common::images(), Some(tree)))
}

/// A device of a whole number of large pages at a place that is none (issue 17, item 5).
fn large() -> Checked {
    let mut tree = common::board_tree();
    let node = common::Build::device("npu@38500000", "arm,pl061", 0x3850_0000, 0x20_0000);
    tree.find_node_mut("/soc").unwrap().add_child(node.0);
    let wish = Wish { pass: vec![Pass::parse("npu").unwrap()], ..Wish::default() };
    let tree = Some(dt::Tree::new(&tree));
    Checked::new(&common::board("qemu"), &wish, common::images(), tree).unwrap()
}

/// The monitor's program for a board, where `ci/boot` has built one.
fn monitor(board: &Board) -> Option<PathBuf> {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build");
    let begin = format!("{}-microkit-release-", board.name);
    let folders = std::fs::read_dir(build).into_iter().flatten().flatten();
    let ours = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(&begin));
    ours.map(|folder| folder.path().join("vmm.elf")).find(|file| file.is_file())
}

/// Gives a plan to Microkit's tool: nothing, or what it says.
fn pack(sdk: &Path, plan: &Checked, monitor: &Path, folder: &Path) -> Result<(), String> {
    plan.write_to(folder).unwrap();
    std::fs::copy(monitor, folder.join("vmm.elf")).unwrap();
    let board = &plan.plan().board.microkit.board;
    let output = Command::new(sdk.join("bin/microkit"))
        .env("MICROKIT_SDK", sdk)
        .arg(folder.join("guest.system"))
        .args(["--board", board, "--config", "release", "--search-path"])
        .arg(folder)
        .arg("-o")
        .arg(folder.join("loader.img"))
        .arg("-r")
        .arg(folder.join("report.txt"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn clean_plans_of_real_devices_are_taken_by_microkits_tool() {
    let (trees, start) = (common::debians_trees(), Instant::now());
    if trees.is_empty() {
        return;
    }
    let numbered: Vec<_> = trees.iter().enumerate().collect();
    let clean = Mutex::new(Vec::new());
    let mut tally = on_all_cores(&numbered, |(turn, path)| {
        let mut tally = Tally::default();
        match planned(path, *turn) {
            None => tally.count("trees without a device"),
            Some(Ok(plan)) => {
                tally.count("clean");
                clean.lock().unwrap().push((short(path), plan));
            }
            // Which of them is the business of the tests of findings.
            Some(Err(PlanError::Findings { .. })) => tally.count("with findings"),
            Some(Err(error)) => {
                tally.count("refused");
                assert!(!error.to_string().is_empty());
            }
        }
        tally
    });
    let mut clean = clean.into_inner().unwrap();
    clean.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(clean.len() >= SAMPLE, "{:?}", tally.counts);
    let every = clean.len() / SAMPLE;
    let mut sample: Vec<_> = clean.into_iter().step_by(every).take(SAMPLE).collect();
    sample.push(("qemu/large".into(), large()));
    if let Some(sdk) = std::env::var_os("MICROKIT_SDK").map(PathBuf::from) {
        tally.add(on_all_cores(&sample, |(name, plan)| {
            let mut tally = Tally::default();
            let Some(monitor) = monitor(&plan.plan().board) else {
                tally.count("left out: ci/boot has built no monitor for the board");
                return tally;
            };
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sweep").join(name);
            match pack(&sdk, plan, &monitor, &folder) {
                Ok(()) => tally.count("taken by the tool"),
                Err(said) => {
                    let node = &plan.plan().wish.pass[0].node;
                    tally.differences.push(format!("{name}: {node}: {said}"));
                }
            }
            let _ = std::fs::remove_dir_all(folder);
            tally
        }));
    } else {
        println!("left out: Microkit's tool (MICROKIT_SDK is not set)");
    }
    println!("plans: {:?}, {:.1} s", tally.counts, start.elapsed().as_secs_f64());
    assert!(tally.differences.is_empty(), "{}", tally.differences.join("\n"));
}
