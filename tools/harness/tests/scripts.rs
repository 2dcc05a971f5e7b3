// SPDX-License-Identifier: BSD-2-Clause
//! How the commands in `ci/` end before anything is booted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A folder of its own, removed with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ci-scripts-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn bash(script: &str, set: &[(&str, &Path)]) -> Output {
    let mut bash = Command::new("bash");
    bash.args(["-c", script]).env("toolchain", root().join("ci/toolchain.sh"));
    set.iter().for_each(|(name, value)| {
        bash.env(name, value);
    });
    bash.output().unwrap()
}

#[test]
fn without_a_network_there_is_one_sentence() {
    let folder = Folder::new("network");
    // A crate that needs another one, and nothing of it on this computer.
    fs::create_dir_all(folder.0.join("src")).unwrap();
    fs::write(folder.0.join("src/main.rs"), "fn main() {}\n").unwrap();
    let manifest = "[package]\nname = \"harness\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\nitoa = \"1\"\n";
    fs::write(folder.0.join("Cargo.toml"), manifest).unwrap();
    let nobody = Path::new("http://127.0.0.1:9");
    let output = bash(
        "unset CARGO_TARGET_DIR; . \"$toolchain\"; harness boot --help",
        &[
            ("root", &folder.0),
            ("CARGO_HOME", &folder.0.join("home")),
            ("CARGO_NET_RETRY", Path::new("0")),
            ("https_proxy", nobody),
            ("HTTPS_PROXY", nobody),
        ],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("building ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("the network does not give them"), "{said}");
}

#[test]
fn a_cache_that_is_empty_or_relative_is_not_set() {
    let cache = |value: &str| {
        let set = [("HOME", Path::new("/h")), ("XDG_CACHE_HOME", Path::new(value))];
        let output = bash(". \"$toolchain\"; printf %s \"$cache\"", &set);
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(cache("/c"), "/c/sel4-linux-vmm");
    assert_eq!(cache(""), "/h/.cache/sel4-linux-vmm");
    assert_eq!(cache("c"), "/h/.cache/sel4-linux-vmm");
}

#[test]
fn a_reader_that_has_gone_changes_no_exit_code() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut boot = Command::new(env!("CARGO_BIN_EXE_harness"));
    boot.arg("--root").arg(root()).args(["boot", "no-such-board", "--host", "baremetal"]);
    let status = boot.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(3));
}

/// `ci/setup` with another package manager: one package is missing, and `apt` is what apt-get does at
/// its first call.
fn setup(folder: &Folder, apt: &str) -> (Option<i32>, String) {
    let script = format!(
        r#"export once="$cache_of/once"
        id() {{ echo 0; }}
        dpkg-query() {{ [ "${{*: -1}}" = cpio ] && [ ! -e "$once" ] || printf installed; }}
        apt-get() {{ [ -e "$once" ] && return 0; touch "$once"; {apt}; }}
        apt-cache() {{ :; }}
        export -f id dpkg-query apt-get apt-cache
        exec bash "$setup""#
    );
    let set = [
        ("cache_of", folder.0.as_path()),
        ("XDG_CACHE_HOME", &folder.0.join("cache")),
        ("VMM_TOOLS", Path::new("")),
        ("setup", &root().join("ci/setup")),
    ];
    let output = bash(&script, &set);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn setup_waits_for_another_apt_and_says_so() {
    let folder = Folder::new("lock");
    let held = "echo 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1'; return 100";
    // It goes on to the kernel, of which this apt knows nothing.
    let (_, said) = setup(&folder, held);
    assert!(said.contains("installing cpio") && said.contains("waiting for another apt"), "{said}");
    assert!(said.contains("fetching Debian's arm64 kernel"), "{said}");
}

#[test]
fn setup_without_a_network_ends_with_a_sentence() {
    let folder = Folder::new("offline");
    let (code, said) = setup(
        &folder,
        "echo 'E: Failed to fetch http://x Temporary failure resolving'; return 100",
    );
    assert_eq!(code, Some(3), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("the network does not give it") && !said.contains("E: "), "{said}");
}

/// What ci/image needs beyond ci/setup's packages, it names in one line to paste.
#[test]
fn image_says_in_one_line_how_to_get_each_tool_that_is_missing() {
    let folder = Folder::new("image");
    for tool in ["mkfs.fat", "mcopy", "sfdisk", "mkimage", "jq"] {
        let script = format!(
            r#"command() {{ [ "$2" != {tool} ] && builtin command "$@"; }}
            export -f command
            exec bash "$image" maaxboard --out "$out""#
        );
        let set = [("image", root().join("ci/image")), ("out", folder.0.join("out"))];
        let set = set.each_ref().map(|(name, path)| (*name, path.as_path()));
        let output = bash(&script, &set);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Tools before this one may be missing in earnest.
        let missing = said.split_once(" is missing: ").map(|(_, line)| line);
        let packages = "dosfstools mtools fdisk u-boot-tools jq\n";
        let line = format!("apt-get install --no-install-recommends {packages}");
        assert_eq!(
            (output.status.code(), missing),
            (Some(3), Some(line.as_str())),
            "{tool}: {said}"
        );
        assert_eq!((output.stdout.len(), said.lines().count()), (0, 1), "{tool}: {said}");
        assert!(!folder.0.join("out").exists());
    }
}
