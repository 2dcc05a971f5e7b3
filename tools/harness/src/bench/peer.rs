// SPDX-License-Identifier: BSD-2-Clause
//! Another monitor's image, booted as it is on the board's emulated machine. Whoever built it chose
//! its guest: the same kernel and initial RAM file system make the columns comparable.

use std::path::Path;
use std::time::Duration;

use super::figure::{Column, Subject, number};
use super::linux;
use crate::boot;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::options::{HostName, Machine};
use crate::session::Script;

/// How long it may say nothing beside its sleep. It may never end: not every monitor answers a
/// power-off.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures it as far as it can be: it has no counters to show.
///
/// # Errors
/// There is no such file, or it boots no Linux with a shell.
pub fn measure(
    root: &Path,
    machine: &Machine,
    path: &Path,
    idle: u32,
    none: &Column,
) -> Result<Column> {
    let size = std::fs::metadata(path).map_err(|e| Error::file("read", path, &e))?.len();
    let mut column = Column::new(Subject::Peer);
    column.set("image_kib", number(size) / 1024.0);

    let run = {
        let image = prepare(root, machine, path, true)?;
        linux::run(&image, &named(machine), peer_script(linux::init_script(machine)?))?
    };
    if let Some(&init) = run.init_seconds.first() {
        column.set("init_s", init);
    }
    column.ratio("init_s", "init_ratio", none);

    let commands = vec!["true".into(), format!("sleep {idle}")];
    let mut script = peer_script(linux::shell_script(machine, &commands));
    script.silence = PATIENCE.saturating_add(Duration::from_secs(idle.into()));
    let run = boot::once(&prepare(root, machine, path, false)?, &named(machine), script, 1)?;
    if run.commands.len() < 2 {
        let (why, transcript) = (&run.message, run.transcript.display());
        return Err(Error::Emulator(format!("the peer: {why}; transcript: {transcript}")));
    }
    linux::first_line(&run, &mut column);
    linux::percent(&run, &mut column);
    Ok(column)
}

/// Its monitor is not ours.
fn peer_script(script: Script) -> Script {
    Script { reports: false, ..script }
}

/// The board's machine as for our own image on seL4, with another image in it.
fn prepare(root: &Path, machine: &Machine, path: &Path, icount: bool) -> Result<Image> {
    let bare = Machine { host: HostName::Bare, icount, ..machine.clone() };
    let mut image = Image::prepare(root, &bare)?;
    image.enter_loader(root, &bare, path)?;
    Ok(image)
}

/// Names the transcript.
fn named(machine: &Machine) -> Machine {
    Machine { host: HostName::Microkit, guest: Some("peer".into()), ..machine.clone() }
}
