// SPDX-License-Identifier: BSD-2-Clause
//! `map`, `explain`, `report`, `plot`, `diff` and `drivers`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use vmm_plan::drivers::Drivers;
use vmm_plan::finding::Rule;
use vmm_plan::firmware::number;
use vmm_plan::map::Map;
use vmm_plan::report::Report;
use vmm_plan::{Board, PlanError, diff, dt, explain};

use super::guest::Guest;
use super::{Format, print_json};

/// How a map is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Drawing {
    Text,
    Markdown,
    Svg,
}

/// What to explain.
#[derive(Subcommand)]
pub enum Subject {
    /// A syndrome (ESR_EL2), as a fault report shows it.
    Esr {
        #[arg(value_parser = number)]
        value: u64,
    },
    /// A firmware call, by its function identifier.
    Smc {
        #[arg(value_parser = number)]
        function: u64,
        /// What this board does with it.
        #[arg(long, value_name = "NAME")]
        board: Option<String>,
    },
    /// A guest-physical address: which device owns it, and the ways to come by it.
    Address {
        #[arg(value_parser = number)]
        address: u64,
        #[command(flatten)]
        guest: Box<Guest>,
    },
    /// A finding, by its id; all of them without one.
    Finding { id: Option<String> },
}

/// `map`.
pub fn map(
    boards: &Path,
    guest: &Guest,
    drawing: Drawing,
    format: Format,
) -> Result<bool, PlanError> {
    let plan = guest.plan(boards, false)?;
    let map = Map::new(&plan, guest.has_kernel());
    if format == Format::Json {
        print_json(&map);
        return Ok(true);
    }
    match drawing {
        Drawing::Text => print!("{}", map.text()),
        Drawing::Markdown => print!("{}", map.markdown()),
        Drawing::Svg => print!("{}", map.svg()),
    }
    Ok(true)
}

/// `explain`.
pub fn explain(boards: &Path, subject: &Subject, format: Format) -> Result<bool, PlanError> {
    let text = explanation(boards, subject)?;
    match format {
        Format::Json => print_json(&text),
        Format::Text => print!("{text}"),
    }
    Ok(true)
}

fn explanation(boards: &Path, subject: &Subject) -> Result<String, PlanError> {
    match subject {
        Subject::Esr { value } => Ok(explain::esr(*value)),
        Subject::Smc { function, board } => {
            let function = u32::try_from(*function).map_err(|_| PlanError::Wish {
                asked: "a function identifier",
                value: format!("{function:#x}"),
                range: "a number of 32 bits".into(),
            })?;
            let board = board.as_deref().map(|name| Board::find(boards, name)).transpose()?;
            Ok(explain::smc(function, board.as_ref()))
        }
        Subject::Address { address, guest } => {
            explain::address(&guest.plan(boards, false)?, *address)
        }
        Subject::Finding { id } => {
            let rules = match id {
                None => Rule::ALL.to_vec(),
                Some(id) => vec![Rule::from_id(id).map_err(|_| PlanError::Wish {
                    asked: "a finding",
                    value: id.clone(),
                    range: Rule::ALL.iter().map(|rule| rule.id()).collect::<Vec<_>>().join(", "),
                })?],
            };
            let words = rules
                .iter()
                .map(|rule| format!("{rule} ({:?})\n  {}\n", rule.severity(), rule.text()));
            Ok(words.collect())
        }
    }
}

/// `report` and `plot`.
pub fn report(boards: &Path, path: &Path, svg: bool, format: Format) -> Result<bool, PlanError> {
    let report = Report::read(path)?;
    // A report of another repository's board is still a report.
    let board = Board::find(boards, &report.board).ok();
    if format == Format::Json && !svg {
        print_json(&report.summary(board.as_ref()));
        return Ok(true);
    }
    print!("{}", if svg { report.svg(board.as_ref()) } else { report.text(board.as_ref()) });
    Ok(true)
}

/// `diff`: true if nothing changed.
pub fn diff(old: &Path, new: &Path, format: Format) -> Result<bool, PlanError> {
    let changes = diff::diff(old, new)?;
    match format {
        Format::Json => print_json(&changes),
        Format::Text if changes.is_empty() => println!("no difference"),
        Format::Text => changes.iter().for_each(|change| println!("{change}")),
    }
    Ok(changes.is_empty())
}

/// `drivers`.
pub fn drivers(source: &Path, trees: &[PathBuf], format: Format) -> Result<bool, PlanError> {
    let read: Result<Vec<_>, _> = trees.iter().map(|path| Ok(dt::read_file(path)?.1)).collect();
    let (read, drivers) = (read?, Drivers::scan(source)?);
    let drivers = if trees.is_empty() { drivers } else { drivers.only_for(&read) };
    match format {
        Format::Json => print_json(&drivers.options),
        Format::Text => print!("{drivers}"),
    }
    Ok(true)
}
