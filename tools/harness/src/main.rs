// SPDX-License-Identifier: BSD-2-Clause
//! Builds images, runs them in an emulator and judges what comes over the serial line: the
//! program behind the scripts in `ci/`.
#![forbid(unsafe_code)]
// A reader that has gone must not end the judge: `show` prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod board_tree;
mod boot;
mod build;
mod conformance;
mod drill;
mod emulator;
mod error;
mod image;
mod made;
mod options;
mod profile;
mod program;
mod progress;
mod report;
mod soak;
mod terminal;
mod ways_out;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use judge::{console, fatal, session, show};

use crate::options::{Cli, Task};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // The text goes where clap wants it; a closed terminal is nobody's fault.
            let _ = error.print();
            let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if help { 0 } else { 3 });
        }
    };
    let result = match &cli.command {
        Task::Boot(options) => boot::run(&cli.root, options),
        Task::Build(options) => build::run(&cli.root, options),
        Task::Bench(options) => bench::run(&cli.root, options),
        Task::Drills(config) => drill::run(&cli.root, config),
        Task::Soak(options) => soak::run(&cli.root, options),
        Task::Demo(options) => boot::demo(&cli.root, options),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            crate::show::err(format_args!("error: {error}"));
            ExitCode::from(error.code())
        }
    }
}
