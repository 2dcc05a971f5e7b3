// SPDX-License-Identifier: BSD-2-Clause
//! Which modules of a crate use each other in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

/// The circles among the modules of the crate whose sources are in `src`, each as `a -> b -> a`: first
/// those of single modules, then those of the root's children, each with all that is below it.
///
/// A module uses another if it names something of it by a path that begins with `crate`, `self`,
/// `super` or one of its own children, in `use` or elsewhere. What a module re-exports (`pub use`) leads
/// to where it comes from, and is no use of it unless the module also names it; nor is `mod`, or a call
/// of a method. The root is the crate itself, and counts for nothing.
///
/// # Panics
/// The folder cannot be read, or has no root.
#[must_use]
pub fn module_circles(src: &Path) -> Vec<String> {
    let mut sources = Sources::new();
    read(src, &[], &mut sources);
    circles(&sources)
}

/// The tokens of each module's file, by the path of the module.
type Sources = BTreeMap<Vec<String>, Vec<String>>;

/// Which modules each one uses.
type Uses = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

/// The tokens of every Rust source in a folder, which is a module's.
fn read(folder: &Path, module: &[String], sources: &mut Sources) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            read(&path, &[module, &[name]].concat(), sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            add(module, &name, &fs::read_to_string(path).unwrap(), sources);
        }
    }
}

/// Adds a file of a module's folder.
fn add(folder: &[String], name: &str, text: &str, sources: &mut Sources) {
    let own = name == "mod" || folder.is_empty() && matches!(name, "lib" | "main");
    let module = if own { folder.to_vec() } else { [folder, &[name.to_owned()]].concat() };
    // A crate with a library and a program has two roots.
    sources.entry(module).or_default().extend(tokens(text));
}

fn circles(sources: &Sources) -> Vec<String> {
    assert!(sources.contains_key(&[][..]), "there is neither lib.rs nor main.rs");
    let aliases = sources.iter().flat_map(|(module, file)| re_exports(module, file, sources));
    let aliases: Aliases = aliases.collect();
    let (mut fine, mut coarse) = (Uses::new(), Uses::new());
    for (module, file) in sources.iter().filter(|(module, _)| !module.is_empty()) {
        let used = paths(module, file, sources).into_iter().filter_map(|path| {
            let exported = path.exported && !path.named_again(file);
            (!exported).then(|| resolve(&path.from, &path.names, sources, &aliases))
        });
        let used: BTreeSet<_> = used.filter(|used| !used.is_empty() && used != module).collect();
        let tops = used.iter().map(|used| used[..1].to_vec()).filter(|top| top[..] != module[..1]);
        coarse.entry(module[..1].to_vec()).or_default().extend(tops);
        fine.insert(module.clone(), used);
    }
    let all = [fine, coarse]
        .into_iter()
        .flat_map(|uses| uses.keys().filter_map(|start| circle(start, &uses)).collect::<Vec<_>>());
    let mut named = Vec::new();
    for circle in all {
        if !named.contains(&circle) {
            named.push(circle);
        }
    }
    named
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

/// A path in a source.
struct Named {
    /// The module that it begins in.
    from: Vec<String>,
    /// What follows.
    names: Vec<String>,
    /// It is re-exported.
    exported: bool,
}

impl Named {
    /// Whether its last name occurs more than once in the file that it is in.
    fn named_again(&self, file: &[String]) -> bool {
        self.names.last().is_some_and(|name| file.iter().filter(|token| *token == name).count() > 1)
    }
}

/// All paths of a module's file that lead into its crate.
fn paths(module: &[String], file: &[String], sources: &Sources) -> Vec<Named> {
    let mut paths = Vec::new();
    // Modules in the file itself, by the depth of their braces.
    let (mut inner, mut depth, mut exports) = (Vec::new(), 0_usize, false);
    let mut at = 0;
    while at < file.len() {
        let (token, before) = (file[at].as_str(), at.checked_sub(1).map_or("", |at| &file[at]));
        match token {
            "{" => {
                depth += 1;
                if at >= 2 && file[at - 2] == "mod" {
                    inner.push(depth);
                }
            }
            "}" => {
                inner.pop_if(|begun| *begun == depth);
                depth = depth.saturating_sub(1);
            }
            "use" => exports = matches!(before, "pub" | ")"),
            ";" => exports = false,
            _ => {}
        }
        let child = || sources.contains_key(&[module, &[token.to_owned()]].concat());
        let begins = matches!(token, "crate" | "self" | "super") || child();
        let follows = file.get(at + 1).is_some_and(|next| next == "::");
        if !begins || !follows || matches!(before, "::" | "$") {
            at += 1;
            continue;
        }
        let mut from = module.to_vec();
        // From a module in the file the first steps up stay in the file.
        let mut inside = inner.len();
        match token {
            "crate" => from.clear(),
            "self" => {}
            "super" => {
                while file[at] == "super" && file.get(at + 1).is_some_and(|next| next == "::") {
                    match inside.checked_sub(1) {
                        Some(less) => inside = less,
                        None => _ = from.pop(),
                    }
                    at += 2;
                }
                at -= 2;
            }
            _ => from.push(token.to_owned()),
        }
        at += 2;
        let mut names = Vec::new();
        let mut all = Vec::new();
        at = tree(file, at, &mut names, &mut all);
        paths.extend(all.into_iter().map(|names| Named {
            from: from.clone(),
            names,
            exported: exports,
        }));
    }
    paths
}

/// The paths of a tree of `use`, or the one path of an expression; where what follows begins.
fn tree(
    file: &[String],
    mut at: usize,
    names: &mut Vec<String>,
    all: &mut Vec<Vec<String>>,
) -> usize {
    let before = names.len();
    loop {
        match file.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while file.get(at).is_some_and(|token| token != "}") {
                    if file[at] == "," {
                        at += 1;
                    } else {
                        at = tree(file, at, names, all);
                        while file.get(at).is_some_and(|token| token != "," && token != "}") {
                            at += 1; // `as` and its name
                        }
                    }
                }
                names.truncate(before);
                return at + 1;
            }
            Some(name) if name != "*" && name != "self" => names.push(name.to_owned()),
            _ => {}
        }
        at += 1;
        if file.get(at).is_none_or(|next| next != "::") {
            all.push(names.clone());
            names.truncate(before);
            return at;
        }
        at += 1;
    }
}

/// Names that a module takes out of others, with the module of each.
type Aliases = BTreeMap<(Vec<String>, String), Vec<String>>;

fn re_exports(module: &[String], file: &[String], sources: &Sources) -> Aliases {
    let exported = paths(module, file, sources).into_iter().filter(|path| path.exported);
    exported
        .filter_map(|path| {
            let name = path.names.last()?.clone();
            let origin = resolve(&path.from, &path.names, sources, &Aliases::new());
            (origin != module).then(|| ((module.to_vec(), name), origin))
        })
        .collect()
}

/// The module that a path leads to.
fn resolve(from: &[String], names: &[String], sources: &Sources, aliases: &Aliases) -> Vec<String> {
    let mut module = from.to_vec();
    for name in names {
        let below = [&module[..], std::slice::from_ref(name)].concat();
        if sources.contains_key(&below) {
            module = below;
        } else {
            return aliases.get(&(module.clone(), name.clone())).cloned().unwrap_or(module);
        }
    }
    module
}

/// The shortest way from a module back to itself, if it is the first of its names.
fn circle(start: &Vec<String>, uses: &Uses) -> Option<String> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in uses.get(way[way.len() - 1]).into_iter().flatten() {
            if next == start {
                // Each circle is named once, from where the alphabet begins.
                let first = way.iter().min() == Some(&start);
                let names = way.iter().chain([&start]).map(|module| module.join("::"));
                return first.then(|| names.collect::<Vec<_>>().join(" -> "));
            }
            if seen.insert(next) {
                ways.push_back([&way[..], &[next]].concat());
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
            let mut folder: Vec<String> = path.split('/').map(str::to_owned).collect();
            let name = folder.pop().unwrap();
            add(&folder, name.strip_suffix(".rs").unwrap(), text, &mut sources);
        }
        circles(&sources)
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
    fn what_is_below_a_child_of_the_root_belongs_to_it() {
        let files = [
            ("lib.rs", ""),
            ("a.rs", "mod x; use crate::b;"),
            ("a/x.rs", ""),
            ("b.rs", ""),
            ("b/deep/mod.rs", ""),
            ("b/deep/er.rs", "use crate::a::x;"),
        ];
        assert_eq!(of(&files), ["a -> b -> a"]);
    }

    #[test]
    fn a_module_and_its_child_make_a_circle() {
        let files = [
            ("lib.rs", ""),
            ("a.rs", "mod x; mod y; use self::x::X;"),
            ("a/x.rs", "use super::A;"),
            ("a/y.rs", "fn f(_: super::super::b::B) {}"),
            ("b.rs", ""),
        ];
        assert_eq!(of(&files), ["a -> a::x -> a"]);
        // So it does where the child is named without `self`.
        let files = [("lib.rs", ""), ("a.rs", "fn f() { x::g() }"), ("a/x.rs", "use super::A;")];
        assert_eq!(of(&files), ["a -> a::x -> a"]);
    }

    #[test]
    fn siblings_make_a_circle() {
        let files = [
            ("lib.rs", ""),
            ("a/mod.rs", "mod x; mod y; mod z;"),
            ("a/x.rs", "use super::y::Y;"),
            ("a/y.rs", "use crate::a::z::{Z, Other as Another};"),
            ("a/z.rs", "mod inner { use super::super::x::X; use super::Own; }"),
        ];
        assert_eq!(of(&files), ["a::x -> a::y -> a::z -> a::x"]);
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
    fn a_name_that_is_re_exported_leads_to_its_module() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use a::{A, Other}; pub use self::b::B;"),
            ("a.rs", "use crate::B;"),
            ("b.rs", "use crate::{Other};"),
        ];
        assert_eq!(of(&files), ["a -> b -> a"]);
    }

    #[test]
    fn to_re_export_is_not_to_use() {
        let child = ("a/x.rs", "use super::A; use super::y::Y;");
        let (root, other) = (("lib.rs", ""), ("a/y.rs", ""));
        let only = ("a.rs", "mod x; mod y; pub use self::x::{X, Z}; struct A;");
        assert_eq!(of(&[root, only, child, other]), [""; 0]);
        let uses = ("a.rs", "mod x; mod y; pub use self::x::{X, Z}; struct A(X);");
        assert_eq!(of(&[root, uses, child, other]), ["a -> a::x -> a"]);
    }
}
