// SPDX-License-Identifier: BSD-2-Clause
//! The seed's own configuration (issue 5, line 3): eleven regions, 144 MiB of RAM, the board's tree
//! with nodes switched off by hand, an initial RAM file system of 60 MiB. The command says what is
//! wrong with it, and exits with 1.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{archive, boards, evk, kernel};
use dtoolkit::model::{DeviceTree, DeviceTreeProperty};
use vmm_plan::dt;

/// Nodes that the seed's overlay switched off.
const DISABLED: [&str; 18] = [
    "bus@30000000/gpio@30210000",
    "bus@30000000/gpio@30220000",
    "bus@30000000/gpio@30230000",
    "bus@30000000/gpio@30240000",
    "bus@30000000/watchdog@30280000",
    "bus@30800000/spi@30820000",
    "bus@30800000/spi@30830000",
    "bus@30800000/spi@30840000",
    "bus@30800000/spi@30bb0000",
    "bus@30800000/ethernet@30be0000",
    "bus@30800000/mailbox@30aa0000",
    "bus@30800000/mmc@30b40000",
    "bus@30800000/mmc@30b50000",
    "bus@30800000/i2c@30a20000",
    "usb@38100000",
    "usb@38200000",
    "usb-phy@381f0040",
    "usb-phy@382f0040",
];

fn set(tree: &mut DeviceTree, path: &str, name: &str, value: impl dtoolkit::ToPropertyValue) {
    let node = tree.find_node_mut(path).unwrap_or_else(|| panic!("no {path}"));
    node.add_property(DeviceTreeProperty::new(name, value).unwrap());
}

/// The seed's guest tree; its memory node says `memory` bytes.
fn tree(blob: &[u8], memory: u32, initrd: u32) -> Vec<u8> {
    let (mut tree, _) = dt::read("evk", blob).unwrap();
    for path in DISABLED {
        set(&mut tree, &format!("/soc@0/{path}"), "status", "disabled");
    }
    set(&mut tree, "/memory@40000000", "reg", [0_u32, 0x4000_0000, 0, memory]);
    set(&mut tree, "/chosen", "bootargs", "maxcpus=1");
    set(&mut tree, "/chosen", "linux,initrd-start", 0x4300_0000_u32);
    set(&mut tree, "/chosen", "linux,initrd-end", 0x4300_0000 + initrd);
    tree.to_dtb()
}

struct Files(PathBuf);

impl Files {
    fn new(blob: &[u8], memory: u32) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-{memory:x}"));
        std::fs::create_dir_all(&folder).unwrap();
        let initrd = packed(60 << 20);
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
        put("kernel", &kernel(32 << 20));
        put("guest.dtb", &tree(blob, memory, initrd.len().try_into().unwrap()));
        put("board.dtb", blob);
        put("initrd", &initrd);
        Self(folder)
    }

    /// Exit code and output of `guestplan check`.
    fn check(&self) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_guestplan"))
            .args(["check", "--board", "maaxboard", "--boards"])
            .arg(boards())
            .arg("--system")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seed/guest.system"))
            .args([
                "--dtb",
                "guest.dtb",
                "--tree",
                "board.dtb",
                "--kernel",
                "kernel",
                "--initrd",
                "initrd",
            ])
            .current_dir(&self.0)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

/// As small a gzip file as says that it holds `size` bytes: only its outside is read.
fn packed(size: u32) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0];
    gzip.extend(size.to_le_bytes());
    gzip
}

#[test]
fn the_seeds_configuration_is_refused_with_reasons() {
    let Some(blob) = evk() else { return };
    // The tree still says what the RAM was once enlarged to.
    let (code, text) = Files::new(&blob, 0xf00_0000).check();
    assert_eq!(code, Some(1), "{text}");
    for (id, say) in [
        (
            "initramfs-too-big",
            "it unpacks to 60 MiB (62914560 bytes); of 144 MiB RAM at most 52.8 MiB",
        ),
        ("page-exposes-neighbour", "gpio@30210000"),
        ("gicv-on-gicv3", "region gicv"),
        ("provider-owns-console", "clock-controller@30380000"),
        ("driver-needs-firmware", "0xc2000006"),
        ("memory-mismatch", "0x40000000..0x4f000000, its RAM is 0x40000000..0x49000000"),
        ("node-unmapped", ""),
        ("irq-missing", ""),
    ] {
        let found =
            text.lines().any(|line| line.contains(&format!("error {id}:")) && line.contains(say));
        assert!(found, "no {id} with '{say}' in:\n{text}");
    }
}

#[test]
fn the_memory_mismatch_is_only_there_where_it_was_planted() {
    let Some(blob) = evk() else { return };
    let (code, text) = Files::new(&blob, 0x900_0000).check();
    assert_eq!(code, Some(1));
    assert!(!text.contains("memory-mismatch"), "{text}");
}

#[test]
fn a_plain_archive_is_measured_too() {
    let image = archive(5 << 20);
    assert_eq!(
        vmm_plan::initramfs::unpacked(&image),
        vmm_plan::initramfs::Unpacked::Known(5 << 20)
    );
}
