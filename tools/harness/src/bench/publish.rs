// SPDX-License-Identifier: BSD-2-Clause
//! Files: the table, the plot and the JSON in a folder, and the part of README that shows them.

use std::path::Path;

use super::figure::Numbers;
use super::{plot, text};
use crate::error::{Error, Result};

/// Folder of the committed numbers.
const FOLDER: &str = "docs";
/// What lies between these lines of README is written here.
const BEGIN: &str = "<!-- ci/bench --readme writes from here -->\n";
const END: &str = "<!-- to here -->\n";

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

/// Writes the committed files, and README's part.
///
/// # Errors
/// A file cannot be read or written, or README has no such part.
pub fn readme(root: &Path, numbers: &Numbers) -> Result<()> {
    write(&root.join(FOLDER), numbers)?;
    let path = root.join("README.md");
    let old = std::fs::read_to_string(&path).map_err(|e| Error::file("read", &path, &e))?;
    let new = replaced(&old, &text::short(numbers)).ok_or_else(|| {
        Error::Usage(format!("README.md has no lines '{}' and '{}'", BEGIN.trim(), END.trim()))
    })?;
    std::fs::write(&path, new).map_err(|e| Error::file("write", &path, &e))
}

fn replaced(readme: &str, part: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{part}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_is_replaced() {
        let readme = format!("a\n{BEGIN}old\n{END}b\n");
        let new = replaced(&readme, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}new\n{END}b\n"));
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
    }

    #[test]
    fn a_readme_without_the_part_is_left_alone() {
        assert_eq!(replaced("a\n", "new\n"), None);
        assert_eq!(replaced(&format!("a\n{END}{BEGIN}"), "new\n"), None);
    }

    #[test]
    fn the_tree_s_readme_has_the_part() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
        assert!(replaced(&readme, "").is_some());
    }
}
