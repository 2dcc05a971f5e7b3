// SPDX-License-Identifier: BSD-2-Clause
//! What can go wrong before a guest runs, each with its exit code.

use std::io;
use std::path::Path;

/// Shorthand for everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that ends the command. The text names the thing, the limit and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Wrong or missing input: exit code 3.
    #[error("{0}")]
    Usage(String),
    /// Something that should build does not: exit code 1.
    #[error("{0}")]
    Build(String),
    /// The emulator failed: exit code 125.
    #[error("{0}")]
    Emulator(String),
    /// A signal ended the command: exit code 128 and its number, as a shell says it.
    #[error("ended by signal {0}")]
    Signal(u8),
}

impl Error {
    /// A file that cannot be read or written.
    #[must_use]
    pub fn file(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::Usage(format!("cannot {verb} {}: {error}", path.display()))
    }

    /// Exit code of the command.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 3,
            Self::Build(_) => 1,
            Self::Emulator(_) => 125,
            Self::Signal(number) => number.saturating_add(128),
        }
    }
}
