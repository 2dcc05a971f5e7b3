// SPDX-License-Identifier: BSD-2-Clause
//! The arm64 boot protocol: what the images must be, where they go, and how they become visible
//! to a guest whose caches are off (Linux Documentation/arch/arm64/booting.rst).

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::addr::{Ipa, IpaRange, LARGE_PAGE};
use crate::chosen;
use crate::entropy::Generator;
use crate::host::{Entry, GuestMemory, Image, MemoryOp, MemoryRefused};
use crate::plan::{PlanBlock, Window, checksum};
use crate::tree::{self, TreeError};

/// Start of every arm64 `Image` (booting.rst, 4). All fields little-endian.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct KernelHeader {
    /// Executable code.
    pub code: [u32; 2],
    /// Offset from a 2 MiB boundary at which the image must be placed.
    pub text_offset: u64,
    /// Bytes from the start of the image that the kernel uses, BSS included.
    pub image_size: u64,
    /// Bit 0: big-endian kernel.
    pub flags: u64,
    /// Reserved.
    pub reserved: [u64; 3],
    /// [`KERNEL_MAGIC`].
    pub magic: u32,
    /// Offset of a PE header, or zero.
    pub pe: u32,
}

/// "ARM\x64".
pub const KERNEL_MAGIC: u32 = 0x644d_5241;
/// Kernels lie at a multiple of this plus their text offset, in bytes.
pub const KERNEL_ALIGN: u64 = LARGE_PAGE;
/// The device tree lies on a multiple of this, in bytes.
pub const TREE_ALIGN: u64 = 8;
/// Largest device tree, in bytes (booting.rst, 2).
pub const TREE_MAX: u64 = LARGE_PAGE;

/// Why a guest cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// No kernel at all.
    #[error("there is no kernel image: was kernel.img prefilled?")]
    NoKernel,
    /// Something else.
    #[error(
        "the kernel has no arm64 Image header (magic {found:#x} at byte 56): a vmlinuz must be unpacked first"
    )]
    NotAKernel {
        /// What is there.
        found: u32,
    },
    /// CPU setting.
    #[error("the kernel is big-endian; this monitor starts little-endian guests")]
    BigEndian,
    /// The file differs from the plan's.
    #[error(
        "{image:?}: {have} bytes are there, the plan was made for {planned}: run guestplan again"
    )]
    Size {
        /// Which image.
        image: Image,
        /// Bytes prefilled.
        have: u64,
        /// Bytes planned.
        planned: u64,
    },
    /// Damaged, or another file.
    #[error("the device tree is not the one that the plan was made with: run guestplan again")]
    TreeChecksum,
    /// A kernel maps no more.
    #[error("the device tree has {size} bytes, more than the {TREE_MAX} that a kernel reads")]
    TreeSize {
        /// Its bytes.
        size: u64,
    },
    /// Bad placement.
    #[error("{image:?} at {at} must lie on a multiple of {align:#x} bytes")]
    Alignment {
        /// Which image.
        image: Image,
        /// Where it would lie.
        at: Ipa,
        /// Required alignment, in bytes.
        align: u64,
    },
    /// No room.
    #[error("{image:?} at {place} does not fit in guest RAM {ram}")]
    OutsideRam {
        /// Which image.
        image: Image,
        /// What it needs.
        place: IpaRange,
        /// What there is.
        ram: IpaRange,
    },
    /// Two in one place.
    #[error(
        "{first:?} at {at} and {second:?} at {other} overlap (a kernel needs its image_size, not its file size)"
    )]
    Overlap {
        /// One image.
        first: Image,
        /// Its place.
        at: IpaRange,
        /// The other.
        second: Image,
        /// Its place.
        other: IpaRange,
    },
    /// The tree and the plan do not say the same.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The host could not write there.
    #[error(transparent)]
    Memory(#[from] MemoryRefused),
}

/// Reads the header of a kernel.
///
/// # Errors
/// There is no kernel, or it is none for this processor.
pub fn kernel_header(kernel: &[u8]) -> Result<KernelHeader, BootError> {
    if kernel.is_empty() {
        return Err(BootError::NoKernel);
    }
    let Ok((header, _)) = KernelHeader::read_from_prefix(kernel) else {
        return Err(BootError::NotAKernel { found: 0 });
    };
    if header.magic != KERNEL_MAGIC {
        return Err(BootError::NotAKernel { found: header.magic });
    }
    if header.flags & 1 != 0 {
        return Err(BootError::BigEndian);
    }
    Ok(header)
}

/// The memory that a kernel of this file size needs from its first byte on: image_size, which
/// counts BSS; kernels before 3.17 leave it zero, then the file's size must do.
#[must_use]
pub fn kernel_span(header: &KernelHeader, file: u64) -> u64 {
    header.image_size.max(file)
}

/// Checks that the images are what the plan was made for and that they fit.
///
/// # Errors
/// [`BootError`] says which image, where, and what is there.
pub fn check(plan: &PlanBlock<'_>, memory: &dyn GuestMemory) -> Result<Entry, BootError> {
    let facts = plan.facts();
    let ram = facts.ram.range();
    let header = kernel_header(memory.image(Image::Kernel))?;
    let images = [
        (Image::Kernel, facts.kernel, kernel_span(&header, facts.kernel.size)),
        (Image::DeviceTree, facts.device_tree, facts.device_tree.size),
        (Image::Initrd, facts.initrd, facts.initrd.size),
    ];
    for (image, window, span) in images {
        let have = memory.image(image).len() as u64;
        if have != window.size {
            return Err(BootError::Size { image, have, planned: window.size });
        }
        let at = Ipa(window.ipa);
        let (base, align) = match image {
            Image::Kernel => (Ipa(window.ipa.wrapping_sub(header.text_offset)), KERNEL_ALIGN),
            Image::DeviceTree => (at, TREE_ALIGN),
            Image::Initrd => (at, 1),
        };
        if !base.is_aligned(align) {
            return Err(BootError::Alignment { image, at, align });
        }
        let fits = IpaRange::new(at, span).is_some_and(|place| ram.encloses(place));
        if span != 0 && !fits {
            // A place that wraps ends at the end of the address space.
            let place =
                IpaRange::new(at, span.min(u64::MAX.wrapping_sub(at.0))).unwrap_or_default();
            return Err(BootError::OutsideRam { image, place, ram });
        }
    }
    for (n, (first, window, span)) in images.into_iter().enumerate() {
        for (second, other, length) in images.into_iter().skip(n.saturating_add(1)) {
            let at = Window { size: span, ..window }.range();
            let other = Window { size: length, ..other }.range();
            if at.overlaps(other) {
                return Err(BootError::Overlap { first, at, second, other });
            }
        }
    }
    if facts.device_tree.size > TREE_MAX {
        return Err(BootError::TreeSize { size: facts.device_tree.size });
    }
    let tree = memory.image(Image::DeviceTree);
    if checksum(tree) != facts.device_tree_checksum {
        return Err(BootError::TreeChecksum);
    }
    tree::check(plan, tree)?;
    Ok(Entry { pc: Ipa(facts.kernel.ipa), x0: facts.device_tree.ipa })
}

/// Places the pristine images in guest RAM, with every vCPU stopped. The order matters:
///
/// 1. Clean and drop all lines of guest RAM. A dirty line that the last guest left would be
///    written back later, over what the next one stores with its caches off.
/// 2. Copy each image through the monitor's cached mapping, then clean it to the point of
///    coherency, where a guest with its caches off reads.
/// 3. Drop stale instructions at the kernel's place.
///
/// Between the two parts of step 2 the device tree gets its random numbers.
///
/// # Errors
/// The host refuses a step.
pub fn place(
    plan: &PlanBlock<'_>,
    memory: &mut dyn GuestMemory,
    generator: Option<&mut Generator>,
) -> Result<(), BootError> {
    let facts = plan.facts();
    memory.memory(MemoryOp::CleanInvalidate(facts.ram.range()))?;
    let mut generator = generator;
    for (image, window) in [
        (Image::Kernel, facts.kernel),
        (Image::DeviceTree, facts.device_tree),
        (Image::Initrd, facts.initrd),
    ] {
        if window.size != 0 {
            memory.memory(MemoryOp::Copy(image, Ipa(window.ipa)))?;
            if image == Image::DeviceTree {
                seed(window, memory, generator.take())?;
            }
            memory.memory(MemoryOp::Clean(window.range()))?;
        }
    }
    memory.memory(MemoryOp::InvalidateInstructions(facts.kernel.range()))?;
    Ok(())
}

/// What Linux takes from `/chosen` for its random numbers and for its place in virtual memory.
const SEEDS: [&str; 2] = ["rng-seed", "kaslr-seed"];

/// Fills the seeds of the tree in guest RAM with fresh random bytes. Where there are none, the
/// properties are taken out: a guest would believe their zeros.
fn seed(
    tree: Window,
    memory: &mut dyn GuestMemory,
    mut generator: Option<&mut Generator>,
) -> Result<(), MemoryRefused> {
    for name in SEEDS {
        let Some(property) = chosen::property(memory.image(Image::DeviceTree), name) else {
            continue;
        };
        for at in property.words() {
            let word = match &mut generator {
                None => chosen::NOP.to_be_bytes(),
                Some(generator) if property.value.contains(&at) => generator.bytes(),
                Some(_) => continue,
            };
            memory.memory(MemoryOp::Store(Ipa(tree.ipa.wrapping_add(at as u64)), word))?;
        }
    }
    Ok(())
}
