// SPDX-License-Identifier: BSD-2-Clause
//! Plan and check in one: what every command that builds or boots a guest goes through.

use std::fmt::Write;

use crate::board::Board;
use crate::check::{Finding, Severity, Subject};
use crate::dt::Tree;
use crate::error::PlanError;
use crate::image::Images;
use crate::plan::Plan;
use crate::wish::{Accept, Wish};

/// A plan in which nothing is wrong but what was accepted by name. Only such a plan is written
/// ([`Checked::write_to`](crate::files)).
#[derive(Clone, Debug)]
pub struct Checked {
    plan: Plan,
    findings: Vec<Finding>,
}

impl Checked {
    /// Plans a guest, as [`Plan::with_tree`] does, and checks the plan. What board and wish accept
    /// is no error, and is noted in the plan.
    ///
    /// # Errors
    /// Those of [`Plan::with_tree`]; [`PlanError::Findings`] if an error is left.
    pub fn new(
        board: &Board,
        wish: &Wish,
        images: Images,
        board_tree: Option<Tree>,
    ) -> Result<Self, PlanError> {
        let mut plan = Plan::with_tree(board, wish, images, board_tree)?;
        let mut findings = Subject::from_plan(&plan).findings();
        accept(&mut findings, board.accept.iter().chain(&wish.accept));
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(PlanError::Findings { findings });
        }
        plan.accepted = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Accepted)
            .map(|finding| format!("{} {}", finding.id, finding.subject))
            .collect();
        plan.accepted.dedup();
        Ok(Self { plan, findings })
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan alone, for who has no use for the notes.
    #[must_use]
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// What was accepted and what is worth knowing.
    #[must_use]
    pub fn notes(&self) -> &[Finding] {
        &self.findings
    }
}

/// Takes the errors that are accepted for what they are.
pub fn accept<'a>(findings: &mut [Finding], accepted: impl Iterator<Item = &'a Accept> + Clone) {
    for finding in findings.iter_mut().filter(|finding| finding.severity == Severity::Error) {
        if accepted.clone().any(|accept| accept.covers(finding)) {
            finding.severity = Severity::Accepted;
        }
    }
}

/// How many are errors.
#[must_use]
pub fn errors(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}

/// Most errors that are named once more in the way to accept them; a line of a hundred helps nobody.
const MOST_NAMED: usize = 8;

/// What every command says of a plan that is not built: all findings, and the way to accept each
/// error.
#[must_use]
pub fn refusal(findings: &[Finding]) -> String {
    let mut text = format!("nothing is built, errors in the plan: {}\n", errors(findings));
    for finding in findings {
        // A string takes everything.
        let _ = writeln!(text, "{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let mut names: Vec<_> =
        errors.map(|Finding { id, subject, .. }| format!("{id} {subject}")).collect();
    names.sort();
    names.dedup();
    let some = names.iter().take(MOST_NAMED);
    let all = |begin: &str, between: &str, end: &str| {
        let each = some.clone().map(|name| format!("{begin}{name}{end}"));
        each.collect::<Vec<_>>().join(between)
    };
    let more = match names.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!("; {more} more in the same way"),
    };
    let _ = write!(
        text,
        "What shall be so all the same is accepted by name: {}, or accept = [{}] above the first \
         table of board.toml{more}",
        all("--accept '", " ", "'"),
        all("\"", ", ", "\"")
    );
    text
}
