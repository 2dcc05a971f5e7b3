// SPDX-License-Identifier: BSD-2-Clause
//! The documents say what the tree says.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

#[path = "readme/markdown.rs"]
mod markdown;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use markdown::{anchors, blocks, commands, documents, is_foreign, links, prose, read, root, rows};

/// The most that a newcomer is asked to read first.
const README_WORDS: usize = 900;

#[test]
fn the_readme_is_short() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= README_WORDS, "README.md has {words} words, at most {README_WORDS}");
}

#[test]
fn no_link_is_dead() {
    let documents = documents();
    let mut seen = 0;
    for document in &documents {
        let prose = prose(&document.text);
        let folder = Path::new(&document.path).parent().unwrap();
        for (name, target) in links(&prose).into_iter().filter(|(_, target)| !is_foreign(target)) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() {
                root().join(&document.path)
            } else {
                root().join(folder).join(path)
            };
            assert!(
                file.exists(),
                "{}: [{name}] leads to {target}, which is not there",
                document.path
            );
            if !anchor.is_empty() {
                let headings = anchors(&fs::read_to_string(&file).unwrap());
                assert!(
                    headings.iter().any(|heading| heading == anchor),
                    "{}: [{name}] leads to {target}, which has no such heading",
                    document.path
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} links found: is this test still reading them?");
}

#[test]
fn every_path_that_is_named_is_there() {
    // In back quotes or as the target of a link, starting with a folder of the tree.
    let folders = ["vmm/", "ci/", "tools/", "boards/", "guest/", "nix/", "docs/", "fuzz/"];
    let mut seen = 0;
    for document in documents() {
        // What is there before it is built, or as an example, stands in blocks.
        let prose = prose(&document.text);
        if document.path == "CHANGELOG.md" {
            continue;
        }
        let words = prose.split(['`', '(', ')', ' ', '\n', ',', ';', ':', '"', '\'', '[', ']']);
        for path in words.filter(|word| folders.iter().any(|folder| word.starts_with(folder))) {
            let path = path.split('#').next().unwrap().trim_end_matches('.');
            let example = path.contains(['*', '<', '{', '=']) || path.contains("NAME");
            if example || path.contains("myboard") || path.contains("TARGET") {
                continue;
            }
            // A document may name a path from its own folder.
            let beside = Path::new(&document.path).parent().unwrap().join(path);
            let there = root().join(path).exists() || root().join(beside).exists();
            assert!(there, "{} names {path}, which is not there", document.path);
            seen += 1;
        }
    }
    assert!(seen > 80, "only {seen} paths found: is this test still reading them?");
}

/// Where a command of a document is run: the rows of docs/commands.md.
fn runs() -> BTreeMap<String, String> {
    let text = read("docs/commands.md");
    let mut runs = BTreeMap::new();
    for row in rows(&text) {
        let command = row[0].trim_matches('`').replace("\\|", "|");
        let twice = runs.insert(command, row[1].to_owned());
        assert!(twice.is_none(), "docs/commands.md has {} twice", row[0]);
    }
    runs
}

#[test]
fn every_command_is_run_by_a_test_or_by_hand() {
    let runs = runs();
    let mut used: BTreeMap<&str, bool> = runs.keys().map(|command| (&**command, false)).collect();
    for document in documents() {
        for command in commands(&document.text) {
            let Some(seen) = used.get_mut(&*command) else {
                panic!(
                    "{}: docs/commands.md does not say where this is run: {command}",
                    document.path
                );
            };
            *seen = true;
        }
    }
    let stale: Vec<_> =
        used.iter().filter(|(_, seen)| !**seen).map(|(command, _)| command).collect();
    assert!(stale.is_empty(), "docs/commands.md has what no document asks for: {stale:?}");
    assert!(runs.len() > 20, "only {} commands found", runs.len());
}

#[test]
fn every_run_of_a_command_is_a_part_of_the_test_or_has_its_date() {
    let parts = read("ci/test");
    let months = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    for (command, run) in runs() {
        let good = if let Some(part) = run.strip_prefix("`ci/test`: ") {
            ["step", "beside"].iter().any(|kind| parts.contains(&format!("{kind} \"{part}\"")))
        } else if let Some(date) = run.strip_prefix("by hand, ") {
            let date = date.split(['(', ';']).next().unwrap();
            let words: Vec<_> = date.split_whitespace().collect();
            words.len() == 3
                && words[0].parse::<u8>().is_ok_and(|day| (1..=31).contains(&day))
                && months.contains(&words[1])
                && words[2].parse::<u16>().is_ok_and(|year| year >= 2026)
        } else {
            run.strip_prefix("not run yet: ").is_some_and(|reason| !reason.is_empty())
        };
        assert!(
            good,
            "{command}: '{run}' is no part of ci/test, no 'by hand, 28 November 2026', no 'not run yet: REASON'"
        );
    }
}

#[test]
fn every_block_says_what_it_is() {
    for document in documents() {
        for (language, lines) in blocks(&document.text) {
            assert!(
                !language.is_empty(),
                "{}: a block without a language (console, sh, text, ...): {:?}",
                document.path,
                lines.first()
            );
        }
    }
}

/// `nix/pins.json`: the upstream revisions, the one place for each.
fn pins() -> serde_json::Value {
    let pins: serde_json::Value = serde_json::from_str(&read("nix/pins.json")).unwrap();
    pins["inputs"].clone()
}

#[test]
fn the_versions_are_those_of_the_pins() {
    let pins = pins();
    let reference = |name: &str| pins[name]["ref"].as_str().unwrap().to_owned();
    let rust_sel4 = reference("rust-sel4");
    let mut wrong = Vec::new();
    let mut says = |file: &str, text: &str| {
        if !read(file).contains(text) {
            wrong.push(format!("{file} does not say '{text}'"));
        }
    };
    for (name, title) in [("sel4", "seL4"), ("microkit", "Microkit"), ("buildroot", "Buildroot")] {
        let (version, pin) = (reference(name), &pins[name]);
        says("README.md", &format!("{title} {version}"));
        let (owner, repo) = (pin["owner"].as_str().unwrap(), pin["repo"].as_str().unwrap());
        says("flake.nix", &format!("\"github:{owner}/{repo}/{version}\""));
        says("flake.lock", pin["rev"].as_str().unwrap());
    }
    says("README.md", &format!("rust-sel4 {}", rust_sel4.trim_start_matches('v')));
    says("vmm/hosts/microkit/Cargo.lock", pins["rust-sel4"]["rev"].as_str().unwrap());
    let manifest = read("vmm/hosts/microkit/Cargo.toml");
    let tags = manifest.matches("tag = \"").count();
    assert!(tags > 0, "vmm/hosts/microkit/Cargo.toml names no tag of rust-sel4");
    if manifest.matches(&format!("tag = \"{rust_sel4}\"")).count() != tags {
        wrong.push(format!("vmm/hosts/microkit/Cargo.toml has another tag than '{rust_sel4}'"));
    }
    assert!(wrong.is_empty(), "not as nix/pins.json has it:\n{}", wrong.join("\n"));
}

/// The value of an option in a defconfig.
fn option<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name}")).trim_matches('"')
}

#[test]
fn the_guests_linux_is_one_version() {
    let configs: Vec<_> = fs::read_dir(root().join("guest/buildroot/configs")).unwrap().collect();
    assert!(configs.len() >= 2);
    let sources: serde_json::Value =
        serde_json::from_str(&read("nix/buildroot-sources.json")).unwrap();
    for config in configs {
        let path = config.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let version = option(&text, "BR2_LINUX_KERNEL_CUSTOM_VERSION_VALUE");
        let file = format!("linux-{version}.tar.xz");
        assert!(
            !sources[&*file].is_null(),
            "{}: nix/buildroot-sources.json has no {file}",
            path.display()
        );
        for hash in ["linux/linux.hash", "linux-headers/linux-headers.hash"] {
            let hashes = read(&format!("guest/buildroot/patches/{hash}"));
            assert!(hashes.contains(&file), "guest/buildroot/patches/{hash} has no {file}");
        }
        let series: Vec<_> = version.split('.').take(2).collect();
        let headers = format!("BR2_PACKAGE_HOST_LINUX_HEADERS_CUSTOM_{}", series.join("_"));
        assert_eq!(option(&text, &headers), "y", "{}", path.display());
    }
}

/// What `nix flake init -t ADDRESS#board` writes has the facts of a real board, which change.
#[test]
fn the_template_s_board_is_a_real_one_under_another_name() {
    let facts = |file: &str| -> Vec<String> {
        let text = read(file);
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("alias =") && !line.starts_with("title ="));
        lines.map(str::to_owned).collect()
    };
    let (template, real) =
        ("nix/templates/board/boards/myboard/board.toml", "boards/qemu_virt_aarch64/board.toml");
    assert!(facts(template) == facts(real), "copy {real} to {template}, all but alias and title");
}

#[test]
fn every_board_has_its_row_its_page_and_its_map() {
    let (readme, boards) = (read("README.md"), read("docs/boards.md"));
    for entry in fs::read_dir(root().join("boards")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(
            readme.contains(&format!("| [{name}](boards/{name}) |")),
            "README.md has no row for {name}"
        );
        assert!(
            boards.contains(&format!("(../boards/{name}/map.svg)")),
            "docs/boards.md does not show {name}'s map"
        );
        for file in ["board.toml", "README.md", "map.svg"] {
            assert!(folder.join(file).is_file(), "boards/{name} has no {file}");
        }
    }
}

#[test]
fn every_field_of_a_board_is_explained() {
    let facts = read("vmm/plan/src/board/facts.rs");
    let table = read("docs/boards.md");
    let mut skipped = false;
    let mut seen = 0;
    for line in facts.lines().map(str::trim) {
        // A field, and the one attribute that keeps it out of the file.
        if line == "#[serde(skip)]" {
            skipped = true;
        } else if let Some((field, _)) = line
            .strip_prefix("pub ")
            .and_then(|line| line.split_once(": "))
            .filter(|(field, _)| !field.contains(' '))
        {
            // A table stands in the table's own rows as [name], [[name]] or [name.
            let named = [
                format!("`{field}`"),
                format!("[{field}]"),
                format!("[{field}."),
                format!(".{field}]"),
            ];
            let explained = named.iter().any(|name| table.contains(name));
            assert!(skipped || explained, "docs/boards.md does not explain the field {field}");
            skipped = false;
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} fields found: is this test still reading them?");
}

#[test]
fn every_promise_of_security_has_its_tests() {
    let text = read("SECURITY.md");
    let promises =
        text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Promise |"));
    let mut seen = 0;
    for promise in promises {
        let links: Vec<_> =
            links(promise).into_iter().filter(|(_, path)| !is_foreign(path)).collect();
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
fn the_readme_leads_to_security() {
    assert!(links(&read("README.md")).contains(&("SECURITY.md", "SECURITY.md")));
}

#[test]
fn links_are_read_with_their_names() {
    let line = "| x | [a](vmm/a.rs), [web](https://example.org), [b-c](guest/b.rs#d) |";
    let web = ("web", "https://example.org");
    assert_eq!(links(line), [("a", "vmm/a.rs"), web, ("b-c", "guest/b.rs#d")]);
    assert!(is_foreign(web.1) && !is_foreign("guest/b.rs"));
}

#[test]
fn commands_are_read_from_their_blocks() {
    let text = "`ci/no`\n\n```console\n$ ci/a b   # says c\nc\n$ d \\\n  --e\n```\n\n```sh\nf | g\n```\n\n```text\n$ no\n```\n";
    assert_eq!(commands(text), ["ci/a b", "d --e", "f | g"]);
    assert_eq!(prose(text).trim(), "`ci/no`");
}

#[test]
fn cells_are_read_from_their_rows() {
    let text = "| A | B |\n|---|---|\n| `a \\| b` | c |\n\n# The life of an exit, and more\n";
    assert_eq!(rows(text), [["`a \\| b`", "c"]]);
    assert_eq!(anchors(text), ["the-life-of-an-exit-and-more"]);
}
