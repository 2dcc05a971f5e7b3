// SPDX-License-Identifier: BSD-2-Clause
//! Files: the tables, the plot and the JSON in a folder.

use std::path::Path;

use super::figure::Numbers;
use super::{plot, text};
use crate::error::{Error, Result};

/// Folder of the committed numbers.
pub const FOLDER: &str = "docs";

/// Writes `numbers.md`, `numbers.svg` and `numbers.json`.
///
/// # Errors
/// One of them cannot be written.
pub fn write(folder: &Path, numbers: &Numbers) -> Result<()> {
    let json = serde_json::to_string_pretty(numbers)
        .map_err(|e| Error::Usage(format!("cannot make the report: {e}")))?;
    std::fs::create_dir_all(folder).map_err(|e| Error::file("make", folder, &e))?;
    let document = text::document(numbers) + "\n![Figures](numbers.svg)\n";
    let files = [
        ("numbers.md", document),
        ("numbers.svg", plot::draw(numbers)),
        ("numbers.json", json + "\n"),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|e| Error::file("write", &path, &e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_numbers_name_the_command_of_each_figure() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let document = std::fs::read_to_string(root.join(FOLDER).join("numbers.md")).unwrap();
        assert!(
            document.contains(&text::made()),
            "docs/numbers.md is of another revision: ci/bench --readme"
        );
    }
}
