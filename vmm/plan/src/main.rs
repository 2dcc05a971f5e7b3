// SPDX-License-Identifier: BSD-2-Clause
//! `guestplan`: plans a guest, and says why not.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cli::guest::Guest;
use vmm_plan::drivers::Drivers;
use vmm_plan::span::Size;
use vmm_plan::{PlanError, dt};

/// Plans a Linux guest: from board facts and images to everything that the monitor needs.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder of the boards.
    #[arg(long, global = true, default_value = "boards", value_name = "DIR")]
    boards: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes guest.dtb, guest.dts, plan.bin, the images, and guest.system for Microkit.
    Plan {
        #[command(flatten)]
        guest: Guest,
        /// Folder to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
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
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guestplan: {error}");
            ExitCode::from(if matches!(error, PlanError::DoesNotFit { .. }) { 1 } else { USAGE })
        }
    }
}

fn run(arguments: Arguments) -> Result<(), PlanError> {
    match arguments.command {
        Command::Plan { guest, out } => {
            let plan = guest.plan(&arguments.boards, true)?;
            plan.write_to(&out)?;
            let host = plan.wish.host.name();
            println!("{} on {host}, GICv{}", plan.board.name, plan.gic);
            for (what, span) in [
                ("guest RAM", plan.layout.ram),
                ("kernel", plan.layout.kernel),
                ("device tree", plan.layout.tree),
                ("initrd", plan.layout.initrd),
            ] {
                println!("  {what:<12} {span} {}", Size(span.size));
            }
            for load in plan.loads() {
                println!("  load {} at {:#x}", load.file, load.address);
            }
            Ok(())
        }
        Command::Drivers { source, tree } => {
            let trees: Result<Vec<_>, _> =
                tree.iter().map(|path| Ok(dt::read_file(path)?.1)).collect();
            let drivers = Drivers::scan(&source)?;
            let drivers = if tree.is_empty() { drivers } else { drivers.only_for(&trees?) };
            print!("{drivers}");
            Ok(())
        }
    }
}
