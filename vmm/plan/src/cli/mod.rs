// SPDX-License-Identifier: BSD-2-Clause
//! The commands of `guestplan`.

pub mod findings;
pub mod guest;
pub mod tools;

use clap::ValueEnum;
use serde::Serialize;

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints one JSON value and ends the line.
pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("guestplan: {error}"),
    }
}
