// SPDX-License-Identifier: BSD-2-Clause
//! Emulated machines as data: `tools/machines/NAME.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::emulator::{self, Emulator};
use crate::error::{Error, Result};
use crate::fatal;

/// What fills the placeholders, by name. A name without a value leaves its argument out.
pub type Values = BTreeMap<&'static str, Option<String>>;

/// An emulated machine.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What it is, for a person.
    pub title: String,
    /// Program, looked up in `PATH`.
    pub program: String,
    /// Environment variable that names another program, where the usual one may be too old.
    #[serde(default)]
    pub program_variable: Option<String>,
    /// Program of `tools/machines/shims` that plays the board's firmware; its path fills `{shim}`.
    #[serde(default)]
    pub shim: Option<String>,
    /// Where the board's own device tree comes from, for reports that name devices.
    #[serde(default)]
    pub board_tree: Option<BoardTree>,
    /// Kinds of lines in the guest's text that are no failure on this machine (`fatal.toml`).
    #[serde(default)]
    pub allow: Vec<String>,
    /// Arguments on every host. Each entry is an option, or an option, a space and its value;
    /// `{name}` is a placeholder.
    pub arguments: Vec<String>,
    /// Further arguments by host: how the machine is entered.
    pub hosts: BTreeMap<String, Vec<String>>,
}

/// Where a board's own device tree comes from.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum BoardTree {
    /// A file that `ci/setup` takes out of Debian's kernel package.
    File(String),
    /// QEMU's own, of this `-machine`.
    Machine(String),
}

impl Profile {
    /// Reads `tools/machines/NAME.toml`.
    ///
    /// # Errors
    /// There is no such profile (the text lists those that are there), or it does not parse.
    pub fn load(root: &Path, name: &str) -> Result<Self> {
        let folder = root.join("tools/machines");
        let path = folder.join(format!("{name}.toml"));
        let text = fs::read_to_string(&path).map_err(|_| {
            let have = names(&folder).join(", ");
            Error::Usage(format!(
                "there is no profile '{name}' in tools/machines; there are: {have}"
            ))
        })?;
        Self::parse(&text).map_err(|e| Error::Usage(format!("tools/machines/{name}.toml: {e}")))
    }

    /// Reads the file of a profile.
    ///
    /// # Errors
    /// It is not there, or does not parse.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
        Self::parse(&text).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))
    }

    /// Reads the text of a profile.
    ///
    /// # Errors
    /// It does not parse.
    pub fn parse(text: &str) -> Result<Self> {
        let profile: Self =
            toml::from_str(text).map_err(|e| Error::Usage(e.to_string().trim_end().to_owned()))?;
        for kind in &profile.allow {
            fatal::name(kind).map_err(Error::Usage)?;
        }
        Ok(profile)
    }

    /// The emulator `program` for a host, every placeholder filled.
    ///
    /// # Errors
    /// The machine does not know the host, or a placeholder has no name in `values`.
    pub fn emulator(&self, program: PathBuf, host: &str, values: &Values) -> Result<Emulator> {
        Ok(Emulator { program, arguments: self.fill(host, values)?, mishap: None })
    }

    /// The emulator's program.
    ///
    /// # Errors
    /// It is missing.
    pub fn program(&self) -> Result<PathBuf> {
        match self.program_variable.as_ref().and_then(std::env::var_os) {
            Some(program) => Ok(PathBuf::from(program)),
            None => emulator::find(&self.program),
        }
    }

    fn fill(&self, host: &str, values: &Values) -> Result<Vec<String>> {
        let enter = self.hosts.get(host).ok_or_else(|| {
            let have: Vec<_> = self.hosts.keys().map(String::as_str).collect();
            let have = have.join(", ");
            Error::Usage(format!("{} is not entered by host '{host}', only by: {have}", self.title))
        })?;
        let mut arguments = Vec::new();
        for entry in self.arguments.iter().chain(enter) {
            match entry.split_once(' ') {
                None => arguments.push(entry.clone()),
                Some((option, value)) => {
                    if let Some(value) = substitute(value, values)? {
                        arguments.extend([option.to_owned(), value]);
                    }
                }
            }
        }
        Ok(arguments)
    }
}

/// A path as a value in one of QEMU's lists of options, whose commas are doubled (qemu(1), 'Syntax').
#[must_use]
pub fn option_value(text: &str) -> String {
    text.replace(',', ",,")
}

/// Fills the placeholders of one value; `None` if one of them is left out. A value with a comma beside
/// its placeholders is a list of options.
fn substitute(text: &str, values: &Values) -> Result<Option<String>> {
    let is_list = text.contains(',');
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind
            .split_once('}')
            .ok_or_else(|| Error::Usage(format!("'{text}': a '{{' without its '}}'")))?;
        let value = values.get(name).ok_or_else(|| {
            let have: Vec<_> = values.keys().copied().collect();
            Error::Usage(format!(
                "'{text}': no placeholder '{name}'; there are: {}",
                have.join(", ")
            ))
        })?;
        let Some(value) = value else { return Ok(None) };
        filled.push_str(before);
        if is_list {
            filled.push_str(&option_value(value));
        } else {
            filled.push_str(value);
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(Some(filled))
}

/// Names of the profiles in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        title = "a machine"
        program = "emulate"
        arguments = ["-cpu a53", "-no-reboot"]
        [hosts]
        bare = ["-kernel {kernel}", "-initrd {initrd}", "-append {append}"]
        microkit = ["-device loader,file={kernel},addr={load_address}"]
    "#;

    fn values() -> Values {
        [
            ("kernel", Some("Image".into())),
            ("initrd", None),
            ("append", Some("a=b c".into())),
            ("load_address", Some("0x70000000".into())),
        ]
        .into()
    }

    fn fill(host: &str) -> Result<Vec<String>> {
        Profile::parse(TEXT).unwrap().fill(host, &values())
    }

    #[test]
    fn options_and_values_become_arguments() {
        let arguments = fill("bare").unwrap();
        assert_eq!(
            arguments,
            ["-cpu", "a53", "-no-reboot", "-kernel", "Image", "-append", "a=b c"]
        );
    }

    #[test]
    fn an_argument_without_its_value_is_left_out() {
        assert!(!fill("bare").unwrap().contains(&"-initrd".to_owned()));
    }

    #[test]
    fn two_placeholders_in_one_value() {
        let arguments = fill("microkit").unwrap();
        assert_eq!(arguments.last().unwrap(), "loader,file=Image,addr=0x70000000");
    }

    #[test]
    fn a_comma_in_a_path_is_doubled_in_a_list_of_options_alone() {
        let mut values = values();
        values.insert("kernel", Some("a,b/Image".into()));
        let arguments = Profile::parse(TEXT).unwrap().fill("microkit", &values).unwrap();
        assert_eq!(arguments.last().unwrap(), "loader,file=a,,b/Image,addr=0x70000000");
        let arguments = Profile::parse(TEXT).unwrap().fill("bare", &values).unwrap();
        assert!(arguments.contains(&"a,b/Image".to_owned()), "{arguments:?}");
    }

    #[test]
    fn a_kind_of_line_that_is_not_there_is_refused() {
        assert!(Profile::parse(&format!("allow = [\"warning\"]\n{TEXT}")).is_ok());
        assert!(Profile::parse(&format!("allow = [\"warnings\"]\n{TEXT}")).is_err());
    }

    #[test]
    fn an_unknown_host_is_refused_by_name() {
        let error = fill("xen").unwrap_err();
        assert_eq!(
            error.to_string(),
            "a machine is not entered by host 'xen', only by: bare, microkit"
        );
        assert_eq!(error.code(), 3);
    }

    #[test]
    fn an_unknown_placeholder_is_refused() {
        let error = substitute("file={disk}", &values()).unwrap_err();
        assert!(error.to_string().contains("no placeholder 'disk'"), "{error}");
    }

    #[test]
    fn an_open_brace_is_refused() {
        assert!(substitute("file={kernel", &values()).is_err());
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(Profile::parse(&format!("{TEXT}\nwat = 1")).is_err());
    }

    #[test]
    fn a_missing_field_is_refused() {
        let error = Profile::parse("title = \"x\"").unwrap_err();
        assert!(error.to_string().contains("program"), "{error}");
    }
}
