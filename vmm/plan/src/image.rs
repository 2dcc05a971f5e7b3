// SPDX-License-Identifier: BSD-2-Clause
//! The images that a guest starts from.

use std::path::Path;

use crate::error::PlanError;
use crate::span::length;

/// "ARM\x64" at byte 56 of an arm64 `Image` (booting.rst, 4).
const IMAGE_MAGIC: u32 = u32::from_le_bytes(*b"ARM\x64");

/// The images that a guest starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// An arm64 `Image`.
    pub kernel: Vec<u8>,
    /// Initial RAM file system, if there is one.
    pub initrd: Option<Vec<u8>>,
    /// A guest tree of one's own, instead of the computed one; only its `chosen` node is filled.
    pub dtb: Option<Vec<u8>>,
}

impl Images {
    /// No initial RAM file system, and a kernel of one page: for questions that no image changes.
    #[must_use]
    pub fn none() -> Self {
        let header: [u64; 8] = [0, 0, 0x1000, 0, 0, 0, 0, u64::from(IMAGE_MAGIC)];
        let kernel = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        Self { kernel, ..Self::default() }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`PlanError::File`] for the first one that does not read.
    pub fn read(
        kernel: &Path,
        initrd: Option<&Path>,
        dtb: Option<&Path>,
    ) -> Result<Self, PlanError> {
        let read = |path: &Path| std::fs::read(path).map_err(PlanError::file(path));
        Ok(Self {
            kernel: read(kernel)?,
            initrd: initrd.map(read).transpose()?,
            dtb: dtb.map(read).transpose()?,
        })
    }
}

/// What the header of an arm64 `Image` says (Linux Documentation/arch/arm64/booting.rst, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelHeader {
    /// Bytes from a 2 MiB boundary to the start of the image.
    pub text_offset: u64,
    /// Bytes that the kernel needs from its start, its zeroed data included.
    pub image_size: u64,
}

impl KernelHeader {
    /// Reads the header of `image`. The size is at least that of the file.
    ///
    /// # Errors
    /// [`PlanError::NotAnImage`] says what is wrong.
    pub fn read(image: &[u8]) -> Result<Self, PlanError> {
        let wrong = |what: String| PlanError::NotAnImage { what };
        let word = |offset: usize| -> Result<u64, PlanError> {
            let bytes = offset.checked_add(8).and_then(|end| image.get(offset..end));
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes
                .map(u64::from_le_bytes)
                .ok_or_else(|| wrong(format!("the kernel has {} bytes, no header", image.len())))
        };
        let magic = word(56)? & 0xffff_ffff;
        if magic != u64::from(IMAGE_MAGIC) {
            let hint = match image {
                [0x1f, 0x8b, ..] => " (it is compressed with gzip)",
                [0x7f, b'E', b'L', b'F', ..] => " (it is an ELF file)",
                [b'M', b'Z', ..] => " (it is an EFI program without that magic)",
                _ => "",
            };
            return Err(wrong(format!("no magic 'ARM\\x64' at byte 56{hint}")));
        }
        let (text_offset, image_size, flags) = (word(8)?, word(16)?, word(24)?);
        if flags & 1 != 0 {
            return Err(wrong("the kernel is big-endian".into()));
        }
        if image_size == 0 {
            return Err(wrong("the header gives no image_size (a kernel before 3.17)".into()));
        }
        if text_offset >= crate::span::LARGE_PAGE {
            return Err(wrong(format!("text_offset {text_offset:#x} is not below 2 MiB")));
        }
        Ok(Self { text_offset, image_size: image_size.max(length(image)) })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An arm64 `Image` of `file` bytes that asks for `size`.
    pub(crate) fn kernel(file: usize, size: u64) -> Vec<u8> {
        let mut image = vec![0; file.max(64)];
        image[16..24].copy_from_slice(&size.to_le_bytes());
        image[56..60].copy_from_slice(b"ARM\x64");
        image
    }

    #[test]
    fn the_size_counts_zeroed_data() {
        let header = KernelHeader::read(&kernel(100, 0x30_0000)).unwrap();
        assert_eq!(header, KernelHeader { text_offset: 0, image_size: 0x30_0000 });
    }

    #[test]
    fn what_is_no_image_is_refused_by_name() {
        let mut elf = kernel(64, 1);
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[56] = 0;
        let mut endian = kernel(64, 1);
        endian[24] = 1;
        let mut offset = kernel(64, 1);
        offset[8..16].copy_from_slice(&0x20_0000u64.to_le_bytes());
        for (image, say) in [
            (vec![0x1f, 0x8b], "2 bytes"),
            (elf, "ELF"),
            (endian, "big-endian"),
            (kernel(64, 0), "image_size"),
            (offset, "text_offset 0x200000"),
        ] {
            let error = KernelHeader::read(&image).unwrap_err().to_string();
            assert!(error.contains(say), "{error}");
        }
    }
}
