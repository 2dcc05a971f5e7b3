// SPDX-License-Identifier: BSD-2-Clause
//! How a run ended, in a word, in words and as an exit code.

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The guest powered the machine off, and everything asked for was there.
    PoweredOff,
    /// The expected text came.
    Expected,
    /// Whoever sat at the console left by hand, and nothing had failed until then.
    Left,
    /// The guest failed, or something asked for is missing.
    GuestFailed(String),
    /// The monitor stopped the guest: the kind of the fault, and what it says of it.
    Stopped(String),
    /// Silence, or the whole time is over.
    NoProgress(String),
    /// The emulator, or the program that it was given, failed.
    EmulatorFailed(String),
}

impl Outcome {
    /// Exit code of `ci/boot` (the table in its `--help`).
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::PoweredOff | Self::Expected | Self::Left => 0,
            Self::GuestFailed(_) => 1,
            Self::Stopped(_) => 2,
            Self::NoProgress(_) => 124,
            Self::EmulatorFailed(_) => 125,
        }
    }

    /// One line for a person.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::PoweredOff => "the guest powered off".into(),
            Self::Expected => "the expected text came".into(),
            Self::Left => "left by hand".into(),
            Self::GuestFailed(why) => format!("the guest failed: {why}"),
            Self::Stopped(kind) => format!("the monitor stopped the guest: {kind}"),
            Self::NoProgress(why) => format!("no progress: {why}"),
            Self::EmulatorFailed(why) => format!("the emulator failed: {why}"),
        }
    }
}
