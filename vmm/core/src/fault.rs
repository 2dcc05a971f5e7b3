// SPDX-License-Identifier: BSD-2-Clause
//! Placeholder while the seam is agreed; the report follows in the next commit.

/// What the guest did that stopped it.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultReport {}
