// SPDX-License-Identifier: BSD-2-Clause
//! `--from DIR`: boots what was built elsewhere (the flake does that). The folder holds
//!
//! - the files of a plan, with `image.json`, which says what is loaded where,
//! - `loader.img` and the kernel's `kernel.json`, or on bare metal `vmm-baremetal.elf`,
//! - the emulated machines' profiles, and the firmware shims that they name.
//!
//! Nothing else is read: neither the source tree nor an SDK.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use vmm_plan::Host;
use vmm_plan::files::Facts;

use crate::error::{Error, Result};
use crate::image::{self, Image, KERNEL_FILE, MONITOR_FILE, Values};
use crate::options::{HostName, Machine};
use crate::profile::Profile;
use crate::program;

/// The machine that was built for: board, host, interrupt controller and virtual CPUs are what
/// `image.json` says. With `--guest all` the folder holds one folder for each guest, and all are
/// for the machine that the first of them names.
///
/// # Errors
/// There is no `image.json`, or it does not read.
pub fn machine(asked: &Machine, folder: &Path) -> Result<Machine> {
    let one = match asked.guest.as_deref() {
        Some("all") => first(folder)?,
        _ => folder.to_owned(),
    };
    let facts = facts(&one)?;
    let host = match facts.host {
        Host::Microkit => HostName::Microkit,
        Host::Baremetal => HostName::Baremetal,
    };
    Ok(Machine {
        board: facts.board,
        host,
        gic: Some(facts.gic),
        cpus: Some(facts.cpus),
        from: Some(folder.to_owned()),
        ..asked.clone()
    })
}

/// The first folder in `folder` that holds a plan.
fn first(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::file("read", folder, &e))?;
    let mut plans: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join(vmm_plan::filenames::IMAGE_FILE).is_file())
        .collect();
    plans.sort();
    plans.into_iter().next().ok_or_else(|| {
        let folder = folder.display();
        Error::Usage(format!("{folder} holds no folder of a guest: with --guest all it has one for each, by the guest's name"))
    })
}

fn facts(folder: &Path) -> Result<Facts> {
    Facts::read(folder).map_err(|e| Error::Usage(e.to_string()))
}

/// What is booted.
///
/// # Errors
/// A file is missing, or the folder was built for another machine.
pub fn image(machine: &Machine, folder: &Path) -> Result<Image> {
    let facts = facts(folder)?;
    if facts.host.name() != machine.host.name() || Some(facts.gic) != machine.gic {
        return Err(Error::Usage(format!(
            "{} is for {} with GICv{}, not for {} with GICv{}, as the others are",
            folder.display(),
            facts.host.name(),
            facts.gic,
            machine.host.name(),
            machine.gic.unwrap_or_default(),
        )));
    }
    let (booted, cores) = match facts.host {
        Host::Microkit => {
            let kernel = file(folder, KERNEL_FILE)?;
            (file(folder, vmm_plan::filenames::LOADER_FILE)?, program::cores_of(&kernel)?)
        }
        Host::Baremetal => (file(folder, MONITOR_FILE)?, 1),
    };
    let name = match (&machine.profile, facts.profiles.first()) {
        (Some(name), _) | (None, Some(name)) => name.clone(),
        (None, None) => {
            let text = format!("no emulated machine for {}: give --profile", facts.board);
            return Err(Error::Usage(text));
        }
    };
    let profile = Profile::read(&file(folder, &format!("{name}.toml"))?)?;
    let shim = profile.shim.as_deref().map(|shim| file(folder, shim)).transpose()?;
    let values = Values { facts: &facts, folder, image: Some(booted), cores, append: "", shim };
    let allow = profile.allow.clone();
    let emulator = image::emulator(machine, &profile, machine.host.name(), values)?;
    Ok(Image {
        sizes: image::sizes(folder),
        profile: name,
        emulator,
        monitor: None,
        allow,
        transcripts: transcripts(folder)?,
        plan: None,
        facts,
        _lock: None,
    })
}

/// Where the transcripts of such a folder go: into the cache, since it may be nobody's to write to. Each
/// folder has its own.
fn transcripts(folder: &Path) -> Result<PathBuf> {
    let folder = std::fs::canonicalize(folder).map_err(|e| Error::file("find", folder, &e))?;
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    Ok(image::cache()?.join("transcripts").join(format!("{:016x}", hasher.finish())))
}

fn file(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let folder = folder.display();
    Err(Error::Usage(format!(
        "{folder} has no {name}, which --from needs; tools/harness/README.md says what is in such a folder"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as the flake makes it, by the file format of the plan; nothing in it boots.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("made-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let facts = Facts {
            board: "virt".into(),
            title: "a machine".into(),
            microkit_board: "virt".into(),
            host: Host::Baremetal,
            gic: 3,
            cpus: 2,
            profiles: vec!["small".into()],
            loads: vec![vmm_plan::files::Load { file: "kernel.img".into(), address: 0x4020_0000 }],
            load_address: "0x70000000".into(),
            ram_mib: 256,
            accepted: Vec::new(),
            console:
                "the guest's console is ttyX0 (/x), and its boot arguments ask for console=ttyY0"
                    .into(),
            first_lines: vec![],
        };
        put(&folder, "image.json", &serde_json::to_string(&facts).unwrap());
        put(&folder, MONITOR_FILE, "elf");
        put(&folder, "kernel.img", "image");
        let profile = "title = 'x'\nprogram = 'no-such-program'\narguments = ['-smp {cpus}']\n\
             [hosts]\nbaremetal = ['-kernel {image}']\n";
        put(&folder, "small.toml", profile);
        folder
    }

    fn put(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), text).unwrap();
    }

    fn asked() -> Machine {
        Machine { emulator: Some("/bin/emulator".into()), ..Machine::default() }
    }

    #[test]
    fn the_folder_alone_says_what_is_booted() {
        let folder = folder("alone");
        let machine = machine(&asked(), &folder).unwrap();
        assert_eq!(
            (machine.host, machine.gic, machine.cpus),
            (HostName::Baremetal, Some(3), Some(2))
        );
        let image = Image::prepare(Path::new("/nowhere"), &machine).unwrap();
        let at = folder.display();
        let expected = format!(
            "-smp 2 -kernel {at}/vmm-baremetal.elf -device loader,file={at}/kernel.img,addr=0x40200000,force-raw=on"
        );
        assert_eq!(image.emulator.arguments.join(" "), expected);
        assert_eq!(image.emulator.program, Path::new("/bin/emulator"));
        assert_eq!(image.sizes.get("kernel.img"), Some(&5));
        assert_eq!(image.profile, "small");
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in ["image.json", MONITOR_FILE, "small.toml"] {
            let folder = folder(name);
            std::fs::remove_file(folder.join(name)).unwrap();
            let error = machine(&asked(), &folder)
                .and_then(|machine| image(&machine, &folder))
                .unwrap_err();
            assert_eq!(error.code(), 3);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_guest_that_was_built_for_another_machine_is_refused() {
        let folder = folder("other");
        let machine = Machine { gic: Some(2), ..machine(&asked(), &folder).unwrap() };
        let error = image(&machine, &folder).unwrap_err();
        assert!(error.to_string().contains("with GICv3, not for baremetal with GICv2"), "{error}");
    }

    /// Issue 17, item 14.
    #[test]
    fn a_silent_guests_last_line_names_its_console_and_the_one_asked_for() {
        use std::os::unix::fs::PermissionsExt;

        let folder = folder("silent");
        let says = |script: &str| {
            let emulator = folder.join("emulator");
            put(&folder, "emulator", &format!("#!/bin/sh\n{script}\nsleep 20\n"));
            std::fs::set_permissions(&emulator, std::fs::Permissions::from_mode(0o755)).unwrap();
            let asked = Machine { emulator: Some(emulator), ..Machine::default() };
            let machine = machine(&asked, &folder).unwrap();
            let mut image = Image::prepare(Path::new("/nowhere"), &machine).unwrap();
            image.transcripts = folder.clone();
            let options = crate::options::BootOptions { timeout: 2, ..Default::default() };
            let script = crate::boot::linux(&options);
            crate::boot::once(&image, &machine, script, 1).unwrap()
        };
        let run = says("");
        assert_eq!(run.exit_code, 124);
        assert_eq!(
            run.message,
            "no progress: nothing on the console for 2 s (waiting for the guest's shell); the \
             guest's console is ttyX0 (/x), and its boot arguments ask for console=ttyY0"
        );
        let run = says("echo hello");
        assert!(run.message.ends_with("(waiting for the guest's shell)"), "{}", run.message);
    }

    #[test]
    fn all_guests_are_in_folders_by_their_names() {
        let all = folder("all");
        std::fs::rename(folder("one"), all.join("hello")).unwrap();
        let asked = Machine { guest: Some("all".into()), ..asked() };
        assert_eq!(machine(&asked, &all).unwrap().gic, Some(3));
        let error = machine(&asked, &all.join("hello")).unwrap_err();
        assert!(error.to_string().contains("no folder of a guest"), "{error}");
    }
}
