// SPDX-License-Identifier: BSD-2-Clause
//! The committed inputs of a target: the lines of `seeds/TARGET.hex`, one input each (`#` begins a
//! comment), and the files in `seeds/TARGET/`, which are text and taken as they are.

use std::path::Path;

/// One hexadecimal line as bytes; `None` if it is none.
fn unhex(line: &str) -> Option<Vec<u8>> {
    let digits: Vec<_> = line.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

/// All inputs of a target with their names.
///
/// # Panics
/// A file does not read, or a line is not hexadecimal: these are files of this repository.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let mut all = Vec::new();
    let lines =
        std::fs::read_to_string(folder.join(target).with_extension("hex")).unwrap_or_default();
    for (line, number) in lines.lines().zip(1..) {
        let code = line.split('#').next().unwrap_or_default().trim();
        if !code.is_empty() {
            let bytes = unhex(code)
                .unwrap_or_else(|| panic!("{target}.hex, line {number}: not hexadecimal"));
            all.push((format!("{target}.hex-{number}"), bytes));
        }
    }
    let mut files: Vec<_> = std::fs::read_dir(folder.join(target))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        all.push((name, std::fs::read(&path).unwrap()));
    }
    if target == "boards" {
        all.push(("qemu_virt_aarch64.toml".into(), crate::boards::QEMU.into()));
        all.push(("maaxboard.toml".into(), crate::boards::MAAXBOARD.into()));
    }
    all
}
