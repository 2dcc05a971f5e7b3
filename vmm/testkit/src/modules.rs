// SPDX-License-Identifier: BSD-2-Clause
//! Which modules of a crate use each other in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

/// The circles among the modules of the crate whose sources are in `src`, each as `a -> b -> a`.
///
/// A module here is a child of the crate's root with all that is below it: inside one, parts may
/// know each other. What counts is any path that begins with `crate::`, in `use` or elsewhere; one
/// that the root re-exports leads to where it comes from.
///
/// # Panics
/// The folder cannot be read, or has no root.
#[must_use]
pub fn module_circles(src: &Path) -> Vec<String> {
    let mut sources = Sources::new();
    for entry in fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        read(&path, sources.entry(name).or_default());
    }
    circles(sources)
}

/// The token sequences of a module's files, by the name of the module.
type Sources = BTreeMap<String, Vec<Vec<String>>>;

/// The tokens of every Rust source at or below a path.
fn read(path: &Path, files: &mut Vec<Vec<String>>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        files.push(tokens(&fs::read_to_string(path).unwrap()));
    }
}

fn circles(mut sources: Sources) -> Vec<String> {
    let roots: Vec<_> = ["lib", "main"].iter().filter_map(|root| sources.remove(*root)).collect();
    assert!(!roots.is_empty(), "there is neither lib.rs nor main.rs");
    let aliases = re_exports(&roots.concat(), &sources);
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, files) in &sources {
        let used = files.iter().flat_map(|file| first_names(file, "crate"));
        let known = used.filter_map(|used| {
            let module = aliases.get(used).map_or(used, String::as_str);
            sources.get_key_value(module).map(|(module, _)| module.as_str())
        });
        uses.insert(name, known.filter(|used| used != name).collect());
    }
    uses.keys().filter_map(|start| circle(start, &uses)).collect()
}

/// Words and signs of a source, without comments, strings and characters.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            string(rest)
        } else if first == '\'' {
            character(rest)
        } else if word > 0 {
            tokens.push(rest[..word].to_owned());
            word
        } else {
            let sign = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                tokens.push(rest[..sign].to_owned());
            }
            sign
        };
        rest = &rest[length..];
    }
    tokens
}

/// Bytes of the string at the start of `text`.
fn string(text: &str) -> usize {
    let mut escaped = true; // its first quotation mark does not end it
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Bytes of the character at the start of `text`; of a lifetime, its tick alone.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(text.len(), |end| end + 4),
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1,
    }
}

/// The first names behind `root::`, and those behind `root::{`.
fn first_names<'t>(tokens: &'t [String], root: &str) -> BTreeSet<&'t str> {
    let mut names = BTreeSet::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair[0] != root || pair[1] != "::" || at > 0 && tokens[at - 1] == "$" {
            continue;
        }
        let behind = &tokens[at + 2..];
        let Some(next) = behind.first() else { continue };
        if next != "{" {
            names.insert(next.as_str());
            continue;
        }
        let (mut depth, mut begins) = (0, true);
        for token in behind {
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ if depth == 1 && begins => _ = names.insert(token.as_str()),
                _ => {}
            }
            begins = depth == 1 && (token == "{" || token == ",");
            if depth == 0 {
                break;
            }
        }
    }
    names
}

/// Names that the root of a crate takes out of its modules, with the module of each.
fn re_exports(
    root: &[Vec<String>],
    modules: &BTreeMap<String, Vec<Vec<String>>>,
) -> BTreeMap<String, String> {
    let mut aliases = BTreeMap::new();
    for statement in root.iter().flat_map(|file| file.split(|token| token == ";")) {
        let Some(at) = statement.iter().rposition(|token| token == "use") else { continue };
        let mut path =
            statement[at + 1..].iter().filter(|token| *token != "crate" && *token != "self");
        let Some(module) = path.find(|token| *token != "::") else { continue };
        if modules.contains_key(module) {
            aliases.extend(path.map(|name| (name.clone(), module.clone())));
        }
    }
    aliases
}

/// The shortest way from a module back to itself, if it is the first of its names.
fn circle(start: &str, uses: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in &uses[way[way.len() - 1]] {
            if *next == start {
                // Each circle is named once, from where the alphabet begins.
                let first = way.iter().min() == Some(&start);
                return first.then(|| format!("{} -> {start}", way.join(" -> ")));
            }
            if seen.insert(*next) {
                ways.push_back([&way[..], &[*next]].concat());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a crate made of these files.
    fn of(files: &[(&str, &str)]) -> Vec<String> {
        let mut sources = Sources::new();
        for (path, text) in files {
            let name = path.split(['/', '.']).next().unwrap().to_owned();
            sources.entry(name).or_default().push(tokens(text));
        }
        circles(sources)
    }

    #[test]
    fn a_circle_is_named_once() {
        let files = [
            ("lib.rs", "pub mod a; pub mod b; pub mod c;"),
            ("a.rs", "use crate::b::B;"),
            ("b/mod.rs", "use std::fmt; use crate::{d::D, c::{self, C}};"),
            ("c.rs", "fn f() -> crate::a::A { crate::a::A }"),
            ("d.rs", "use crate::e;"),
            ("e.rs", ""),
        ];
        assert_eq!(of(&files), ["a -> b -> c -> a"]);
    }

    #[test]
    fn what_is_below_a_module_belongs_to_it() {
        let files = [
            ("lib.rs", ""),
            ("a.rs", "mod x; use crate::b;"),
            ("a/x.rs", "use crate::a::Y; use super::Z;"),
            ("b.rs", ""),
        ];
        assert_eq!(of(&files), [""; 0]);
        let deep = ("b/deep/er.rs", "use crate::a::x;");
        assert_eq!(of(&[&files[..], &[deep]].concat()), ["a -> b -> a"]);
    }

    #[test]
    fn comments_strings_and_macros_use_nothing() {
        let files = [
            ("main.rs", "mod a; mod b;"),
            (
                "a.rs",
                "// use crate::b\n/// [`crate::b`]\nconst A: (&str, char, char) = (\"crate::b \\\" crate::b\", '\"', '\\'');",
            ),
            ("b.rs", "use crate::a; macro_rules! m { () => { $crate::b::f() } }"),
        ];
        assert_eq!(of(&files), [""; 0]);
    }

    #[test]
    fn a_name_that_the_root_re_exports_leads_to_its_module() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use a::{A, Other}; pub use self::b::B;"),
            ("a.rs", "use crate::B;"),
            ("b.rs", "use crate::{Other};"),
        ];
        assert_eq!(of(&files), ["a -> b -> a"]);
    }
}
