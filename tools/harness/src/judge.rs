// SPDX-License-Identifier: BSD-2-Clause
//! What is said of a run, by what came over its serial line. A library, so that the fuzz targets
//! judge with the same code as the program `harness`.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod console;
pub mod fatal;
pub mod outcome;
pub mod session;
pub mod show;
