// SPDX-License-Identifier: BSD-2-Clause
//! The tree reader against damaged trees: whatever the bytes, an answer and no crash, and what it
//! reads is what a second reading of the specification reads (`vmm_testkit::walk`) and what dtoolkit
//! reads. The number of mutations comes from GUESTPLAN_FUZZ; issue 5 asks for 10 million (`--release`).

mod common;

use common::{board_tree, evk};
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode};
use vmm_plan::closure::Closure;
use vmm_plan::dt;
use vmm_plan::wish::Pass;
use vmm_testkit::same;

/// A small generator of numbers (xorshift64*); tests must not depend on the day.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit.max(1)
    }
}

/// Bytes that mean something in a flattened tree.
const WORDS: [u32; 12] =
    [0, 1, 2, 3, 4, 9, 0xd00d_feed, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, 0xffff_ffff, 0x10];

fn mutate(blob: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(blob.len());
        match random.below(6) {
            0 => blob[at] ^= 1 << random.below(8),
            1 => blob[at] = random.next() as u8,
            2 | 3 => {
                let at = at & !3;
                let word = WORDS[random.below(WORDS.len())];
                if let Some(to) = blob.get_mut(at..at + 4) {
                    to.copy_from_slice(&word.to_be_bytes());
                }
            }
            4 => {
                let from = random.below(blob.len()) & !3;
                let word: Vec<u8> = blob.iter().skip(from).take(4).copied().collect();
                for (to, from) in blob.iter_mut().skip(at & !3).zip(word) {
                    *to = from;
                }
            }
            _ => {
                let length = random.below(blob.len()).max(44);
                if random.below(8) == 0 {
                    blob.truncate(length);
                }
            }
        }
    }
}

/// Whether dtoolkit takes and refuses the same, and reads the same; names longer than it allows and
/// nesting deeper than the planner allows aside.
fn agrees(blob: &[u8]) -> bool {
    let size = blob.get(4..8).map_or(0, |size| u32::from_be_bytes(size.try_into().unwrap()));
    let theirs = Fdt::new(blob.get(..size as usize).unwrap_or_default());
    let theirs = theirs.map(|fdt| DeviceTree::from_fdt(&fdt).to_dtb());
    match (dt::read("fuzzed", blob), theirs) {
        (Ok((ours, _)), Ok(theirs)) => ours.to_dtb() == theirs,
        (Err(error), Ok(_)) => error.to_string().contains("nested more than"),
        (Ok((_, tree)), Err(_)) => {
            let long = |name: &str| name.split('@').next().unwrap().len() > 31;
            tree.nodes()
                .any(|(_, node)| long(&node.name) || node.properties.keys().any(|name| long(name)))
        }
        (Err(_), Err(_)) => true,
    }
}

/// Reads a tree and does with it what planning does; true if it was one.
fn read(blob: &[u8]) -> bool {
    assert!(agrees(blob), "{blob:x?}");
    let Ok((_, tree)) = dt::read("fuzzed", blob) else { return false };
    assert_eq!(same::difference(blob, &tree), None);
    let passes: Vec<_> = tree
        .nodes()
        .filter(|(_, node)| !node.registers.is_empty())
        .take(3)
        .map(|(_, node)| Pass { node: node.path.clone(), clocks: vec![1], ..Pass::default() })
        .collect();
    if let Ok(closure) = Closure::new(&tree, &passes) {
        assert!(closure.nodes.len() <= tree.nodes().count() + 1);
    }
    let _ = tree.stdout();
    true
}

fn count(default: u64) -> u64 {
    std::env::var("GUESTPLAN_FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(default)
}

#[test]
fn damaged_trees_never_crash_the_reader() {
    let seed = board_tree().to_dtb();
    assert!(read(&seed));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut good = 0_u64;
    let mut blob = Vec::new();
    let runs = count(4_000);
    for _ in 0..runs {
        blob.clear();
        blob.extend_from_slice(&seed);
        mutate(&mut blob, &mut random);
        good += u64::from(read(&blob));
    }
    println!("{runs} damaged trees, {good} of them still trees");
    // Neither all refused nor all accepted, or the mutations reach nothing.
    assert!(good > runs / 20 && good < runs);
}

#[test]
fn damaged_real_trees_never_crash_the_reader() {
    let Some(seed) = evk() else { return };
    let mut random = Random(0x1234_5678_9abc_def1);
    for _ in 0..count(4_000) / 200 {
        let mut blob = seed.clone();
        mutate(&mut blob, &mut random);
        read(&blob);
    }
}

#[test]
fn deep_trees_are_refused() {
    let mut node = DeviceTreeNode::new("leaf").unwrap();
    for _ in 0..dt::MAX_DEPTH {
        let mut above = DeviceTreeNode::new("n").unwrap();
        above.add_child(node);
        node = above;
    }
    let mut tree = DeviceTree::new();
    tree.root.add_child(node);
    let error = dt::read("deep", &tree.to_dtb()).unwrap_err().to_string();
    assert!(error.contains("64 deep"), "{error}");
}

#[test]
fn long_names_are_read_whole() {
    const LONG: &str = "simple-audio-card,bitclock-inversion";
    const NODE: &str = "a-node-whose-name-is-longer-than-31-characters@1000";
    let mut tree = board_tree();
    let mut node = DeviceTreeNode::new_unchecked(NODE);
    node.add_property(dtoolkit::model::DeviceTreeProperty::new_unchecked(LONG, 7_u32));
    tree.root.add_child(node);
    let (_, tree) = dt::read("long", &tree.to_dtb()).unwrap();
    let node = tree.node(tree.by_path(&format!("/{NODE}")).unwrap());
    assert_eq!(node.cell(LONG), Some(7));
}

/// Source goes through Debian's `dtc`, and what guestplan writes for people compiles again.
#[test]
fn source_is_read_where_dtc_is_installed() {
    if std::process::Command::new("dtc").arg("--version").output().is_err() {
        println!("skipped: no dtc (device-tree-compiler)");
        return;
    }
    let board = common::board("qemu");
    let plan = vmm_plan::Plan::new(&board, &vmm_plan::Wish::default(), common::images()).unwrap();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest.dts");
    std::fs::write(&path, plan.tree_source()).unwrap();
    let (_, source) = dt::read_file(&path).unwrap();
    let (_, blob) = dt::read("blob", &plan.dtb).unwrap();
    let nodes = |tree: &dt::Tree| -> Vec<_> {
        tree.nodes().map(|(_, node)| (node.path.clone(), node.properties.clone())).collect()
    };
    assert_eq!(nodes(&source), nodes(&blob));
    std::fs::write(&path, "/dts-v1/; / { broken").unwrap();
    let error = dt::read_file(&path).unwrap_err().to_string();
    assert!(error.contains("dtc: "), "{error}");
}

#[test]
fn what_is_no_tree_is_refused_by_name() {
    for blob in [&b""[..], b"hello", &[0xd0, 0x0d, 0xfe, 0xed, 0xff, 0xff, 0xff, 0xff], &[0; 100]] {
        let error = dt::read("junk", blob).unwrap_err().to_string();
        assert!(error.starts_with("device tree junk: "), "{error}");
    }
}
