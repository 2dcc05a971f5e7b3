// SPDX-License-Identifier: BSD-2-Clause
//! `guestplan`: plans a guest, and says why not.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cli::Format;
use cli::findings::Accept;
use cli::guest::Guest;
use cli::tools::{Drawing, Subject};
use vmm_plan::PlanError;

/// Plans a Linux guest: from board facts, a device tree and images to everything that the monitor
/// needs. Exit codes: 0 clean (notes allowed), 1 findings, 3 usage or missing input.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder of the boards.
    #[arg(long, global = true, default_value = "boards", value_name = "DIR")]
    boards: PathBuf,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value = "text")]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes guest.dtb, guest.dts, plan.bin, the images, and guest.system for Microkit.
    Plan {
        #[command(flatten)]
        guest: Guest,
        #[command(flatten)]
        accept: Accept,
        /// Folder to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Says what is wrong with a plan, or with a system file and a guest tree of your own.
    Check {
        #[command(flatten)]
        guest: Guest,
        #[command(flatten)]
        accept: Accept,
        /// Microkit system file to check instead of a plan, with the guest's tree (--dtb).
        #[arg(long, value_name = "FILE")]
        system: Option<PathBuf>,
    },
    /// Shows memory, guest-physical beside physical.
    Map {
        #[command(flatten)]
        guest: Guest,
        /// How to draw it.
        #[arg(long = "as", value_enum, default_value = "text")]
        drawing: Drawing,
    },
    /// Says what a number or a finding means.
    Explain {
        #[command(subcommand)]
        subject: Subject,
    },
    /// Says what a boot was like, from a report of ci/boot.
    Report {
        /// The report (JSON).
        file: PathBuf,
    },
    /// Draws what a boot was like, as SVG.
    Plot {
        /// The report (JSON).
        file: PathBuf,
    },
    /// Says what changed between two plans; exit code 1 if anything did.
    Diff {
        /// Folder or plan.bin of the older plan.
        old: PathBuf,
        /// Folder or plan.bin of the newer plan.
        new: PathBuf,
    },
    /// Prints which kernel option brings the driver of each `compatible`, from a kernel's source.
    Drivers {
        /// Kernel source tree.
        source: PathBuf,
        /// Only for the nodes of this device tree; may be given more than once.
        #[arg(long, value_name = "FILE")]
        tree: Vec<PathBuf>,
    },
}

/// Exit code for findings.
const FINDINGS: u8 = 1;
/// Exit code of a command that could not do what was asked.
const USAGE: u8 = 3;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FINDINGS),
        Err(error) => {
            eprintln!("guestplan: {error}");
            ExitCode::from(if matches!(error, PlanError::DoesNotFit { .. }) {
                FINDINGS
            } else {
                USAGE
            })
        }
    }
}

/// Runs a command: true if there is nothing to complain of.
fn run(arguments: &Arguments) -> Result<bool, PlanError> {
    let (boards, format) = (&arguments.boards, arguments.format);
    match &arguments.command {
        Command::Plan { guest, accept, out } => {
            cli::findings::plan(boards, guest, accept, out, format)
        }
        Command::Check { guest, accept, system } => {
            cli::findings::check(boards, guest, system.as_ref(), accept, format)
        }
        Command::Map { guest, drawing } => cli::tools::map(boards, guest, *drawing, format),
        Command::Explain { subject } => cli::tools::explain(boards, subject, format),
        Command::Report { file } => cli::tools::report(boards, file, false, format),
        Command::Plot { file } => cli::tools::report(boards, file, true, format),
        Command::Diff { old, new } => cli::tools::diff(old, new, format),
        Command::Drivers { source, tree } => cli::tools::drivers(source, tree, format),
    }
}
