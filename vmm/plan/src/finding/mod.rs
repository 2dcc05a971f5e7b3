// SPDX-License-Identifier: BSD-2-Clause
//! A finding: something wrong, or worth knowing. Every kind has a name that stays and a paragraph
//! that explains it ([`Rule`]); every finding has a way out.

mod rules;

use std::fmt::{self, Write};

use serde::Serialize;

pub use rules::{Rule, Severity};

/// Something wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    #[serde(rename = "id")]
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a node, a region, an interrupt.
    pub subject: String,
    /// What is wrong, with the numbers.
    #[serde(rename = "what")]
    pub problem: String,
    /// What to do about it.
    pub way_out: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Accepted => "accepted",
            Severity::Error => "error",
        };
        let Self { rule, subject, problem, way_out, .. } = self;
        write!(f, "{severity} {rule}: {subject}: {problem}\n    way out: {way_out}")
    }
}

/// Findings under way.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(
        &mut self,
        rule: Rule,
        subject: impl Into<String>,
        problem: impl Into<String>,
        way_out: impl Into<String>,
    ) {
        self.0.push(Finding {
            rule,
            severity: rule.severity(),
            subject: subject.into(),
            problem: problem.into(),
            way_out: way_out.into(),
        });
    }

    /// All of them, each once, errors first.
    pub(crate) fn sorted(mut self) -> Vec<Finding> {
        // Stable: within a severity the order is that of the checks. Two of them may say the same.
        self.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.0.dedup();
        self.0
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
        errors.map(|Finding { rule, subject, .. }| format!("{rule} {subject}")).collect();
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
