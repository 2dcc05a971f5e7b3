// SPDX-License-Identifier: BSD-2-Clause
//! `boot --from DIR --emulator PROGRAM`, the flake's checks and apps, with a shell script in the
//! emulator's place.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own, removed with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("made-by-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A machine that the harness finds everything of in `at`, and an emulator that runs a script.
    fn machine(&self, at: &str, emulator: &str) {
        let facts = r#"{"board":"virt","title":"a machine","microkit_board":"virt","host":"baremetal",
            "gic":2,"cpus":1,"profiles":["small"],"loads":[],"load_address":"0x0","ram_mib":1,
            "accepted":[],"first_lines":[]}"#;
        let profile = "title = 'x'\nprogram = 'none'\narguments = []\n[hosts]\nbaremetal = []\n";
        self.put(&format!("{at}/image.json"), facts);
        self.put(&format!("{at}/vmm-baremetal.elf"), "");
        self.put(&format!("{at}/small.toml"), profile);
        self.put("emulator", &format!("#!/bin/sh\n{emulator}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.0.join("emulator"), mode).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

const HARNESS: &str = env!("CARGO_BIN_EXE_harness");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// A monitor's line.
fn line(event: &str, rest: &str) -> String {
    format!("printf '\\030\\r\\n@{{\"v\":1,\"event\":\"{event}\"{rest}}}\\r\\n'\n")
}

#[test]
fn a_guest_whose_marks_or_resets_are_not_as_declared_fails_the_flakes_check() {
    let folder = Folder::new("declared");
    let lines = [
        line("start", ""),
        line("mark", ",\"value\":7"),
        line("reset", ""),
        "echo 'conformance: guest: PASS'\n".into(),
        line("off", ""),
    ];
    folder.machine("all/guest", &lines.concat());
    let boot = |declared: &str| {
        let guests =
            format!("[[guest]]\nname = 'guest'\nchecks = 'x'\nexpect = 'pass'\n{declared}\n");
        folder.put("guest/conformance/guests.toml", &guests);
        let output = Command::new(HARNESS)
            .args(["--root", &folder.path(""), "boot", "--from", &folder.path("all")])
            .args(["--emulator", &folder.path("emulator"), "--guest", "all"])
            .env("XDG_CACHE_HOME", folder.path("cache"))
            .output()
            .unwrap();
        (output.status.code().unwrap(), said(&output))
    };
    let (code, text) = boot("marks = [7]\nresets = 1");
    assert_eq!(code, 0, "{text}");
    let (code, text) = boot("marks = [8]\nresets = 1");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("its marks were to be [8], but are [7]"), "{text}");
    let (code, text) = boot("marks = [7]");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("it was to reset 0 times, but did 1 times"), "{text}");
}

/// Hands the console of an emulator to a terminal; the exit code, and what the terminal has seen.
fn interactive(name: &str, emulator: &str) -> (i32, String) {
    let folder = Folder::new(name);
    folder.machine("one", &format!("{}printf hello; {emulator}", line("start", "")));
    let (from, program) = (folder.path("one"), folder.path("emulator"));
    let script = format!(
        "before=$(stty -g); '{HARNESS}' boot --from '{from}' --emulator '{program}' --interactive; \
         code=$?; [ \"$before\" = \"$(stty -g)\" ] && echo 'as before'; exit $code"
    );
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &script, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .env("XDG_CACHE_HOME", folder.path("cache"))
        .output()
        .unwrap();
    (output.status.code().unwrap(), said(&output))
}

#[test]
fn a_signal_or_a_dead_emulator_gives_the_terminal_back() {
    // Its parent is the harness, and so is its shell's.
    let (code, text) = interactive("term", "kill -TERM $PPID; sleep 20");
    assert_eq!(code, 143, "{text}");
    assert!(text.contains("as before") && text.contains("ended by signal 15"), "{text}");
    for (name, ending, why) in [
        ("killed", "kill -KILL $$", "killed by a signal"),
        ("crashed", "kill -SEGV $$", "killed by a signal"),
        ("refused", "echo no such machine >&2; exit 1", "exit code 1: no such machine"),
    ] {
        let (code, text) = interactive(name, ending);
        assert_eq!(code, 125, "{text}");
        assert!(text.contains("as before") && text.contains(why), "{text}");
    }
}

#[test]
fn two_folders_have_transcripts_of_their_own() {
    let cache = Folder::new("cache");
    let transcript = |name: &str| {
        let folder = Folder::new(name);
        folder.machine("one", &format!("{}echo {name}; {}", line("start", ""), line("off", "")));
        let output = Command::new(HARNESS)
            .args(["boot", "--from", &folder.path("one"), "--emulator", &folder.path("emulator")])
            .args(["--expect", name])
            .env("XDG_CACHE_HOME", cache.path(""))
            .output()
            .unwrap();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        text.split("transcript: ").nth(1).unwrap().trim().to_owned()
    };
    let (one, other) = (transcript("alpha"), transcript("beta"));
    assert_ne!(one, other);
    assert!(fs::read_to_string(Path::new(&one)).unwrap().contains("alpha"));
}
