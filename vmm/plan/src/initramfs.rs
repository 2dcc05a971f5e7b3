// SPDX-License-Identifier: BSD-2-Clause
//! How much an initial RAM file system takes once it is unpacked, read from its outside (Linux
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use crate::span::{PAGE, align_up, length};

/// How much an initial RAM file system takes once it is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacked {
    /// Bytes, every file in whole pages.
    Known(u64),
    /// At least this; the rest is in a format whose size is not on its outside.
    AtLeast(u64, &'static str),
    /// Linux does not unpack it: what it is, and what to do instead.
    Unusable(&'static str, &'static str),
    /// An archive that ends before its trailer, or is none after so many bytes of the file.
    Damaged(u64),
}

/// Sizes the archives in `image`, one behind the other.
#[must_use]
pub fn unpacked(image: &[u8]) -> Unpacked {
    let mut sum = 0_u64;
    let mut rest = image;
    let mut archives = false;
    loop {
        // Archives may be padded with zeros.
        while let [0, after @ ..] = rest {
            rest = after;
        }
        match rest {
            [] if !archives => return Unpacked::Unusable("empty, or nothing but zeros", PACK),
            [] => return Unpacked::Known(sum),
            [b'0', b'7', b'0', b'7', b'0', b'1' | b'2', ..] => match cpio(rest) {
                Some((bytes, after)) => {
                    sum = sum.saturating_add(bytes);
                    rest = after;
                    archives = true;
                }
                None => return Unpacked::Damaged(length(image).saturating_sub(length(rest))),
            },
            [0x1f, 0x8b, ..] => {
                // The last four bytes are the size before compression, modulo 4 GiB (RFC 1952, 2.3.1).
                let size = rest.last_chunk().map_or(0, |size| u32::from_le_bytes(*size));
                return Unpacked::Known(sum.saturating_add(size.into()));
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                return match zstd(rest) {
                    Some(size) => Unpacked::Known(sum.saturating_add(size)),
                    None => Unpacked::AtLeast(sum, "zstd without a content size"),
                };
            }
            // Of the checks of xz Linux knows none and CRC32 (Documentation/staging/xz.rst).
            [0xfd, b'7', b'z', b'X', b'Z', 0, 0, check, ..] if !matches!(check & 0xf, 0 | 1) => {
                return Unpacked::Unusable(
                    "xz with another check than CRC32",
                    "xz --check=crc32 makes one that Linux reads",
                );
            }
            [0xfd, b'7', b'z', b'X', b'Z', ..] => return Unpacked::AtLeast(sum, "xz"),
            [b'B', b'Z', b'h', ..] => return Unpacked::AtLeast(sum, "bzip2"),
            [0x02, 0x21, 0x4c, 0x18, ..] => return Unpacked::AtLeast(sum, "lz4"),
            [0x5d, 0, ..] => return Unpacked::AtLeast(sum, "lzma"),
            [0x89, b'L', b'Z', b'O', ..] => return Unpacked::AtLeast(sum, "lzo"),
            _ => {
                // A disk image may begin with zeros.
                let (kind, way_out) = foreign(rest)
                    .or_else(|| foreign(image))
                    .unwrap_or(("no archive, and no compression that Linux knows", PACK));
                return Unpacked::Unusable(kind, way_out);
            }
        }
    }
}

/// What makes an initial RAM file system.
const PACK: &str = "in a folder with its files: find . | cpio -o -H newc | gzip > initrd.gz";

/// What a file is that Linux does not unpack (lib/decompress.c, init/initramfs.c), and the way out;
/// `None` where nobody knows.
fn foreign(file: &[u8]) -> Option<(&'static str, &'static str)> {
    let at = |offset: usize, magic: &[u8]| {
        file.get(offset..).is_some_and(|rest| rest.starts_with(magic))
    };
    Some(match file {
        [0x04, 0x22, 0x4d, 0x18, ..] => {
            ("lz4 in its frame format", "lz4 -l makes the legacy format, which Linux reads")
        }
        [0x27, 0x05, 0x19, 0x56, ..] => {
            ("a file wrapped for U-Boot (mkimage)", "tail -c +65 FILE takes the wrapping off")
        }
        [0xd0, 0x0d, 0xfe, 0xed, ..] => ("a device tree or a FIT image", PACK),
        [0x7f, b'E', b'L', b'F', ..] => ("an ELF file", PACK),
        [0xc7, 0x71, ..] | [0x71, 0xc7, ..] | [b'0', b'7', b'0', b'7', b'0', b'7', ..] => {
            ("a cpio archive of another format than newc", PACK)
        }
        [b'h', b's', b'q', b's', ..] => ("a squashfs image", PACK),
        _ if at(56, b"ARM\x64") => {
            ("an arm64 kernel", "have --kernel and --initrd changed places?")
        }
        _ if at(1080, &[0x53, 0xef]) => ("an ext2, ext3 or ext4 image", PACK),
        _ if at(257, b"ustar") => ("a tar archive", PACK),
        _ => return None,
    })
}

/// Page-rounded file sizes of one "newc" archive, and what is behind it.
fn cpio(archive: &[u8]) -> Option<(u64, &[u8])> {
    let mut sum = 0_u64;
    let mut rest = archive;
    loop {
        let header = rest.get(..110)?;
        if !header.starts_with(b"07070") {
            return None;
        }
        let field = |index: usize| -> Option<u64> {
            let start = index.checked_mul(8)?.checked_add(6)?;
            let digits = header.get(start..start.checked_add(8)?)?;
            u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let (file, name) = (field(6)?, field(11)?);
        let body = align_up(name.checked_add(110)?, 4);
        let end = body.checked_add(align_up(file, 4))?;
        let path = rest.get(110..usize::try_from(name.checked_add(110)?).ok()?)?;
        let last = path.starts_with(b"TRAILER!!!\0");
        // The last archive may end without padding.
        let end = usize::try_from(end).ok()?;
        if rest.len() < usize::try_from(body.checked_add(file)?).ok()? {
            return None;
        }
        rest = rest.get(end.min(rest.len())..)?;
        if last {
            return Some((sum, rest));
        }
        // Every file and folder takes at least its inode; data comes in pages.
        sum = sum.saturating_add(align_up(file, PAGE));
    }
}

/// Content size of the first frame (RFC 8878, 3.1.1.1), where it says one.
fn zstd(frame: &[u8]) -> Option<u64> {
    let descriptor = *frame.get(4)?;
    let single = descriptor & 0x20 != 0;
    let window = usize::from(!single);
    let dictionary = match descriptor & 3 {
        3 => 4,
        other => usize::from(other),
    };
    let width = match descriptor >> 6 {
        0 if single => 1,
        0 => return None,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let start = 5_usize.checked_add(window)?.checked_add(dictionary)?;
    let bytes = frame.get(start..start.checked_add(width)?)?;
    let value = bytes.iter().rev().fold(0_u64, |value, &byte| (value << 8) | u64::from(byte));
    Some(if width == 2 { value.saturating_add(256) } else { value })
}

/// RAM from which on a kernel sets aside an area for contiguous memory ([`CMA`]); with 144 MiB
/// Debian's kernel fails to.
const CMA_FROM: u64 = 192 << 20;
/// What it sets aside: 64 MiB in Debian's arm64 kernels (CONFIG_CMA_SIZE_MBYTES), less or nothing in
/// others. The boot argument `cma=` says otherwise.
const CMA: u64 = 64 << 20;
/// What the kernel takes besides its image and its table of memory, measured: 2.8 MiB.
const REST: u64 = 4 << 20;

/// Most that an initial RAM file system of `packed` bytes may unpack to: it goes into a tmpfs,
/// which takes half of the memory that Linux counts at that time (mm/shmem.c). Not counted are the
/// kernel, the packed file system, 1/64 of RAM for the kernel's own table of memory (64 bytes a
/// page), and the area for contiguous memory: it joins later. Measured with Debian's 6.1.192:
/// 144 MiB of RAM take 52.8 MiB and not 53.8, 256 MiB take 73.8 and not 78.8, but with `cma=0` they
/// do.
#[must_use]
pub fn limit(ram: u64, kernel: u64, packed: u64, arguments: &str) -> u64 {
    let given = arguments.split(' ').find_map(|word| word.strip_prefix("cma="));
    let cma = match given.map(size) {
        Some(Some(size)) => size,
        _ if ram < CMA_FROM => 0,
        _ => CMA,
    };
    let taken = [kernel, packed, ram / 64, cma, REST];
    taken.iter().fold(ram, |left, taken| left.saturating_sub(*taken)) / 2
}

/// A size as the kernel reads it: a number and perhaps K, M or G; what follows is ignored.
fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let shift = match unit.chars().next().map(|unit| unit.to_ascii_uppercase()) {
        Some('K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        _ => 0,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A cpio archive of one file of `size` zero bytes.
    pub(crate) fn archive(size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, size) in [("init\0", size), ("TRAILER!!!\0", 0)] {
            let start = out.len();
            out.extend_from_slice(b"070701");
            for field in 0..13 {
                let value = match field {
                    6 => size,
                    11 => name.len(),
                    _ => 0,
                };
                out.extend_from_slice(format!("{value:08x}").as_bytes());
            }
            assert_eq!(out.len() - start, 110);
            out.extend_from_slice(name.as_bytes());
            out.resize(out.len().next_multiple_of(4), 0);
            out.resize((out.len() + size).next_multiple_of(4), 0);
        }
        out
    }

    #[test]
    fn archives_behind_each_other_add_up() {
        let mut image = archive(5000);
        assert_eq!(unpacked(&image), Unpacked::Known(0x2000));
        image.resize(image.len() + 512, 0);
        image.extend(archive(1));
        assert_eq!(unpacked(&image), Unpacked::Known(0x3000));
    }

    #[test]
    fn compressed_archives_say_their_size_or_not() {
        let mut gzip = vec![0x1f, 0x8b, 8, 0];
        gzip.extend(60_000_000_u32.to_le_bytes());
        assert_eq!(unpacked(&gzip), Unpacked::Known(60_000_000));
        let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 1, 0];
        assert_eq!(unpacked(&zstd), Unpacked::Known(0x1_0000));
        assert_eq!(unpacked(b"\xfd7zXZ\0"), Unpacked::AtLeast(0, "xz"));
        assert_eq!(unpacked(b"\xfd7zXZ\0\0\x01"), Unpacked::AtLeast(0, "xz"));
    }

    #[test]
    fn what_linux_does_not_unpack_is_named_with_a_way_out() {
        // As mke2fs makes it: two sectors that it leaves to a boot loader, then the superblock.
        let mut ext4 = vec![0; 2048];
        ext4[1024] = 1;
        ext4[1080..1082].copy_from_slice(&[0x53, 0xef]);
        let mut kernel = vec![1; 64];
        kernel[56..60].copy_from_slice(b"ARM\x64");
        for (image, what, how) in [
            (&b"\xfd7zXZ\0\0\x04"[..], "than CRC32", "xz --check=crc32"),
            (b"\xfd7zXZ\0\0\x0a", "than CRC32", "xz --check=crc32"),
            (b"\x04\x22\x4d\x18", "frame format", "lz4 -l"),
            (b"070707", "than newc", "cpio -o -H newc"),
            (b"\x27\x05\x19\x56", "U-Boot", "tail -c +65"),
            (b"hello", "no archive", "cpio -o -H newc"),
            (b"", "empty", "cpio -o -H newc"),
            (&[0; 2048], "nothing but zeros", "cpio -o -H newc"),
            (&ext4, "ext4", "cpio"),
            (&kernel, "an arm64 kernel", "changed places"),
        ] {
            let Unpacked::Unusable(is, way_out) = unpacked(image) else { panic!("{what}") };
            assert!(is.contains(what) && way_out.contains(how), "{is}: {way_out}");
        }
    }

    #[test]
    fn the_limit_is_below_what_was_measured_and_close() {
        const MIB: u64 = 1 << 20;
        let limit = |ram: u64, arguments| limit(ram * MIB, 0x201_0000, 1_260_006, arguments) / MIB;
        assert_eq!(limit(144, ""), 52);
        assert_eq!(limit(256, ""), 75);
        assert_eq!(limit(256, "quiet cma=0"), 107);
        assert_eq!(limit(256, "cma=32M@0-4G"), 91);
        assert_eq!(limit(32, ""), 0);
    }

    #[test]
    fn damaged_archives_do_not_panic() {
        let good = archive(10);
        for cut in 0..good.len() {
            let _ = unpacked(&good[..cut]);
        }
        let mut bad = good;
        bad[60..68].copy_from_slice(b"zzzzzzzz");
        assert_eq!(unpacked(&bad), Unpacked::Damaged(0));
    }
}
