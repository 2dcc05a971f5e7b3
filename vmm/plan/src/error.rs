// SPDX-License-Identifier: BSD-2-Clause
//! Why nothing can be planned. Each message names the thing, the limit and the way out.

use crate::finding::{Finding, refusal};
use crate::span::{Extent, Size};

/// Why nothing can be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        why: std::io::Error,
    },
    /// No such board.
    #[error("no board '{name}' under {folder}; there are: {known}")]
    UnknownBoard {
        /// As asked for.
        name: String,
        /// Where boards are looked for.
        folder: String,
        /// What is there.
        known: String,
    },
    /// Two boards that one name could mean.
    #[error("alias '{name}' is claimed by {first} and {second}: give each board its own")]
    TwoBoards {
        /// The name or alias.
        name: String,
        /// Folder of one.
        first: String,
        /// Folder of the other.
        second: String,
    },
    /// A board file that does not read.
    #[error("{path}: {why}")]
    BoardFile {
        /// The file.
        path: String,
        /// Where and what.
        why: String,
    },
    /// The board has nothing of the kind asked for.
    #[error("board {board}: {lack}")]
    BoardLacks {
        /// The board.
        board: String,
        /// What it lacks, and what it has instead.
        lack: String,
    },
    /// The kernel's file is not an arm64 `Image`.
    #[error(
        "{problem}: the kernel must be an uncompressed arm64 Image (Documentation/arch/arm64/booting.rst)"
    )]
    NotAnImage {
        /// What is wrong with the header.
        problem: String,
    },
    /// The kernel's file ends before what its header promises.
    #[error(
        "the kernel ends at byte {bytes}, and its {part} at byte {end}: it was cut short, make or copy it again"
    )]
    CutShort {
        /// What is not whole.
        part: String,
        /// Where that would end.
        end: u64,
        /// Bytes of the file.
        bytes: u64,
    },
    /// A file with more bytes than could ever be used.
    #[error("{path}: more than {}, too much for {purpose}", Size(*most))]
    TooLong {
        /// The file.
        path: String,
        /// What it was to be, and what bounds that.
        purpose: &'static str,
        /// Most bytes of it.
        most: u64,
    },
    /// The initial RAM file system is a cpio archive that ends too early.
    #[error(
        "the initial RAM file system ends within the cpio archive that begins at byte {at} of {bytes}: it was cut short, make or copy it again"
    )]
    DamagedInitrd {
        /// Where the archive begins.
        at: u64,
        /// Bytes of the file.
        bytes: u64,
    },
    /// A device tree that does not read.
    #[error("device tree {which}: {why}")]
    Tree {
        /// Which one.
        which: String,
        /// What is wrong with it.
        why: String,
    },
    /// A wish outside its range.
    #[error("{asked} is {value}: it must be {range}")]
    Wish {
        /// What was asked for.
        asked: &'static str,
        /// How much or which.
        value: String,
        /// What there is.
        range: String,
    },
    /// Something is larger than the room left for it.
    #[error("{thing} takes {} ({extent}), but only {} of {room} are left for it: {way_out}", Size(extent.size), Size(*left))]
    DoesNotFit {
        /// What does not fit.
        thing: String,
        /// Where it would go.
        extent: Extent,
        /// Where it would have to fit.
        room: String,
        /// Bytes left there.
        left: u64,
        /// What to do about it.
        way_out: String,
    },
    /// The plan is complete, but not as it should be.
    #[error("{}", refusal(findings))]
    Findings {
        /// All findings, errors first.
        findings: Vec<Finding>,
    },
}

impl PlanError {
    /// For `map_err` on file operations.
    pub fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |why| Self::File { path, why }
    }
}
