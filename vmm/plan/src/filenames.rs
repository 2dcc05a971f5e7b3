// SPDX-License-Identifier: BSD-2-Clause
//! Names of the files of a plan, all in one folder.

/// File name of the plan block.
pub const PLAN_FILE: &str = "plan.bin";
/// File name of the kernel.
pub const KERNEL_FILE: &str = "kernel.img";
/// File name of the guest's tree, flattened.
pub const TREE_FILE: &str = "guest.dtb";
/// File name of the guest's tree for people.
pub const TREE_SOURCE_FILE: &str = "guest.dts";
/// File name of the initial RAM file system.
pub const INITRD_FILE: &str = "initrd.img";
/// File name of the Microkit system file.
pub const SYSTEM_FILE: &str = "guest.system";
/// File name of the image that the Microkit tool makes.
pub const LOADER_FILE: &str = "loader.img";
/// File name of what whoever boots or packs the plan has to know, as JSON.
pub const IMAGE_FILE: &str = "image.json";
/// File name of the memory map for people.
pub const MAP_FILE: &str = "memory-map.md";
