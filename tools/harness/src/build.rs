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
    let machine = Machine {
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
    };
    if let Some(note) = image::kernel_note(root, &machine)? {
        crate::show::err(format_args!("note: {note}"));
    }
    let built = image::build(root, &machine, name, |_| Ok(()))?;
    image::copy_kernel_facts(&machine, &built)?;
    crate::show::out(format_args!("{}", built.folder.display()));
    Ok(0)
}

/// Not the folder of `ci/boot`, which may run at the same time.
fn name(machine: &Machine, facts: &Facts) -> String {
    format!("image-{}-{}", facts.board, machine.config().name())
}
