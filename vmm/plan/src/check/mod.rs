// SPDX-License-Identifier: BSD-2-Clause
//! What is wrong with a guest before it has booted, as [`Finding`]s.

mod board;
mod devices;
mod dma;
mod images;
mod input;
mod interrupts;
mod machine;
mod memory;
mod providers;

pub use input::{CheckInput, Files, Initramfs};
pub(crate) use machine::console_words;

use crate::closure::Unplanned;
use crate::finding::{Finding, Findings};

impl CheckInput<'_> {
    /// Everything that is wrong or worth knowing, errors first.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Findings::default();
        for unplanned in &self.unplanned {
            let Unplanned { rule, node, problem, way_out } = unplanned;
            found.add(*rule, node.as_str(), problem.as_str(), way_out.as_str());
        }
        memory::check(self, &mut found);
        devices::check(self, &mut found);
        interrupts::check(self, &mut found);
        providers::check(self, &mut found);
        dma::check(self, &mut found);
        board::check(self, &mut found);
        machine::check(self, &mut found);
        images::check(self, &mut found);
        found.sorted()
    }
}
