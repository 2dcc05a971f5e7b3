// SPDX-License-Identifier: BSD-2-Clause
//! What the tests read of a Markdown document.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of a file of the tree.
pub fn read(path: &str) -> String {
    let text = fs::read_to_string(root().join(path));
    text.unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// A document of the tree.
pub struct Document {
    /// Its path from the root.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Every document of the tree, without what was built or downloaded.
pub fn documents() -> Vec<Document> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let name = path.to_str().unwrap();
            if entry.file_type().unwrap().is_dir() {
                if !matches!(name, "target" | "build" | ".git" | "fuzz/target") {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                found.push(Document { path: name.to_owned(), text: read(name) });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The `[name](path)` links of a text.
pub fn links(text: &str) -> Vec<(&str, &str)> {
    let ends = text.match_indices("](").map(|(at, _)| at);
    let found = ends.filter_map(|at| {
        let name = &text[text[..at].rfind('[')? + 1..at];
        let target = text[at + 2..].split_once(')')?.0;
        Some((name, target))
    });
    found.collect()
}

/// Whether a link leads out of the tree.
pub fn is_foreign(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// The text outside of fenced blocks.
pub fn prose(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The fenced blocks of a text, each with its language.
pub fn blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fenced = !fenced;
            if fenced {
                blocks.push((language.trim(), Vec::new()));
            }
        } else if let (true, Some((_, lines))) = (fenced, blocks.last_mut()) {
            lines.push(line.trim_start());
        }
    }
    blocks
}

/// The commands of a text: in a block `console` what stands behind `$ `, in a block `sh` every
/// line. A line that ends in a backslash goes on; a comment is no part.
pub fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for (language, lines) in blocks(text) {
        let mut open: Option<String> = None;
        for line in lines {
            let begin = match (language, &open) {
                (_, Some(begin)) => format!("{begin} "),
                ("console", None) if line.starts_with("$ ") => String::new(),
                ("sh", None) if !line.is_empty() => String::new(),
                _ => continue,
            };
            let line = line.strip_prefix("$ ").unwrap_or(line);
            let line = line.split_once(" # ").map_or(line, |(line, _)| line).trim();
            let command = format!("{begin}{line}");
            match command.strip_suffix('\\') {
                Some(command) => open = Some(command.trim_end().to_owned()),
                None => {
                    open = None;
                    commands.push(command);
                }
            }
        }
    }
    commands
}

/// The anchors that the headings of a text make, as GitHub names them.
pub fn anchors(text: &str) -> Vec<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    headings.map(anchor).collect()
}

/// The rows of the tables of a text, cells trimmed, without heads and rules.
pub fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &str| line.starts_with("|--") || line.starts_with("| --");
    let mut rows = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let head = lines.get(at + 1).is_some_and(|next| is_rule(next));
        if line.starts_with('|') && !is_rule(line) && !head {
            let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
            // A bar in a cell is written \|.
            let inner: Vec<&str> = split_cells(inner);
            rows.push(inner);
        }
    }
    rows
}

fn split_cells(row: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut begin = 0;
    for (at, _) in row.match_indices('|') {
        if !row[..at].ends_with('\\') {
            cells.push(row[begin..at].trim());
            begin = at + 1;
        }
    }
    cells.push(row[begin..].trim());
    cells
}
