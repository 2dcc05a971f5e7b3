// SPDX-License-Identifier: BSD-2-Clause
//! What a guest is started from: every way in which images, plan and device tree can disagree.

use dtoolkit::model::DeviceTreeProperty;
use proptest::prelude::*;
use vmm_core::addr::{Ipa, IpaRange};
use vmm_core::boot::{self, BootError, kernel_header, kernel_span};
use vmm_core::fault::Fault;
use vmm_core::host::{Action, Entry, GuestMemory, Image, MemoryOp, MemoryRefused};
use vmm_core::plan::Window;
use vmm_core::tree::{self, TreeError};

use crate::common::spec::{INITRD, KERNEL, RAM, RAM_SIZE, TREE, kernel};
use crate::common::tree::{Build, of, reg};
use crate::common::{Machine, Spec};

fn check(spec: &Spec) -> Result<Entry, BootError> {
    boot::check(&spec.plan(), &spec.fake())
}

/// What is wrong with a guest that was changed.
fn wrong(change: impl FnOnce(&mut Spec)) -> String {
    let mut spec = Spec::new(2, 1);
    change(&mut spec);
    check(&spec).unwrap_err().to_string()
}

/// What is wrong with a device tree that was changed.
fn wrong_tree(version: u32, change: impl FnOnce(&mut dtoolkit::model::DeviceTree)) -> String {
    let mut spec = Spec::new(version, 2);
    let mut tree = of(&spec.facts);
    change(&mut tree);
    spec.set_tree(tree.to_dtb());
    check(&spec).unwrap_err().to_string()
}

fn set(
    tree: &mut dtoolkit::model::DeviceTree,
    path: &str,
    name: &str,
    value: impl dtoolkit::ToPropertyValue,
) {
    tree.find_node_mut(path).unwrap().add_property(DeviceTreeProperty::new_unchecked(name, value));
}

#[test]
fn a_right_guest_enters_its_kernel_with_its_tree() {
    for version in [2, 3] {
        for vcpus in 1..=4 {
            let entry = check(&Spec::new(version, vcpus)).unwrap();
            assert_eq!(entry, Entry { pc: Ipa(KERNEL), x0: TREE });
        }
    }
}

#[test]
fn a_guest_without_an_initrd_is_fine() {
    let mut spec = Spec::new(2, 1);
    spec.initrd.clear();
    spec.facts.initrd = Window::default();
    spec.set_tree(of(&spec.facts).to_dtb());
    assert!(check(&spec).is_ok());
    let mut m = Machine::boot(&spec);
    assert!(m.fake.memory_log.iter().all(|op| !matches!(op, MemoryOp::Copy(Image::Initrd, _))));
    m.settle();
}

#[test]
fn no_kernel() {
    let text = "there is no kernel image: was kernel.img prefilled?";
    assert_eq!(wrong(|spec| spec.kernel.clear()), text);
}

#[test]
fn a_packed_kernel() {
    let text = "the kernel has no arm64 Image header (magic 0x11111111 at byte 56): a vmlinuz must be unpacked first";
    assert_eq!(wrong(|spec| spec.kernel[56..60].fill(0x11)), text);
}

#[test]
fn a_file_shorter_than_a_header() {
    assert_eq!(kernel_header(&[0; 63]).unwrap_err(), BootError::NotAKernel { found: 0 });
}

#[test]
fn a_big_endian_kernel() {
    let text = "the kernel is big-endian; this monitor starts little-endian guests";
    assert_eq!(wrong(|spec| spec.kernel[24] |= 1), text);
    let mut spec = Spec::new(2, 1);
    spec.kernel[24] |= 0b1010; // 4 KiB pages, anywhere in memory: nobody minds
    assert!(check(&spec).is_ok());
}

#[test]
fn a_header_says_how_much_memory_a_kernel_needs() {
    let header = kernel_header(&kernel(100, 0x8000)).unwrap();
    assert_eq!((header.image_size, header.text_offset), (0x8000, 0));
    assert_eq!(kernel_span(&header, 100), 0x8000);
    // Before Linux 3.17 image_size is zero.
    let old = kernel_header(&kernel(100, 0)).unwrap();
    assert_eq!(kernel_span(&old, 100), 100);
}

#[test]
fn an_image_of_another_size() {
    assert_eq!(
        wrong(|spec| spec.kernel.push(0)),
        "Kernel: 201 bytes are there, the plan was made for 200: run guestplan again"
    );
    assert_eq!(
        wrong(|spec| spec.initrd.truncate(3)),
        "Initrd: 3 bytes are there, the plan was made for 26: run guestplan again"
    );
    let text = wrong(|spec| spec.tree.clear());
    assert!(text.starts_with("DeviceTree: 0 bytes are there"), "{text}");
    let text = wrong(|spec| spec.facts.initrd = Window::default());
    assert_eq!(text, "Initrd: 26 bytes are there, the plan was made for 0: run guestplan again");
}

#[test]
fn another_device_tree_of_the_same_size() {
    let text = wrong(|spec| *spec.tree.last_mut().unwrap() ^= 1);
    assert_eq!(
        text,
        "the device tree is not the one that the plan was made with: run guestplan again"
    );
}

#[test]
fn a_kernel_off_its_boundary() {
    let text = wrong(|spec| spec.facts.kernel.ipa = RAM + 0x1000);
    assert_eq!(text, "Kernel at 0x40001000 must lie on a multiple of 0x200000 bytes");
}

#[test]
fn a_text_offset_moves_the_boundary() {
    let mut spec = Spec::new(2, 1);
    spec.kernel[8..16].copy_from_slice(&0x8_0000_u64.to_le_bytes());
    assert!(matches!(check(&spec), Err(BootError::Alignment { image: Image::Kernel, .. })));
    spec.facts.ram.size = 0x20_0000;
    spec.facts.kernel.ipa = RAM + 0x8_0000;
    spec.set_tree(of(&spec.facts).to_dtb());
    assert_eq!(check(&spec).unwrap().pc, Ipa(RAM + 0x8_0000));
}

#[test]
fn a_device_tree_off_its_boundary() {
    let text = wrong(|spec| spec.facts.device_tree.ipa = TREE + 4);
    assert_eq!(text, "DeviceTree at 0x40020004 must lie on a multiple of 0x8 bytes");
}

#[test]
fn a_device_tree_that_is_too_big() {
    let mut spec = Spec::new(2, 1);
    spec.facts.ram.size = 0x40_0000;
    let mut dtb = of(&spec.facts).to_dtb();
    dtb.resize(0x20_0000, 0); // what follows the blocks is nobody's
    spec.facts.initrd.ipa = RAM + 0x30_0000;
    spec.set_tree(dtb.clone());
    assert!(matches!(check(&spec), Err(BootError::Tree(_))), "not too big, only of another guest");
    dtb.push(0);
    spec.set_tree(dtb);
    assert_eq!(
        check(&spec).unwrap_err().to_string(),
        "the device tree has 2097153 bytes, more than the 2097152 that a kernel reads"
    );
}

#[test]
fn an_image_outside_ram() {
    let text = wrong(|spec| spec.facts.initrd.ipa = RAM + RAM_SIZE - 25);
    assert_eq!(
        text,
        "Initrd at 0x4003ffe7..0x40040001 does not fit in guest RAM 0x40000000..0x40040000"
    );
    let text = wrong(|spec| spec.facts.device_tree.ipa = RAM - 8);
    assert!(text.starts_with("DeviceTree at 0x3ffffff8.."), "{text}");
}

#[test]
fn a_kernel_whose_bss_leaves_ram() {
    let text = wrong(|spec| spec.kernel = kernel(200, RAM_SIZE + 1));
    assert_eq!(
        text,
        "Kernel at 0x40000000..0x40040001 does not fit in guest RAM 0x40000000..0x40040000"
    );
}

#[test]
fn a_kernel_whose_bss_leaves_the_address_space() {
    let text = wrong(|spec| spec.kernel = kernel(200, u64::MAX));
    assert_eq!(
        text,
        "Kernel at 0x40000000..0xffffffffffffffff does not fit in guest RAM 0x40000000..0x40040000"
    );
}

#[test]
fn a_kernel_whose_bss_covers_the_device_tree() {
    let text = wrong(|spec| spec.kernel = kernel(200, TREE - KERNEL + 1));
    let end = TREE + Spec::new(2, 1).tree.len() as u64;
    assert_eq!(
        text,
        format!(
            "Kernel at 0x40000000..0x40020001 and DeviceTree at 0x40020000..{end:#x} overlap \
             (a kernel needs its image_size, not its file size)"
        )
    );
    let mut spec = Spec::new(2, 1);
    spec.kernel = kernel(200, TREE - KERNEL);
    assert!(check(&spec).is_ok(), "side by side is fine");
}

#[test]
fn an_initrd_over_the_others() {
    for ipa in [KERNEL + 0x8000, TREE + 100] {
        let mut spec = Spec::new(2, 1);
        spec.facts.initrd.ipa = ipa;
        let error = check(&spec).unwrap_err();
        assert!(matches!(error, BootError::Overlap { second: Image::Initrd, .. }), "{error}");
    }
}

#[test]
fn a_tree_that_is_none() {
    let text = wrong(|spec| spec.set_tree(vec![0; 64]));
    assert_eq!(text, "this is no device tree that can be read (bad magic, size or version)");
    let text = wrong(|spec| spec.set_tree(Vec::new()));
    assert_eq!(text, "this is no device tree that can be read (bad magic, size or version)");
}

#[test]
fn a_tree_without_a_node_that_is_needed() {
    for (path, name) in
        [("memory@40000000", "memory"), ("cpus", "cpus"), ("psci", "psci"), ("chosen", "chosen")]
    {
        let text = wrong_tree(2, |tree| {
            tree.root.remove_child(path).unwrap();
        });
        assert_eq!(text, format!("the device tree has no {name} node"));
    }
}

#[test]
fn a_tree_whose_memory_has_no_place() {
    let text = wrong_tree(2, |tree| {
        tree.find_node_mut("/memory@40000000").unwrap().remove_property("reg").unwrap();
    });
    assert_eq!(text, "the device tree has no memory node");
}

#[test]
fn a_tree_with_other_memory() {
    for (ipa, size) in [(RAM, RAM_SIZE * 2), (RAM + 0x20_0000, RAM_SIZE)] {
        let text = wrong_tree(2, |tree| set(tree, "/memory@40000000", "reg", reg(&[ipa, size])));
        let end = ipa + size;
        assert_eq!(
            text,
            format!(
                "the device tree gives the guest memory at {ipa:#x}..{end:#x}, the plan 0x40000000..0x40040000"
            )
        );
    }
}

#[test]
fn a_tree_with_another_interrupt_controller() {
    let expected =
        "the device tree's interrupt controller is not the plan's: GICv2 at 0x8000000..0x8010000";
    let path = "/interrupt-controller@8000000";
    let of_v3 = wrong_tree(2, |tree| set(tree, path, "compatible", "arm,gic-v3"));
    assert_eq!(of_v3, expected);
    let elsewhere = wrong_tree(2, |tree| set(tree, path, "reg", reg(&[0x900_0000, 0x1_0000])));
    assert_eq!(elsewhere, expected);
    let nowhere = wrong_tree(2, |tree| {
        tree.find_node_mut(path).unwrap().remove_property("reg").unwrap();
    });
    assert_eq!(nowhere, expected);
    let none = wrong_tree(3, |tree| {
        tree.root.remove_child("interrupt-controller@8000000").unwrap();
    });
    assert!(none.contains("GICv3 at 0x8000000"), "{none}");
    let of_v2 = wrong_tree(3, |tree| set(tree, path, "compatible", "arm,gic-400"));
    assert!(of_v2.contains("GICv3 at 0x8000000"), "{of_v2}");
}

#[test]
fn a_tree_with_other_redistributors() {
    let path = "/interrupt-controller@8000000";
    let elsewhere = wrong_tree(3, |tree| {
        set(tree, path, "reg", reg(&[0x800_0000, 0x1_0000, 0x900_0000, 0x4_0000]));
    });
    assert!(elsewhere.contains("GICv3 at 0x8000000"), "{elsewhere}");
    let none = wrong_tree(3, |tree| set(tree, path, "reg", reg(&[0x800_0000, 0x1_0000])));
    assert!(none.contains("GICv3 at 0x8000000"), "{none}");
}

#[test]
fn every_name_of_a_gicv2() {
    for name in ["arm,cortex-a15-gic", "arm,gic-400", "arm,cortex-a7-gic"] {
        let mut spec = Spec::new(2, 1);
        let mut tree = of(&spec.facts);
        set(&mut tree, "/interrupt-controller@8000000", "compatible", name);
        spec.set_tree(tree.to_dtb());
        assert!(check(&spec).is_ok(), "{name}");
    }
}

#[test]
fn a_tree_with_more_or_fewer_cpus() {
    let fewer = wrong_tree(2, |tree| {
        tree.find_node_mut("/cpus").unwrap().remove_child("cpu@1").unwrap();
    });
    assert_eq!(fewer, "the device tree has 1 CPUs, the plan 2");
    let more = wrong_tree(2, |tree| {
        tree.find_node_mut("/cpus").unwrap().add_child(Build::new("cpu@2").with("reg", 2_u32).0);
    });
    assert_eq!(more, "the device tree has 3 CPUs, the plan 2");
}

#[test]
fn what_is_beside_the_cpus_does_not_count() {
    let mut spec = Spec::new(2, 1);
    let mut tree = of(&spec.facts);
    tree.find_node_mut("/cpus").unwrap().add_child(Build::new("cpu-map").0);
    tree.find_node_mut("/cpus").unwrap().add_child(Build::new("idle-states").0);
    spec.set_tree(tree.to_dtb());
    assert!(check(&spec).is_ok());
}

#[test]
fn firmware_by_hypercall() {
    let expected = "the device tree's psci node must say method = \"smc\"";
    assert_eq!(wrong_tree(2, |tree| set(tree, "/psci", "method", "hvc")), expected);
    let none = wrong_tree(2, |tree| {
        tree.find_node_mut("/psci").unwrap().remove_property("method").unwrap();
    });
    assert_eq!(none, expected);
}

#[test]
fn an_initrd_elsewhere_in_the_tree() {
    let text = wrong_tree(2, |tree| set(tree, "/chosen", "linux,initrd-end", INITRD + 27));
    assert_eq!(
        text,
        "the device tree puts the initrd at 0x40030000..0x4003001b, the plan at 0x40030000..0x4003001a"
    );
    let backwards = wrong_tree(2, |tree| set(tree, "/chosen", "linux,initrd-end", INITRD - 1));
    assert!(backwards.contains("at 0x40030000..0x40030000,"), "{backwards}");
}

#[test]
fn an_initrd_that_the_tree_does_not_know() {
    for name in ["linux,initrd-start", "linux,initrd-end"] {
        let text = wrong_tree(2, |tree| {
            tree.find_node_mut("/chosen").unwrap().remove_property(name).unwrap();
        });
        assert_eq!(text, format!("the device tree has no {name} node"));
    }
}

#[test]
fn an_initrd_in_one_cell() {
    let mut spec = Spec::new(2, 1);
    let mut tree = of(&spec.facts);
    set(&mut tree, "/chosen", "linux,initrd-start", INITRD as u32);
    set(&mut tree, "/chosen", "linux,initrd-end", INITRD as u32 + 26);
    spec.set_tree(tree.to_dtb());
    assert!(check(&spec).is_ok());
    set(&mut tree, "/chosen", "linux,initrd-end", [1_u8, 2, 3]);
    spec.set_tree(tree.to_dtb());
    assert_eq!(check(&spec).unwrap_err(), BootError::Tree(TreeError::Missing("linux,initrd-end")));
}

#[test]
fn a_tree_is_checked_alone_too() {
    let spec = Spec::new(3, 2);
    assert_eq!(tree::check(&spec.plan(), &spec.tree), Ok(()));
    assert_eq!(tree::check(&spec.plan(), b"no tree"), Err(TreeError::Unreadable));
}

#[test]
fn a_guest_that_cannot_start_is_stopped_with_a_report() {
    let mut spec = Spec::new(2, 1);
    spec.kernel[24] |= 1;
    let mut m = Machine::new(&spec);
    let Action::Stop(_) = m.start() else { panic!("started") };
    let report = m.vm.fault().unwrap();
    assert_eq!(report.fault, Fault::BadImage(BootError::BigEndian));
    assert!(m.fake.memory_log.is_empty(), "nothing was placed");
    let event = m.events().pop().unwrap();
    assert_eq!(
        (event["event"].as_str(), event["kind"].as_str()),
        (Some("stop"), Some("bad-image"))
    );
    assert!(m.fake.printed.contains("it cannot be started: the kernel is big-endian"));
}

#[test]
fn a_host_that_refuses_memory() {
    let spec = Spec::new(2, 1);
    let mut fake = spec.fake();
    fake.ram = vmm_testkit::fake::ram::Ram::new(IpaRange::new(Ipa(RAM), 0x1000).unwrap());
    let error = boot::place(&spec.plan(), &mut fake, None).unwrap_err();
    let all = IpaRange::new(Ipa(RAM), RAM_SIZE).unwrap();
    assert_eq!(error, BootError::Memory(MemoryRefused(MemoryOp::CleanInvalidate(all))));
    assert!(error.to_string().starts_with("guest RAM does not hold CleanInvalidate("), "{error}");
    assert_eq!(fake.image(Image::Initrd), spec.initrd);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_header_is_refused_or_fits(bytes in prop::collection::vec(any::<u8>(), 64), good: bool, span: u64) {
        let mut spec = Spec::new(2, 1);
        let magic = spec.kernel[56..60].to_vec();
        spec.kernel[..64].copy_from_slice(&bytes);
        if good {
            spec.kernel[56..60].copy_from_slice(&magic);
            spec.kernel[16..24].copy_from_slice(&(span % (2 * RAM_SIZE)).to_le_bytes());
            spec.kernel[8..16].fill(0);
            spec.kernel[24] &= !1;
        }
        let answer = check(&spec);
        if let Ok(entry) = answer {
            let header = kernel_header(&spec.kernel).unwrap();
            let end = entry.pc.0 + kernel_span(&header, spec.kernel.len() as u64);
            prop_assert!(end <= TREE);
        } else if good && span % (2 * RAM_SIZE) <= TREE - KERNEL {
            prop_assert!(false, "refused: {:?}", answer);
        }
    }

    #[test]
    fn accepted_images_lie_apart_in_ram(kernel_at in 0_u64..3, tree_at in 0_u64..0x4_0000, initrd_at in 0_u64..0x4_0000) {
        let mut spec = Spec::new(2, 1);
        spec.facts.kernel.ipa = RAM + kernel_at * 0x8000;
        spec.facts.device_tree.ipa = RAM + tree_at / 8 * 8;
        spec.facts.initrd.ipa = RAM + initrd_at;
        let tree = of(&spec.facts).to_dtb();
        let place = spec.facts.device_tree.ipa;
        spec.set_tree(tree);
        spec.facts.device_tree.ipa = place;
        if check(&spec).is_ok() {
            let mut ranges = [
                (spec.facts.kernel.ipa, 0x1_0000),
                (place, spec.tree.len() as u64),
                (spec.facts.initrd.ipa, spec.initrd.len() as u64),
            ];
            ranges.sort_unstable();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
            prop_assert!(ranges.iter().all(|(at, size)| *at >= RAM && at + size <= RAM + RAM_SIZE));
        }
    }
}
