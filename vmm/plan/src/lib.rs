// SPDX-License-Identifier: BSD-2-Clause
//! From board facts and images to everything a guest needs, computed and checked before anything
//! boots: the guest's device tree, the Microkit system file and the monitor's plan block.
//!
//! Facts of a board come from `boards/<name>/board.toml` ([`board::Board`]), the guest's wishes
//! from a [`wish::Wish`], the images from [`image::Images`]. [`plan::Plan::with_tree`] puts them
//! together or says what does not fit; [`checked::Checked`] is a plan in which nothing is wrong, and
//! writes the files.
#![forbid(unsafe_code)]

pub mod block;
pub mod board;
pub mod check;
pub mod checked;
pub mod closure;
pub mod diff;
pub mod drivers;
pub mod dt;
pub mod error;
pub mod explain;
pub mod filenames;
pub mod files;
pub mod finding;
pub mod firmware;
pub mod image;
pub mod initramfs;
pub mod input;
pub mod irq;
pub mod layout;
pub mod map;
pub mod masters;
pub mod memory;
mod nodes;
pub mod plan;
pub mod program;
pub mod report;
pub mod sdf;
pub mod span;
pub mod svg;
pub mod system;
pub mod tree;
pub mod wish;

pub use board::Board;
pub use checked::Checked;
pub use error::PlanError;
pub use image::Images;
pub use plan::Plan;
pub use span::Span;
pub use wish::{Host, Wish};
