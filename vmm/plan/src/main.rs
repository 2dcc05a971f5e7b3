// SPDX-License-Identifier: BSD-2-Clause
//! `guestplan`: plans a guest, and says why not.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use vmm_plan::span::Size;
use vmm_plan::{Board, Host, Images, Plan, PlanError, Wish};

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
}

#[derive(Clone, Copy, ValueEnum)]
enum HostName {
    Microkit,
    Baremetal,
}

#[derive(clap::Args)]
struct Guest {
    /// Board: the name of a folder in the boards' folder, or its alias.
    #[arg(long, value_name = "NAME")]
    board: String,
    /// What the monitor runs on.
    #[arg(long, value_enum, default_value = "microkit")]
    host: HostName,
    /// Version of the interrupt controller, where the board can have both.
    #[arg(long, value_name = "2|3", value_parser = clap::value_parser!(u8).range(2..=3))]
    gic: Option<u8>,
    /// Kernel: an arm64 Image.
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// Initial RAM file system.
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// A guest tree of your own, instead of the computed one.
    #[arg(long, value_name = "FILE")]
    dtb: Option<PathBuf>,
    /// Boot arguments of the kernel.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        allow_hyphen_values = true
    )]
    append: String,
    /// Guest RAM in MiB.
    #[arg(long, value_name = "MIB")]
    ram: Option<u64>,
    /// Let the monitor print every exit and host call.
    #[arg(long)]
    trace: bool,
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
            ExitCode::from(if matches!(error, PlanError::DoesNotFit { .. }) {
                1
            } else {
                USAGE
            })
        }
    }
}

fn run(arguments: Arguments) -> Result<(), PlanError> {
    match arguments.command {
        Command::Plan { guest, out } => {
            let board = Board::find(&arguments.boards, &guest.board)?;
            let images =
                Images::read(&guest.kernel, guest.initrd.as_deref(), guest.dtb.as_deref())?;
            let wish = Wish {
                host: match guest.host {
                    HostName::Microkit => Host::Microkit,
                    HostName::Baremetal => Host::Baremetal,
                },
                gic: guest.gic,
                ram_mib: guest.ram,
                append: guest.append,
                trace: guest.trace,
                ..Wish::default()
            };
            let plan = Plan::new(&board, &wish, images)?;
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
    }
}
