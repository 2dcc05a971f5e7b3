// SPDX-License-Identifier: BSD-2-Clause
//! Reading files of somebody else's making, no more of each than could be used.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::PlanError;
use crate::span::length;

/// Most bytes of an image, whatever RAM the guest has. It is held twice, as it came and in guest RAM.
const MAX_IMAGE: u64 = 1 << 30;

/// So much is read even where RAM is less: the planner says better what does not fit.
const SMALL_IMAGE: u64 = 64 << 20;

/// Most bytes of an image of a guest with so much RAM.
#[must_use]
pub fn most(ram: u64) -> u64 {
    ram.clamp(SMALL_IMAGE, MAX_IMAGE)
}

/// Reads a file whole: a plain one, a device or a pipe. `what` it is to be names it in errors.
///
/// # Errors
/// It does not read, or has more than `most` bytes.
pub fn read(path: &Path, purpose: &'static str, most: u64) -> Result<Vec<u8>, PlanError> {
    let wrong = PlanError::file(path);
    let bytes = || -> std::io::Result<Option<Vec<u8>>> {
        let file = File::open(path)?;
        // Of a plain file the length is known before.
        if file.metadata()?.len() > most {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(Some(bytes).filter(|bytes| length(bytes) <= most))
    };
    let too_long = || PlanError::TooLong { path: path.display().to_string(), purpose, most };
    bytes().map_err(wrong)?.ok_or_else(too_long)
}
