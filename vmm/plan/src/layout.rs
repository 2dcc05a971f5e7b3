// SPDX-License-Identifier: BSD-2-Clause
//! Where kernel, device tree and initial RAM file system go in guest RAM.
//!
//! Linux Documentation/arch/arm64/booting.rst: the kernel at `text_offset` from a 2 MiB boundary
//! with `image_size` bytes free, the device tree on 8 bytes and at most 2 MiB long, the initrd
//! within the same 32 GiB as the kernel.

use vmm_core::addr::Ipa;
use vmm_core::boot::TREE_MAX;

use crate::error::PlanError;
use crate::image::{Images, KernelHeader};
use crate::span::{Extent, LARGE_PAGE, Size, Span, align_up, length};

/// Guest-physical places of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Guest RAM.
    pub ram: Span<Ipa>,
    /// Kernel, with its zeroed data.
    pub kernel: Span<Ipa>,
    /// Bytes of the kernel's file.
    pub kernel_file: u64,
    /// Room for the device tree.
    pub tree: Span<Ipa>,
    /// Initial RAM file system; size zero if there is none.
    pub initrd: Span<Ipa>,
}

impl Layout {
    /// Places the images from the start of `ram`.
    ///
    /// # Errors
    /// [`PlanError::DoesNotFit`] names the first image past the end, its size and what is left.
    pub fn new(ram: Span<Ipa>, images: &Images) -> Result<Self, PlanError> {
        let header = KernelHeader::read(&images.kernel)?;
        let place = |thing: &str, base: Ipa, size: u64| {
            let span = Span::new(base, size).filter(|span| ram.encloses(*span));
            span.ok_or_else(|| PlanError::DoesNotFit {
                thing: thing.into(),
                extent: Extent { base: base.0, size },
                room: format!("guest RAM ({})", Size(ram.size())),
                left: Span::until(base, ram.end()).size(),
                way_out: "give the guest more RAM, or a smaller image".into(),
            })
        };
        let up = |end: Ipa| Ipa(align_up(end.0, LARGE_PAGE));
        let base = Ipa(up(ram.base()).0.saturating_add(header.text_offset));
        let kernel = place("the kernel with its zeroed data", base, header.image_size)?;
        // On a large page of its own: the kernel maps the tree before it knows what is around it.
        let tree = place("the device tree", up(kernel.end()), TREE_MAX)?;
        let bytes = images.initrd.as_deref().map_or(0, length);
        let initrd = place("the initial RAM file system", tree.end(), bytes)?;
        Ok(Self { ram, kernel, kernel_file: length(&images.kernel), tree, initrd })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::kernel;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn images_never_overlap_and_stay_in_ram(
            ram in 1u64..64,
            file in 64usize..0x1_0000,
            more in 0u64..0x400_0000,
            initrd in 0usize..0x1_0000,
        ) {
            let ram = Span::new(Ipa(0x4000_0000), ram * 0x10_0000).unwrap();
            let size = file as u64 + more;
            let images = Images {
                kernel: kernel(file, size),
                initrd: Some(vec![0; initrd]),
                dtb: None,
            };
            if let Ok(layout) = Layout::new(ram, &images) {
                let parts = [layout.kernel, layout.tree, layout.initrd];
                for (i, part) in parts.iter().enumerate() {
                    prop_assert!(ram.encloses(*part));
                    for other in &parts[i + 1..] {
                        prop_assert!(!part.overlaps(*other));
                    }
                }
                prop_assert_eq!(layout.tree.base().0 % LARGE_PAGE, 0);
                prop_assert_eq!(layout.kernel.size(), size);
            } else {
                prop_assert!(size + 3 * LARGE_PAGE + initrd as u64 > ram.size());
            }
        }
    }

    /// Every combination of a RAM and three images whose sizes are at an edge of something, against
    /// arithmetic that cannot overflow: placed as booting.rst says, or refused for want of room.
    #[test]
    fn every_combination_of_sizes_at_the_edges() {
        const TOP: u64 = u64::MAX;
        const P: u64 = LARGE_PAGE;
        let up = |n: u128| n.next_multiple_of(P.into());
        let (mut placed, mut refused) = (0, 0);
        for base in [0, 1, P - 1, P, 0x4000_0000, 1 << 63, TOP - 8 * P, TOP - P, TOP] {
            for ram in [0, 1, P, 3 * P - 1, 3 * P, 4 * P, 5 * P + 64, 1 << 32, TOP] {
                // A RAM that leaves the address space is no range to begin with.
                let Some(ram) = Span::new(Ipa(base), ram) else { continue };
                for (offset, size) in [0, 0x1000, P - 0x1000]
                    .into_iter()
                    .flat_map(|offset| [64, 65, P - 1, P, P + 1, 1 << 40, TOP].map(|s| (offset, s)))
                {
                    let mut file = kernel(64, size);
                    file[8..16].copy_from_slice(&offset.to_le_bytes());
                    for initrd in [None, Some(1), Some(64), Some(0x1_0001)] {
                        let images = Images {
                            kernel: file.clone(),
                            initrd: initrd.map(|n| vec![0; n]),
                            dtb: None,
                        };
                        let first = up(base.into()) + u128::from(offset);
                        let end = first + u128::from(size);
                        let tree = up(end);
                        let last = tree + u128::from(P);
                        let all = last + initrd.unwrap_or(0) as u128;
                        let fits = all <= u128::from(ram.end().0);
                        let layout = Layout::new(ram, &images);
                        assert_eq!(layout.is_ok(), fits, "{ram} {offset:#x} {size:#x} {initrd:?}");
                        let Ok(layout) = layout else {
                            refused += 1;
                            continue;
                        };
                        placed += 1;
                        let bounds = |s: Span<Ipa>| (u128::from(s.base().0), u128::from(s.end().0));
                        assert_eq!(bounds(layout.kernel), (first, end));
                        assert_eq!(bounds(layout.tree), (tree, last));
                        assert_eq!(bounds(layout.initrd), (last, all));
                    }
                }
            }
        }
        assert!(placed > 500 && refused > 500, "{placed} {refused}");
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_is_left() {
        let images = Images { kernel: kernel(64, 0x100_0000), ..Images::default() };
        let error =
            Layout::new(Span::new(Ipa(0x4000_0000), 0x80_0000).unwrap(), &images).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("takes 16 MiB"), "{error}");
        assert!(error.contains("only 8 MiB of guest RAM"), "{error}");
    }
}
