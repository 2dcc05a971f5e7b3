// SPDX-License-Identifier: BSD-2-Clause
//! What the monitor takes in memory and on disk. The pristine images, which a reset copies from,
//! are counted apart.

use std::path::Path;

use regex::Regex;
use vmm_plan::filenames::{LOADER_FILE, PLAN_FILE, SYSTEM_FILE};
use vmm_plan::memory::Kind;

use super::figure::{Column, number};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::options::{HostName, Machine};
use crate::program;

const KIB: f64 = 1024.0;

const PAGE: u64 = 4096;

/// A protection domain's buffer for messages (Microkit 2.3.0 manual, 'Internals').
const IPC_BUFFER: u64 = PAGE;

/// Adds sizes.
///
/// # Errors
/// A file that was just built does not read.
pub fn measure(image: &Image, machine: &Machine, column: &mut Column) -> Result<()> {
    let Some(monitor) = &image.monitor else { return Ok(()) };
    let program = program::memory_size(monitor)?;
    let mut ram = program.next_multiple_of(PAGE);
    let mut images = 0_u64;
    let regions = image.plan.iter().flat_map(|plan| &plan.regions);
    for region in regions.filter(|region| region.kind == Kind::Normal) {
        match &region.prefill {
            // On seL4 it takes its file's pages, on bare metal all that is set aside for it.
            Some(prefill) if prefill.file == PLAN_FILE && machine.host == HostName::Microkit => {
                let size = image.sizes.get(PLAN_FILE).copied().unwrap_or(region.size);
                ram = ram.saturating_add(size.next_multiple_of(PAGE));
            }
            Some(prefill) if prefill.file == PLAN_FILE => ram = ram.saturating_add(region.size),
            Some(_) => images = images.saturating_add(region.size),
            None => {}
        }
    }
    let folder = monitor.parent().unwrap_or_else(|| Path::new("."));
    let booted = match machine.host {
        HostName::Microkit => {
            let path = folder.join(SYSTEM_FILE);
            let text =
                std::fs::read_to_string(&path).map_err(|e| Error::file("read", &path, &e))?;
            let none = || Error::Build(format!("{}: no stack_size", path.display()));
            ram = ram.saturating_add(stack(&text).ok_or_else(none)?).saturating_add(IPC_BUFFER);
            image.sizes.get(LOADER_FILE).copied()
        }
        // Its stack and its tables are in its program; the loader loads it and the images apart.
        HostName::Baremetal | HostName::Bare => None,
    };
    column.set("program_kib", number(program) / KIB);
    let file = std::fs::metadata(monitor).map_err(|e| Error::file("read", monitor, &e))?.len();
    column.set("elf_kib", number(file) / KIB);
    column.set("ram_kib", number(ram) / KIB);
    column.set("images_kib", number(images) / KIB);
    if let Some(size) = booted {
        column.set("image_kib", number(size) / KIB);
    }
    Ok(())
}

/// The stack that a system file gives its protection domain, in bytes.
fn stack(system: &str) -> Option<u64> {
    let found = Regex::new(r#"stack_size="0x([0-9a-f]+)""#).ok()?.captures(system)?;
    u64::from_str_radix(found.get(1)?.as_str(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_is_the_system_files() {
        let text = r#"<protection_domain name="vmm" stack_size="0x10000" smc="true">"#;
        assert_eq!(stack(text), Some(0x1_0000));
        assert_eq!(stack("<system />"), None);
    }
}
