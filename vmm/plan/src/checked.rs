// SPDX-License-Identifier: BSD-2-Clause
//! Plan and check in one: what every command that builds or boots a guest goes through.

use crate::board::Board;
use crate::check::CheckInput;
use crate::dt::Tree;
use crate::error::PlanError;
use crate::finding::{Finding, Severity};
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
        let mut findings = CheckInput::from_plan(&plan).findings();
        // Accepted after all are found: an error is named even where it stops nothing.
        accept(&mut findings, board.accept.iter().chain(&wish.accept));
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(PlanError::Findings { findings });
        }
        plan.accepted = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Accepted)
            .map(|finding| format!("{} {}", finding.rule, finding.subject))
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
