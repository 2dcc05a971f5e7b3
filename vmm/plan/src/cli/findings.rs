// SPDX-License-Identifier: BSD-2-Clause
//! `plan` and `check`: findings decide the exit code.

use std::path::{Path, PathBuf};

use vmm_core::addr::Ipa;
use vmm_plan::check::{CheckInput, Files};
use vmm_plan::finding::{Finding, errors, refusal};
use vmm_plan::memory::Kind;
use vmm_plan::span::{Size, Span};
use vmm_plan::{Checked, Plan, PlanError, dt, input, sdf};

use super::guest::Guest;
use super::{Format, print_json};

/// Most bytes of somebody else's system file.
const MAX_SYSTEM: u64 = 16 << 20;

/// Options about findings.
#[derive(clap::Args)]
pub struct Accept {
    /// Finding that is to stop nothing, besides those that the board file accepts: RULE, or 'RULE
    /// SUBJECT' for one alone; 'guestplan explain finding RULE' says what it means.
    #[arg(long, value_name = "RULE", value_parser = vmm_plan::wish::Accept::parse)]
    accept: Vec<vmm_plan::wish::Accept>,
}

/// The plan with its notes, or all that is wrong with it.
fn checked(
    boards: &Path,
    guest: &Guest,
    accept: &Accept,
) -> Result<Result<Checked, Vec<Finding>>, PlanError> {
    match guest.checked(boards, &accept.accept) {
        Ok(checked) => Ok(Ok(checked)),
        Err(PlanError::Findings { findings }) => Ok(Err(findings)),
        Err(error) => Err(error),
    }
}

/// `plan`: true if the files are written.
pub fn plan(
    boards: &Path,
    guest: &Guest,
    accept: &Accept,
    out: &Path,
    format: Format,
) -> Result<bool, PlanError> {
    let checked = checked(boards, guest, accept)?;
    if let Ok(checked) = &checked {
        checked.write_to(out)?;
    }
    match (format, &checked) {
        (Format::Json, Ok(checked)) => print_json(&checked.notes()),
        (Format::Json, Err(findings)) => print_json(findings),
        (Format::Text, Ok(checked)) => {
            print(checked.notes());
            summary(checked.plan());
        }
        (Format::Text, Err(findings)) => println!("{}", refusal(findings)),
    }
    Ok(checked.is_ok())
}

fn print(findings: &[Finding]) {
    for finding in findings {
        println!("{finding}");
    }
}

fn summary(plan: &Plan) {
    let layout = &plan.layout;
    println!("{} on {}, GICv{}", plan.board.name, plan.wish.host.name(), plan.gic);
    let line = |part: &str, span: Span<Ipa>| println!("  {part:<12} {span} {}", Size(span.size()));
    line("guest RAM", layout.ram);
    line("kernel", layout.kernel);
    line("device tree", layout.tree);
    if layout.initrd.size() != 0 {
        line("initrd", layout.initrd);
    }
    for load in plan.loads() {
        println!("  load {} at {:#x}", load.file, load.address);
    }
}

/// `check`: true if there is nothing but notes.
pub fn check(
    boards: &Path,
    guest: &Guest,
    system: Option<&PathBuf>,
    accept: &Accept,
    format: Format,
) -> Result<bool, PlanError> {
    let findings = match system {
        Some(system) => {
            let mut findings = foreign(boards, guest, system)?;
            let board = guest.board(boards)?;
            vmm_plan::checked::accept(&mut findings, board.accept.iter().chain(&accept.accept));
            findings
        }
        None => match checked(boards, guest, accept)? {
            Ok(checked) => checked.notes().to_vec(),
            Err(findings) => findings,
        },
    };
    match format {
        Format::Json => print_json(&findings),
        Format::Text => {
            print(&findings);
            let count = errors(&findings);
            match (count, findings.len().saturating_sub(count)) {
                (0, 0) => println!("clean"),
                (0, notes) => println!("clean, {notes} note(s)"),
                (count, notes) => println!("{count} finding(s), {notes} note(s)"),
            }
        }
    }
    Ok(errors(&findings) == 0)
}

fn foreign(boards: &Path, guest: &Guest, path: &Path) -> Result<Vec<Finding>, PlanError> {
    let board = guest.board(boards)?;
    let board_tree = guest.board_tree()?;
    let text = input::read(path, "a system file", MAX_SYSTEM)?;
    let text = String::from_utf8_lossy(&text);
    let system = sdf::read(&text, board.microkit.memory.span())
        .map_err(|why| PlanError::BoardFile { path: path.display().to_string(), why })?;
    let Some(dtb) = guest.dtb() else {
        return Err(PlanError::Wish {
            asked: "the guest's tree",
            value: "not given".into(),
            range: "given with the system file (--dtb FILE)".into(),
        });
    };
    let tree = dt::read_file(dtb)?.1;
    let normal = system.regions.iter().filter(|region| region.kind == Kind::Normal);
    let ram = normal.map(|region| region.size).max().unwrap_or(0);
    let [kernel, initrd] = guest.files(ram)?;
    let files = Files { system, tree, kernel: kernel.as_deref(), initrd: initrd.as_deref() };
    Ok(CheckInput::from_files(&board, board_tree.as_ref(), files)?.findings())
}
