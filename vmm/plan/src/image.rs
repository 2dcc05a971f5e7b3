// SPDX-License-Identifier: BSD-2-Clause
//! The images that a guest starts from.

use std::path::Path;

use vmm_core::boot::{self, KERNEL_MAGIC, TREE_MAX};
use zerocopy::FromBytes;

use crate::error::PlanError;
use crate::input::{most, read};
use crate::span::{LARGE_PAGE, PAGE, length};

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
        let header: [u64; 8] = [0, 0, 0x1000, 0, 0, 0, 0, u64::from(KERNEL_MAGIC)];
        let kernel = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        Self { kernel, ..Self::default() }
    }

    /// Reads the files for a guest with `ram` bytes of RAM, and of none more than could fit there.
    ///
    /// # Errors
    /// The first one that does not read or is too long.
    pub fn read(
        kernel: &Path,
        initrd: Option<&Path>,
        dtb: Option<&Path>,
        ram: u64,
    ) -> Result<Self, PlanError> {
        let most = most(ram);
        let initrd = initrd
            .map(|path| read(path, "an initial RAM file system in the guest's RAM (--ram)", most));
        let dtb = dtb.map(|path| read(path, "a guest's device tree", TREE_MAX));
        Ok(Self {
            kernel: read(kernel, "a kernel in the guest's RAM (--ram)", most)?,
            initrd: initrd.transpose()?,
            dtb: dtb.transpose()?,
        })
    }
}

/// What a file is that is no arm64 `Image`, and what to do with it.
fn kind(file: &[u8]) -> Option<String> {
    let word = |at: usize| -> Option<u32> {
        let bytes = file.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let known = match file {
        [0x1f, 0x8b, ..] => "it is compressed with gzip: gunzip < FILE > Image",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "it is compressed with xz: xz -dc FILE > Image",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is compressed with zstd: zstd -dc FILE > Image",
        [0x02, 0x21, 0x4c, 0x18, ..] | [0x04, 0x22, 0x4d, 0x18, ..] => {
            "it is compressed with lz4: lz4 -dc FILE > Image"
        }
        [b'B', b'Z', b'h', ..] => "it is compressed with bzip2: bunzip2 < FILE > Image",
        [0x5d, 0, 0, ..] => "it is compressed with lzma: xz -dc --format=lzma FILE > Image",
        [0x89, b'L', b'Z', b'O', ..] => "it is compressed with lzop: lzop -dc FILE > Image",
        [0x27, 0x05, 0x19, 0x56, ..] => {
            "it is a uImage, wrapped for U-Boot: tail -c +65 FILE > Image, then unpack that if need be"
        }
        [0xd0, 0x0d, 0xfe, 0xed, ..] => {
            "it is a FIT image, or a device tree: dumpimage -T flat_dt -p 0 -o Image FILE"
        }
        [0x7f, b'E', b'L', b'F', ..] => {
            "it is an ELF file (vmlinux): aarch64-linux-gnu-objcopy -O binary FILE Image"
        }
        [b'0', b'7', b'0', b'7', b'0', ..] => {
            "it is a cpio archive: have --kernel and --initrd changed places?"
        }
        [b'A', b'N', b'D', b'R', b'O', b'I', b'D', b'!', ..] => {
            "it is an Android boot image: unpack_bootimg --boot_img FILE"
        }
        [b'M', b'Z', _, _, b'z', b'i', b'm', b'g', ..] => {
            // Linux drivers/firmware/efi/libstub/zboot-header.S.
            let (at, size) = (word(8)?, word(12)?);
            let how = file.get(24..56).unwrap_or_default();
            let how = how.split(|&byte| byte == 0).next().unwrap_or_default();
            return Some(format!(
                "it is a compressed EFI kernel (zboot): tail -c +{} FILE | head -c {size}, then unpack that ({})",
                u64::from(at).saturating_add(1),
                String::from_utf8_lossy(how).escape_debug()
            ));
        }
        // Linux arch/arm/boot/compressed/head.S.
        _ if word(0x24) == Some(0x016f_2818) => "it is a zImage, a kernel for 32-bit Arm",
        [b'M', b'Z', ..] => "it is an EFI program without that magic",
        _ => return None,
    };
    Some(known.into())
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
    /// Reads the header of `image`.
    ///
    /// # Errors
    /// [`PlanError::NotAnImage`] says what is wrong, [`PlanError::CutShort`] what is missing.
    pub fn read(image: &[u8]) -> Result<Self, PlanError> {
        let wrong = |problem: String| PlanError::NotAnImage { problem };
        let (header, _) = boot::KernelHeader::read_from_prefix(image)
            .map_err(|_| wrong(format!("the kernel has {} bytes, no header", image.len())))?;
        if header.magic != KERNEL_MAGIC {
            let hint = kind(image).map_or(String::new(), |kind| format!(" ({kind})"));
            return Err(wrong(format!("no magic 'ARM\\x64' at byte 56{hint}")));
        }
        let boot::KernelHeader { text_offset, image_size, flags, .. } = header;
        if flags & 1 != 0 {
            return Err(wrong("the kernel is big-endian".into()));
        }
        if image_size == 0 {
            return Err(wrong("the header gives no image_size (a kernel before 3.17)".into()));
        }
        if text_offset >= LARGE_PAGE || !text_offset.is_multiple_of(PAGE) {
            return Err(wrong(format!(
                "text_offset {text_offset:#x} is no multiple of 4 KiB below 2 MiB"
            )));
        }
        whole(image)?;
        if image_size < length(image) {
            return Err(wrong(format!(
                "image_size {image_size:#x} is less than the file's {:#x} bytes, so it is not of this file",
                image.len()
            )));
        }
        Ok(Self { text_offset, image_size })
    }
}

/// Whether the sections of a kernel that is an EFI program as well (Microsoft PE format, 'Section
/// Table') are all in its file. Of another one nobody knows how long its file should be.
fn whole(image: &[u8]) -> Result<(), PlanError> {
    let word = |at: u64, bytes: u64| -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = image.get(at..at.checked_add(usize::try_from(bytes).ok()?)?)?;
        Some(bytes.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)))
    };
    let bytes = length(image);
    let within = |part: &str, end: u64| {
        if end <= bytes {
            return Ok(());
        }
        Err(PlanError::CutShort { part: part.into(), end, bytes })
    };
    let (true, Some(pe)) = (image.starts_with(b"MZ"), word(60, 4)) else { return Ok(()) };
    let coff = pe.saturating_add(24);
    within("EFI header", coff)?;
    if word(pe, 4) != Some(u32::from_le_bytes(*b"PE\0\0").into()) {
        return Ok(());
    }
    let (count, optional) = (word(pe.saturating_add(6), 2), word(pe.saturating_add(20), 2));
    let first = coff.saturating_add(optional.unwrap_or(0));
    for section in 0..count.unwrap_or(0) {
        let at = first.saturating_add(section.saturating_mul(40));
        within("table of sections", at.saturating_add(40))?;
        let (size, from) = (word(at.saturating_add(16), 4), word(at.saturating_add(20), 4));
        let end = from.unwrap_or(0).saturating_add(size.unwrap_or(0));
        let name = word(at, 8).unwrap_or(0).to_le_bytes();
        let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
        within(&format!("section {}", name.escape_debug()), end)?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::File;

    use super::*;

    /// An arm64 `Image` of `file` bytes that asks for `size`.
    pub(crate) fn kernel(file: usize, size: u64) -> Vec<u8> {
        let mut image = vec![0; file.max(64)];
        image[16..24].copy_from_slice(&size.to_le_bytes());
        image[56..60].copy_from_slice(b"ARM\x64");
        image
    }

    /// The same as an EFI program with two sections that end with the file.
    fn efi() -> Vec<u8> {
        let mut image = kernel(0x3000, 0x8000);
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"MZ");
        put(60, &0x40_u32.to_le_bytes());
        put(0x40, b"PE\0\0");
        put(0x46, &2_u16.to_le_bytes());
        put(0x54, &0xa0_u16.to_le_bytes());
        for (index, (name, size, from)) in
            [(b".text\0\0\0", 0x1000_u32, 0x1000_u32), (b".data\0\0\0", 0x1000, 0x2000)]
                .into_iter()
                .enumerate()
        {
            let at = 0x40 + 24 + 0xa0 + index * 40;
            put(at, name);
            put(at + 16, &size.to_le_bytes());
            put(at + 20, &from.to_le_bytes());
        }
        image
    }

    #[test]
    fn the_size_counts_zeroed_data() {
        let header = KernelHeader::read(&kernel(100, 0x30_0000)).unwrap();
        assert_eq!(header, KernelHeader { text_offset: 0, image_size: 0x30_0000 });
    }

    #[test]
    fn what_is_no_image_is_refused_by_name() {
        let mut endian = kernel(64, 64);
        endian[24] = 1;
        let offset = |offset: u64| {
            let mut image = kernel(64, 64);
            image[8..16].copy_from_slice(&offset.to_le_bytes());
            image
        };
        for (image, say) in [
            (vec![0x1f, 0x8b], "2 bytes"),
            (endian, "big-endian"),
            (kernel(64, 0), "image_size"),
            (kernel(64, 63), "image_size 0x3f is less than the file's 0x40 bytes"),
            (offset(0x20_0000), "text_offset 0x200000"),
            (offset(0x1008), "text_offset 0x1008"),
        ] {
            let error = KernelHeader::read(&image).unwrap_err().to_string();
            assert!(error.contains(say), "{error}");
        }
    }

    #[test]
    fn other_kinds_of_kernels_are_named_with_the_way_to_an_image() {
        let mut zimage = vec![0; 64];
        zimage[0x24..0x28].copy_from_slice(&0x016f_2818_u32.to_le_bytes());
        let mut zboot = vec![0; 64];
        zboot[..8].copy_from_slice(b"MZ\0\0zimg");
        zboot[8..12].copy_from_slice(&0x400_u32.to_le_bytes());
        zboot[12..16].copy_from_slice(&0x500_u32.to_le_bytes());
        zboot[24..28].copy_from_slice(b"zstd");
        for (start, say) in [
            (&b"\x1f\x8b"[..], "gunzip < FILE > Image"),
            (b"\xfd7zXZ\0", "xz -dc FILE > Image"),
            (b"\x28\xb5\x2f\xfd", "zstd -dc FILE > Image"),
            (b"\x02\x21\x4c\x18", "lz4 -dc"),
            (b"BZh9", "bunzip2"),
            (b"\x27\x05\x19\x56", "uImage"),
            (b"\xd0\x0d\xfe\xed", "FIT"),
            (b"\x7fELF", "objcopy -O binary"),
            (b"070701", "changed places"),
            (b"ANDROID!", "Android"),
            (b"MZ", "EFI program"),
            (&zimage, "zImage, a kernel for 32-bit Arm"),
            (&zboot, "tail -c +1025 FILE | head -c 1280, then unpack that (zstd)"),
        ] {
            let mut image = start.to_vec();
            image.resize(64, 0);
            let error = KernelHeader::read(&image).unwrap_err().to_string();
            assert!(error.contains(say) && error.contains("arm64 Image"), "{error}");
        }
    }

    #[test]
    fn a_kernel_that_was_cut_short_is_refused_with_what_is_missing() {
        let whole = efi();
        assert_eq!(KernelHeader::read(&whole).unwrap().image_size, 0x8000);
        for cut in 64..whole.len() {
            let error = KernelHeader::read(&whole[..cut]).unwrap_err().to_string();
            assert!(error.contains("cut short") && error.contains(&cut.to_string()), "{error}");
        }
        let error = KernelHeader::read(&whole[..0x2800]).unwrap_err().to_string();
        assert!(error.contains("section .data at byte 12288"), "{error}");
    }

    #[test]
    fn no_more_is_read_than_could_be_used() {
        let folder = std::env::temp_dir().join(format!("guestplan-image-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // A file of 5 GB that takes no room.
        let long = folder.join("long");
        File::create(&long).unwrap().set_len(5_000_000_000).unwrap();
        let small = folder.join("small");
        std::fs::write(&small, kernel(64, 64)).unwrap();
        let refused = |kernel: &Path, initrd, dtb, ram: u64| {
            Images::read(kernel, initrd, dtb, ram).unwrap_err().to_string()
        };
        for path in [Path::new("/dev/zero"), &long] {
            let error = refused(path, None, None, 80 << 20);
            assert!(error.contains("more than 80 MiB, too much for a kernel in the"), "{error}");
            let error = refused(&small, Some(path), None, 80 << 20);
            assert!(error.contains("more than 80 MiB, too much for an initial RAM"), "{error}");
            let error = refused(&small, None, Some(path), 80 << 20);
            assert!(error.contains("more than 2 MiB, too much for a guest's device"), "{error}");
        }
        assert!(refused(&long, None, None, 1 << 40).contains("more than 1 GiB"));
        std::fs::write(&long, [7; 100]).unwrap();
        assert_eq!(read(&long, "a kernel", 100).unwrap(), [7; 100]);
        assert!(read(&long, "a kernel", 99).is_err());
        // A pipe says no length before it ends.
        let pipe = folder.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for (bytes, fits) in [(100, true), (101, false)] {
            let (to, most) = (pipe.clone(), 100);
            // It fails where nobody reads to its end.
            let writer = std::thread::spawn(move || std::fs::write(to, vec![7; bytes]));
            assert_eq!(read(&pipe, "a kernel", most).is_ok(), fits);
            let _ = writer.join().unwrap();
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
