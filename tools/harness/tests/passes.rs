// SPDX-License-Identifier: BSD-2-Clause
//! Issue 17: what must not be passed through unasked ends `ci/boot` with exit code 3 and the finding
//! that names it, before anything is built. The program is the real one; the guest is a header, and
//! the devices that neither board has are in a tree of this test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// QEMU's machine with devices that are nobody's to give: interrupts that no GIC has, or the kernel
/// has not, registers that lead nowhere, bus masters.
const TREE: &str = r#"/dts-v1/;
/ {
    #address-cells = <2>; #size-cells = <2>; interrupt-parent = <&gic>;
    compatible = "linux,dummy-virt";
    gic: intc@8000000 {
        compatible = "arm,cortex-a15-gic"; interrupt-controller; #interrupt-cells = <3>;
        reg = <0 0x8000000 0 0x10000 0 0x8010000 0 0x10000>;
    };
    pl011@9000000 { compatible = "arm,pl011"; reg = <0 0x9000000 0 0x1000>; interrupts = <0 1 4>; };
    etr@28c06000 { compatible = "arm,coresight-tmc", "arm,primecell"; reg = <0 0x28c06000 0 0x1000>; };
    pcie-ep@33c00000 { compatible = "fsl,imx8mq-pcie-ep"; reg = <0 0x33c00000 0 0x400000>; };
    gpio@a100000 { compatible = "arm,pl061"; reg = <0 0xa100000 0 0x1000>; interrupts = <0 128 4>; };
    gpio@a101000 { compatible = "arm,pl061"; reg = <0 0xa101000 0 0x1000>; interrupts = <0 990 4>; };
    gpio@a102000 { compatible = "arm,pl061"; reg = <0 0xa102000 0 0x1000>; interrupts = <0 5000 4>; };
    npu@38500000 { compatible = "vivante,gc"; reg = <0 0x38500000 0 0x200000>; interrupts = <0 13 4>; };
    short@b000000 { compatible = "arm,pl061"; reg = <0 0xb000000 0>; };
    closed { compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>;
        gpio@100 { compatible = "arm,pl061"; reg = <0x100 0x10>; };
    };
    unsized { compatible = "simple-bus"; #address-cells = <1>; #size-cells = <0>; ranges;
        spi@29810000 { compatible = "arm,pl061"; reg = <0x29810000>; };
    };
    window { compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>; ranges = <0 0 0xc000000 0x1000>;
        icssg@1000 { compatible = "arm,pl061"; reg = <0x1000 0x10>; };
    };
};
"#;

/// A tree of sources with the boards and machines of this one, one machine more, and a small guest.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let repository =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("passes");
        let _ = fs::remove_dir_all(&root);
        let (machines, guest) =
            (root.join("tools/machines"), root.join("cache/sel4-linux-vmm/guest"));
        fs::create_dir_all(&machines).unwrap();
        fs::create_dir_all(&guest).unwrap();
        symlink(repository.join("boards"), root.join("boards")).unwrap();
        for name in ["virt-gicv2.toml", "imx8mp-el2.toml"] {
            fs::copy(repository.join("tools/machines").join(name), machines.join(name)).unwrap();
        }
        let usual = fs::read_to_string(machines.join("virt-gicv2.toml")).unwrap();
        let own = usual.lines().filter(|line| !line.starts_with("board_tree"));
        let own = own.collect::<Vec<_>>().join("\n");
        let own =
            own.replacen("\narguments", "\nboard_tree = { file = \"own.dts\" }\narguments", 1);
        fs::write(machines.join("own.toml"), own).unwrap();
        fs::write(guest.join("own.dts"), TREE).unwrap();
        // The header of an arm64 Image of 8 MiB (booting.rst, 4).
        let mut kernel = [0; 64];
        kernel[16..24].copy_from_slice(&0x80_0000_u64.to_le_bytes());
        kernel[56..60].copy_from_slice(b"ARM\x64");
        fs::write(guest.join("Image"), kernel).unwrap();
        let mut end = format!("070701{}", "00000000".repeat(11));
        end.push_str("0000000b00000000TRAILER!!!\0\0\0\0");
        fs::write(guest.join("initrd.cpio"), end).unwrap();
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap();
        let evk = "sel4-linux-vmm/guest/imx8mq-evk.dtb";
        let _ = symlink(cache.join(evk), root.join("cache").join(evk));
        Self(root)
    }

    fn has(&self, file: &str) -> bool {
        self.0.join("cache/sel4-linux-vmm/guest").join(file).is_file()
    }

    /// Exit code and standard error of `ci/boot`.
    fn boot(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_harness"))
            .arg("--root")
            .arg(&self.0)
            .arg("boot")
            .args(arguments)
            .env("XDG_CACHE_HOME", self.0.join("cache"))
            .env_remove("VMM_GUEST")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn what_must_not_be_passed_ends_with_exit_code_3_and_the_finding() {
    const QEMU: &[&str] = &["qemu", "--host", "baremetal"];
    const MAAXBOARD: &[&str] = &["maaxboard", "--host", "baremetal"];
    const OWN: &[&str] = &["qemu", "--host", "baremetal", "--profile", "own"];
    const SEL4: &[&str] = &["qemu", "--profile", "own"];
    const CAMERA: &str = "csi@30a90000,clocks=100000000,drop=power+resets+others+pins";
    let place = Place::new();
    let runs = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let left_out = [
        (QEMU, !runs("qemu-system-aarch64"), "no qemu-system-aarch64 (ci/setup installs it)"),
        (MAAXBOARD, !place.has("imx8mq-evk.dtb"), "no imx8mq-evk.dtb (ci/setup fetches it)"),
        (OWN, !runs("dtc"), "no dtc (ci/setup installs it)"),
        (SEL4, !runs("dtc"), "no dtc (ci/setup installs it)"),
        (SEL4, std::env::var_os("MICROKIT_SDK").is_none(), "MICROKIT_SDK is not set"),
    ];
    for (item, machine, pass, finding) in [
        (
            1,
            QEMU,
            "/virtio_mmio@a003e00",
            "page-exposes-neighbour: region virtio-a003000: its pages",
        ),
        (1, QEMU, "pcie@10000000", "dma-no-smmu: /pcie@10000000: it reads and writes memory"),
        (1, MAAXBOARD, "mmc@30b40000", "dma-no-smmu: /soc@0/bus@30800000/mmc@30b40000: it reads"),
        (2, MAAXBOARD, CAMERA, "dma-unknown: /soc@0/bus@30800000/csi@30a90000: \"fsl,imx8mq-csi\""),
        (2, OWN, "etr@28c06000", "dma-unknown: /etr@28c06000: \"arm,coresight-tmc\" is not known"),
        (
            2,
            OWN,
            "pcie-ep@33c00000",
            "dma-unknown: /pcie-ep@33c00000: \"fsl,imx8mq-pcie-ep\" is not known",
        ),
        (3, QEMU, "pcie@10000000", "bus-bridge: /pcie@10000000: it is the bridge to a bus"),
        (3, QEMU, "pcie@10000000", "irq-unresolved: /pcie@10000000: its interrupt-map"),
        (4, SEL4, "gpio@a100000", "irq-out-of-range: INTID 160: /gpio@a100000 raises it"),
        (4, OWN, "gpio@a101000", "irq-out-of-range: INTID 1022: /gpio@a101000 raises it"),
        (4, OWN, "gpio@a102000", "irq-out-of-range: INTID 5032: /gpio@a102000 raises it"),
        (5, OWN, "npu@38500000", "dma-unknown: /npu@38500000: \"vivante,gc\" is not known"),
        (6, OWN, "short@b000000", "registers-missing: /short@b000000: the guest does not get"),
        (6, OWN, "/closed/gpio@100", "registers-missing: /closed/gpio@100: the guest does not get"),
        (
            6,
            OWN,
            "spi@29810000",
            "registers-missing: /unsized/spi@29810000: the guest does not get",
        ),
        (6, OWN, "icssg@1000", "registers-missing: /window/icssg@1000: the guest does not get"),
    ] {
        if let Some((.., why)) = left_out.iter().find(|(of, without, _)| *of == machine && *without)
        {
            println!("left out: item {item}, {pass}: {why}");
            continue;
        }
        let (code, said) = place.boot(&[machine, &["--pass", pass]].concat());
        assert_eq!(code, Some(3), "item {item}, {pass}: {said}");
        assert!(said.contains("nothing is built, errors in the plan: "), "{pass}: {said}");
        assert!(said.contains(&format!("\nerror {finding}")), "item {item}, {pass}: {said}");
        assert!(said.contains("\n    way out: "), "item {item}, {pass}: {said}");
        // Nor is anything.
        let folders = fs::read_dir(place.0.join("build")).unwrap();
        assert_eq!(folders.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count(), 0);
    }
}
