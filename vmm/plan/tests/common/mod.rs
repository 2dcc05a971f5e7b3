// SPDX-License-Identifier: BSD-2-Clause
//! What several tests need: boards, images, and small trees.
#![allow(dead_code, reason = "every test is a program of its own and uses a part of this")]

use std::path::{Path, PathBuf};

use dtoolkit::ToPropertyValue;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use vmm_plan::{Board, Images};

/// The repository's own boards.
pub fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards")
}

pub fn board(name: &str) -> Board {
    Board::find(&boards(), name).unwrap()
}

/// A kernel that asks for 8 MiB, and an initial RAM file system of one empty archive.
pub fn images() -> Images {
    Images { kernel: kernel(0x80_0000), initrd: Some(archive(0)), dtb: None }
}

/// An arm64 `Image` that asks for `size` bytes.
pub fn kernel(size: u64) -> Vec<u8> {
    let mut image = vec![0; 64];
    image[16..24].copy_from_slice(&size.to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    image
}

/// A cpio archive with one file of `size` zero bytes.
pub fn archive(size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, size) in [("init\0", size), ("TRAILER!!!\0", 0)] {
        out.extend_from_slice(b"070701");
        for field in 0..13 {
            let value = [0, 0, 0, 0, 0, 0, size, 0, 0, 0, 0, name.len(), 0][field];
            out.extend_from_slice(format!("{value:08x}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.resize(out.len().next_multiple_of(4), 0);
        out.resize(out.len().saturating_add(size).next_multiple_of(4), 0);
    }
    out
}

/// A file or folder of the test guest in the build cache.
fn cache(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home)?;
    Some(cache.join("sel4-linux-vmm/guest").join(name))
}

/// A file of the build cache; `None`, with a printed line, where it has not been fetched.
fn cached(name: &str) -> Option<Vec<u8>> {
    let file = cache(name).and_then(|path| std::fs::read(path).ok());
    if file.is_none() {
        println!("skipped: no {name} in the build cache (ci/setup fetches it)");
    }
    file
}

/// Debian's tree of the i.MX8MQ evaluation kit.
pub fn evk() -> Option<Vec<u8>> {
    cached("imx8mq-evk.dtb")
}

/// Debian's arm64 kernel.
pub fn debians_kernel() -> Option<Vec<u8>> {
    cached("Image")
}

/// Every device tree of Debian's arm64 kernel in the build cache, by maker and name; none, with a
/// printed line, where they have not been fetched.
pub fn debians_trees() -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let makers = cache("dtb").map(|folder| list(&folder)).unwrap_or_default();
    let mut all: Vec<_> = makers.iter().flat_map(|maker| list(maker)).collect();
    all.sort();
    if all.is_empty() {
        println!("skipped: no device trees in the build cache (ci/setup fetches them)");
    } else {
        assert!(all.len() > 500, "only {} trees: ci/setup fetches all", all.len());
    }
    all
}

/// A node under construction.
pub struct Build(pub DeviceTreeNode);

impl Build {
    pub fn new(name: &str) -> Self {
        Self(DeviceTreeNode::new(name).unwrap())
    }

    pub fn with(mut self, name: &str, value: impl ToPropertyValue) -> Self {
        self.0.add_property(DeviceTreeProperty::new(name, value).unwrap());
        self
    }

    pub fn flag(self, name: &str) -> Self {
        self.with(name, Vec::<u8>::new())
    }

    pub fn child(mut self, child: Self) -> Self {
        self.0.add_child(child.0);
        self
    }

    pub fn device(name: &str, compatible: &str, base: u32, size: u32) -> Self {
        Self::new(name).with("compatible", compatible).with("reg", [base, size])
    }

    pub fn tree(self) -> DeviceTree {
        let mut tree = DeviceTree::new();
        tree.root = self.0;
        tree
    }
}

/// A board's tree with one cell each for address and size: a console whose clock, pins and power
/// come from controllers, an Ethernet that shares its page with a neighbour, and a spare UART.
pub fn board_tree() -> DeviceTree {
    Build(DeviceTreeNode::default())
        .with("compatible", "linux,dummy-virt")
        .with("#address-cells", 1_u32)
        .with("#size-cells", 1_u32)
        .with("interrupt-parent", 1_u32)
        .child(
            Build::new("aliases")
                .with("serial0", "/soc/serial@9000000")
                .with("serial1", "/soc/serial@9040000"),
        )
        .child(
            Build::new("gic@8000000")
                .with("compatible", "arm,cortex-a15-gic")
                .with("reg", [0x800_0000_u32, 0x1_0000, 0x801_0000, 0x1000])
                .with("#interrupt-cells", 3_u32)
                .flag("interrupt-controller")
                .with("phandle", 1_u32),
        )
        .child(
            Build::new("osc")
                .with("compatible", "fixed-clock")
                .with("#clock-cells", 0_u32)
                .with("clock-frequency", 24_000_000_u32)
                .with("phandle", 5_u32),
        )
        .child(soc())
        .tree()
}

fn soc() -> Build {
    Build::new("soc")
        .with("compatible", "simple-bus")
        .with("#address-cells", 1_u32)
        .with("#size-cells", 1_u32)
        .flag("ranges")
        .child(
            Build::device("clock@a000000", "test,clock", 0xa00_0000, 0x1000)
                .with("#clock-cells", 1_u32)
                .with("clocks", 5_u32)
                .with("phandle", 2_u32),
        )
        .child(
            Build::device("pins@a001000", "test,pins", 0xa00_1000, 0x1000)
                .child(Build::new("uart-pins").with("phandle", 3_u32).with("pins", [1_u32, 2])),
        )
        .child(
            Build::device("power@a002000", "test,power", 0xa00_2000, 0x1000)
                .with("#power-domain-cells", 0_u32)
                .with("phandle", 4_u32),
        )
        .child(serial("serial@9000000", 0x900_0000, 1))
        .child(serial("serial@9040000", 0x904_0000, 8))
        .child(
            Build::device("ethernet@a010000", "test,ethernet", 0xa01_0000, 0x800)
                .with("interrupts", [0_u32, 20, 1]),
        )
        .child(
            Build::device("fuses@a010800", "test,fuses", 0xa01_0800, 0x100)
                .with("status", "disabled"),
        )
}

fn serial(name: &str, base: u32, spi: u32) -> Build {
    Build::device(name, "arm,pl011", base, 0x1000)
        .with("interrupts", [0, spi, 4])
        .with("clocks", [2_u32, 7, 2, 8])
        .with("clock-names", &["uartclk", "apb_pclk"][..])
        .with("assigned-clocks", [2_u32, 7])
        .with("assigned-clock-rates", 1000_u32)
        .with("pinctrl-names", "default")
        .with("pinctrl-0", 3_u32)
        .with("power-domains", 4_u32)
}

/// What must not be in a plan; notes may.
pub fn errors(subject: &vmm_plan::check::CheckInput<'_>) -> Vec<vmm_plan::finding::Finding> {
    let mut findings = subject.findings();
    findings.retain(|finding| finding.severity == vmm_plan::finding::Severity::Error);
    findings
}
