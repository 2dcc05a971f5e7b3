// SPDX-License-Identifier: BSD-2-Clause
//! README.md and SECURITY.md say what the tree says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

fn security() -> String {
    fs::read_to_string(root().join("SECURITY.md")).unwrap()
}

/// The `[name](path)` links of a line that lead into the tree.
fn links(line: &str) -> Vec<(&str, &str)> {
    let ends = line.match_indices("](").map(|(at, _)| at);
    let found = ends.filter_map(|at| {
        let name = &line[line[..at].rfind('[')? + 1..at];
        let path = line[at + 2..].split_once(')')?.0;
        (!path.contains("://")).then_some((name, path))
    });
    found.collect()
}

#[test]
fn the_versions_are_those_of_the_pins() {
    let pins = fs::read_to_string(root().join("nix/pins.json")).unwrap();
    let pins: serde_json::Value = serde_json::from_str(&pins).unwrap();
    let pins = pins.get("inputs").unwrap_or(&pins);
    let readme = readme();
    for name in ["sel4", "microkit", "rust-sel4", "buildroot"] {
        let revision = pins[name]["rev"].as_str().unwrap();
        assert!(readme.contains(revision), "README.md does not name {name} {revision}");
    }
}

#[test]
fn every_board_has_its_row_its_page_and_its_map() {
    let readme = readme();
    for entry in fs::read_dir(root().join("boards")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(
            readme.contains(&format!("| [{name}](boards/{name}) |")),
            "README.md has no row for {name}"
        );
        assert!(
            readme.contains(&format!("(boards/{name}/map.svg)")),
            "README.md does not show {name}'s map"
        );
        for file in ["board.toml", "README.md", "map.svg"] {
            assert!(folder.join(file).is_file(), "boards/{name} has no {file}");
        }
    }
}

#[test]
fn every_path_that_it_names_is_there() {
    let readme = readme() + &security();
    // In back quotes or as the target of a link, starting with a folder of the tree.
    let words = readme.split(['`', '(', ')', ' ', '\n', ',', ';', ':']);
    let folders = ["vmm/", "ci/", "tools/", "boards/", "guest/", "nix/", "docs/", "fuzz/"];
    let mut seen = 0;
    for path in words.filter(|word| folders.iter().any(|folder| word.starts_with(folder))) {
        if path.contains('*') {
            continue;
        }
        assert!(root().join(path).exists(), "{path} is named, but is not there");
        seen += 1;
    }
    assert!(seen > 20, "only {seen} paths found: is this test still reading them?");
}

#[test]
fn every_promise_of_security_has_its_tests() {
    let text = security();
    let promises =
        text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Promise |"));
    let mut seen = 0;
    for promise in promises {
        let links = links(promise);
        assert!(!links.is_empty(), "nothing holds: {promise}");
        for (name, path) in links {
            let test = fs::read_to_string(root().join(path)).unwrap_or_default();
            let is_guest = path == format!("guest/conformance/src/bin/{name}.rs");
            let holds = if is_guest {
                test.contains("guest!(")
            } else {
                test.contains(&format!("fn {name}(")) && test.contains("#[test]")
            };
            assert!(holds, "{path} has no test or guest {name}, which is to hold: {promise}");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} tests found: is this test still reading SECURITY.md?");
}

#[test]
fn links_are_read_with_their_names() {
    let line = "| x | [a](vmm/a.rs), [web](https://example.org), [b-c](guest/b.rs) |";
    assert_eq!(links(line), [("a", "vmm/a.rs"), ("b-c", "guest/b.rs")]);
}

#[test]
fn the_readme_leads_to_security() {
    assert!(links(&readme()).contains(&("SECURITY.md", "SECURITY.md")));
}
