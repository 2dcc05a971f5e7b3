// SPDX-License-Identifier: BSD-2-Clause
//! Where and when the figures were taken: nothing in it names a computer or its owner.

use std::path::Path;
use std::process::Command;

use serde::Serialize;

use super::figure::Table;
use crate::error::{Error, Result};
use crate::image;
use crate::options::BenchOptions;
use crate::profile::Profile;

/// Where and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Setting {
    /// Day, as `25 November 2026`.
    pub date: String,
    /// Processors of the computer.
    pub processors: usize,
    /// Their name.
    pub processor: String,
    /// Operating system.
    pub system: String,
    /// Emulators, with their versions.
    pub emulators: Vec<String>,
    /// The guest's kernel.
    pub kernel: String,
    /// Whether waits were short.
    pub quick: bool,
}

impl Setting {
    /// Of this computer.
    ///
    /// # Errors
    /// There is no cache folder.
    pub fn here(root: &Path, options: &BenchOptions, tables: &[Table]) -> Result<Self> {
        let mut emulators: Vec<_> =
            tables.iter().filter_map(|table| emulator(root, &table.profile)).collect();
        emulators.sort();
        emulators.dedup();
        let packages = image::cache()?.join("guest/packages");
        Ok(Self {
            date: first_line("date", &["+%-d %B %Y"]).ok_or_else(|| {
                Error::Usage("there is no program 'date' that says the day".into())
            })?,
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            processor: value("/proc/cpuinfo", "model name").unwrap_or_default(),
            system: value("/etc/os-release", "PRETTY_NAME").unwrap_or_default(),
            emulators,
            kernel: kernel(&std::fs::read_to_string(packages).unwrap_or_default()),
            quick: options.quick,
        })
    }

    /// In one sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let (processors, processor) = (self.processors, &self.processor);
        let quick = if self.quick { ", short waits" } else { "" };
        format!(
            "{}; {processors} cores of {processor}, {}, {} (TCG), guest's kernel {}{quick}",
            self.date,
            self.system,
            self.emulators.join(" and "),
            self.kernel
        )
    }
}

/// The value behind a name in a file of names and values.
fn value(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let (_, value) = line.split_once(['=', ':'])?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// Version of the kernel in `ci/setup`'s list of packages: name, version, architecture.
fn kernel(packages: &str) -> String {
    let line = packages.lines().find(|line| line.starts_with("linux-image"));
    let version = line.and_then(|line| line.split(' ').nth(1));
    version.map_or_else(|| "unknown".into(), |version| format!("Debian's {version}"))
}

/// `QEMU 7.2.22`, of the emulator behind a profile.
fn emulator(root: &Path, profile: &str) -> Option<String> {
    let program = Profile::load(root, profile).ok()?.program().ok()?;
    let line = first_line(program.to_str()?, &["--version"])?;
    let version = line.strip_prefix("QEMU emulator version ")?;
    Some(format!("QEMU {}", version.split(' ').next()?))
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_s_first_line_is_taken() {
        assert_eq!(first_line("printf", &["a\\nb\\n"]).as_deref(), Some("a"));
        assert_eq!(first_line("no-such-program", &[]), None);
    }

    #[test]
    fn the_kernel_s_version_is_that_of_its_package() {
        let packages = "busybox-static 1:1.35 arm64\nlinux-image-6.1.0-56-arm64 6.1.192-2 arm64\n";
        assert_eq!(kernel(packages), "Debian's 6.1.192-2");
        assert_eq!(kernel(""), "unknown");
    }

    #[test]
    fn the_sentence_holds_everything() {
        let setting = Setting {
            date: "1 May 2026".into(),
            processors: 2,
            processor: "P".into(),
            system: "Debian".into(),
            emulators: vec!["QEMU 7.2.1".into(), "QEMU 10.0.13".into()],
            kernel: "K".into(),
            quick: true,
        };
        assert_eq!(
            setting.words(),
            "1 May 2026; 2 cores of P, Debian, QEMU 7.2.1 and QEMU 10.0.13 (TCG), guest's kernel K, short waits"
        );
    }
}
