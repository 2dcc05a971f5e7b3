// SPDX-License-Identifier: BSD-2-Clause
//! What `ci/image` packs: a board's image on seL4, in a folder of its own.

use std::path::Path;

use vmm_plan::files::Facts;

use crate::error::Result;
use crate::image;
use crate::options::{BuildOptions, Machine};

/// Builds the image and prints its folder: `loader.img`, the plan's files, and `image.json`, which
/// says what a boot loader has to know.
///
/// # Errors
/// Something is missing, does not fit or does not build.
pub fn run(root: &Path, options: &BuildOptions) -> Result<u8> {
    let machine = machine(options);
    if let Some(note) = image::kernel_note(root, &machine)? {
        crate::show::err(format_args!("note: {note}"));
    }
    let built = image::build(root, &machine, name, |_| Ok(()))?;
    image::copy_kernel_facts(&machine, &built)?;
    crate::show::out(format_args!("{}", built.folder.display()));
    Ok(0)
}

/// The machine that the image is for.
fn machine(options: &BuildOptions) -> Machine {
    Machine {
        board: options.board.clone(),
        config: Some(options.config),
        kernel: options.kernel.clone(),
        initrd: options.initrd.clone(),
        append: options.append.clone(),
        ram: options.ram,
        cpus: options.cpus,
        pass: options.pass.clone(),
        accept: options.accept.clone(),
        identity: options.identity,
        ..Machine::default()
    }
}

/// Not the folder of `ci/boot`, which may run at the same time.
fn name(machine: &Machine, facts: &Facts) -> String {
    format!("image-{}-{}", facts.board, machine.config().name())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::options::{Cli, Task};

    /// Issue 17, item 1.
    #[test]
    fn what_is_passed_and_accepted_is_what_ci_image_asked_for() {
        let asked =
            "harness build qemu --pass uart --pass rtc,clocks=1 --accept dma-unknown --identity";
        let Task::Build(options) = Cli::parse_from(asked.split(' ')).command else { panic!() };
        let machine = machine(&options);
        let boot = asked.replace("build", "boot");
        let Task::Boot(boot) = Cli::parse_from(boot.split(' ')).command else { panic!() };
        assert_eq!(machine.pass, boot.machine.pass);
        assert_eq!(machine.accept, boot.machine.accept);
        assert_eq!((machine.pass.len(), machine.accept.len(), machine.identity), (2, 1, true));
    }
}
