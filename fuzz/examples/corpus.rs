// SPDX-License-Identifier: BSD-2-Clause
//! Writes the committed inputs as files into `DIR/TARGET/`, as a fuzzer wants them; or with
//! `--hex DIR` prints the files of a folder as lines for `seeds/TARGET.hex`, the shortest first.

use std::path::{Path, PathBuf};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [flag, folder] if flag == "--hex" => hex(&PathBuf::from(folder)),
        [folder] => write(&PathBuf::from(folder)),
        _ => panic!("corpus DIR, or corpus --hex DIR"),
    }
}

fn write(folder: &Path) {
    for (target, _) in vmm_fuzz::TARGETS {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in vmm_fuzz::seeds::of(target) {
            std::fs::write(folder.join(format!("seed-{name}")), bytes).unwrap();
        }
    }
}

fn hex(folder: &PathBuf) {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let mut files: Vec<_> = files.collect();
    files.sort_by_key(|bytes| (bytes.len(), bytes.clone()));
    for bytes in files {
        println!("{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
}
