// SPDX-License-Identifier: BSD-2-Clause
//! `plan` and `check`: findings decide the exit code.

use std::path::{Path, PathBuf};

use vmm_plan::check::{Finding, RULES, Severity, Subject};
use vmm_plan::span::{Size, Span};
use vmm_plan::{Plan, PlanError, dt, sdf};

use super::guest::Guest;
use super::{Format, print_json};

/// Options about findings.
#[derive(clap::Args)]
pub struct Accept {
    /// Finding to take for a note; 'guestplan explain finding ID' says what it means.
    #[arg(long, value_name = "ID", value_parser = known)]
    accept: Vec<String>,
}

fn known(id: &str) -> Result<String, String> {
    if RULES.iter().any(|rule| rule.id == id) {
        return Ok(id.into());
    }
    let all: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
    Err(format!("there is: {}", all.join(", ")))
}

impl Accept {
    fn apply(&self, findings: &mut [Finding]) {
        for finding in
            findings.iter_mut().filter(|finding| self.accept.iter().any(|id| id == finding.id))
        {
            finding.severity = Severity::Note;
        }
    }
}

fn print(findings: &[Finding]) {
    for finding in findings {
        println!("{finding}");
    }
}

fn errors(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}

/// `plan`: true if the files are written.
pub fn plan(
    boards: &Path,
    guest: &Guest,
    accept: &Accept,
    out: &Path,
    format: Format,
) -> Result<bool, PlanError> {
    let plan = guest.plan(boards, true)?;
    let mut findings = Subject::from_plan(&plan).findings();
    accept.apply(&mut findings);
    let clean = errors(&findings) == 0;
    if clean {
        plan.write_to(out)?;
    }
    match format {
        Format::Json => print_json(&findings),
        Format::Text => {
            print(&findings);
            if clean {
                summary(&plan);
            } else {
                println!(
                    "nothing written: {} finding(s); --accept ID takes one for a note",
                    errors(&findings)
                );
            }
        }
    }
    Ok(clean)
}

fn summary(plan: &Plan) {
    let layout = &plan.layout;
    println!("{} on {}, GICv{}", plan.board.name, plan.wish.host.name(), plan.gic);
    let line = |what: &str, span: Span| println!("  {what:<12} {span} {}", Size(span.size));
    line("guest RAM", layout.ram);
    line("kernel", layout.kernel);
    line("device tree", layout.tree);
    if layout.initrd.size != 0 {
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
    let mut findings = match system {
        Some(system) => foreign(boards, guest, system)?,
        None => Subject::from_plan(&guest.plan(boards, true)?).findings(),
    };
    accept.apply(&mut findings);
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
    let text = std::fs::read_to_string(path).map_err(PlanError::file(path))?;
    let memory = &board.microkit.memory;
    let system = sdf::read(&text, Span::new(memory.base, memory.size))
        .map_err(|why| PlanError::BoardFile { path: path.display().to_string(), why })?;
    let Some(dtb) = guest.dtb() else {
        return Err(PlanError::Wish {
            what: "the guest's tree",
            value: "not given".into(),
            range: "given with the system file (--dtb FILE)".into(),
        });
    };
    let tree = dt::read_file(dtb)?.1;
    let (kernel, initrd) = (guest.kernel_bytes()?, guest.initrd_bytes()?);
    let subject = Subject::from_files(
        &board,
        board_tree.as_ref(),
        system,
        tree,
        kernel.as_deref(),
        initrd.as_deref(),
    )?;
    Ok(subject.findings())
}
