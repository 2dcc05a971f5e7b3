// SPDX-License-Identifier: BSD-2-Clause
//! Which kernel option brings the driver of a `compatible`, read from a kernel source tree: match
//! tables in the sources, and the objects that Makefiles build them into.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::dt::{Node, Tree};
use crate::error::PlanError;

/// Kernel options by `compatible`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drivers {
    /// Version of the kernel that they are from.
    pub kernel: String,
    /// Options without `CONFIG_`, the likeliest first.
    pub options: BTreeMap<String, Vec<String>>,
}

/// The table for the compatibles of the boards that this repository knows, made from Debian's
/// linux-source-6.12: `guestplan drivers linux-source-6.12 --tree imx8mq-evk.dtb --tree virt-v2.dtb
/// --tree virt-v3.dtb > vmm/plan/drivers.txt`, the first tree from Debian's linux-image-arm64, the
/// others from QEMU (`-machine virt,gic-version=...,virtualization=on,dumpdtb=...`).
const BUILT_IN: &str = include_str!("../drivers.txt");

impl Drivers {
    /// The table that comes with this crate.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN)
    }

    /// Reads a table as [`Drivers`] displays itself; lines that are no entry are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut drivers = Self::default();
        for line in text.lines() {
            if let Some(version) = line.strip_prefix("# kernel ") {
                drivers.kernel = version.into();
            } else if let Some((compatible, options)) =
                line.split_once('\t').filter(|_| !line.starts_with('#'))
            {
                let options = options.split(' ').map(str::to_owned).collect();
                drivers.options.insert(compatible.into(), options);
            }
        }
        drivers
    }

    /// Scans the kernel source tree in `folder`.
    ///
    /// # Errors
    /// It is no kernel source tree, or a file does not read.
    pub fn scan(folder: &Path) -> Result<Self, PlanError> {
        let makefile = read(&folder.join("Makefile"))?;
        let field = |name: &str| {
            let value = |line: &str| {
                line.strip_prefix(name)?
                    .trim()
                    .strip_prefix('=')
                    .map(|value| value.trim().to_owned())
            };
            makefile.lines().find_map(value).unwrap_or_default()
        };
        let kernel = format!("{}.{}.{}", field("VERSION"), field("PATCHLEVEL"), field("SUBLEVEL"));
        let mut found = Found::default();
        for top in ["drivers", "sound"] {
            scan_folder(&folder.join(top), &[], &mut found)?;
        }
        // A driver's own match table says more than an early console.
        let mut options: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (compatible, option) in found.tables.into_iter().chain(found.early) {
            let list = options.entry(compatible).or_default();
            if !list.contains(&option) {
                list.push(option);
            }
        }
        Ok(Self { kernel, options })
    }

    /// Keeps what nodes of these trees are compatible with.
    #[must_use]
    pub fn only_for(mut self, trees: &[Tree]) -> Self {
        let used: BTreeSet<&str> = trees
            .iter()
            .flat_map(|tree| {
                tree.nodes().flat_map(|(_, node)| node.compatible.iter().map(String::as_str))
            })
            .collect();
        self.options.retain(|compatible, _| used.contains(compatible.as_str()));
        self
    }

    /// The likeliest option for a node; its `compatible`s in their order.
    #[must_use]
    pub fn option_for(&self, node: &Node) -> Option<&str> {
        let options = node.compatible.iter().find_map(|compatible| self.options.get(compatible))?;
        options.first().map(String::as_str)
    }
}

impl fmt::Display for Drivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# SPDX-License-Identifier: BSD-2-Clause")?;
        writeln!(
            f,
            "# Made by 'guestplan drivers': compatible, tab, options of the kernel without CONFIG_."
        )?;
        writeln!(f, "# kernel {}", self.kernel)?;
        for (compatible, options) in &self.options {
            writeln!(f, "{compatible}\t{}", options.join(" "))?;
        }
        Ok(())
    }
}

/// Compatible and option, in the order of the walk.
#[derive(Default)]
struct Found {
    tables: BTreeSet<(String, String)>,
    early: BTreeSet<(String, String)>,
}

fn read(path: &Path) -> Result<String, PlanError> {
    let bytes = std::fs::read(path).map_err(PlanError::file(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Scans a folder whose own objects are built under `inherited`.
fn scan_folder(folder: &Path, inherited: &[String], found: &mut Found) -> Result<(), PlanError> {
    let makefile =
        ["Kbuild", "Makefile"].iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let objects = makefile.map(|path| read(&path)).transpose()?.map(|text| Objects::parse(&text));
    let objects = objects.unwrap_or_default();
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .map_err(PlanError::file(folder))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let mut options = objects.options(&format!("{name}/"));
            if options.is_empty() {
                options = inherited.to_vec();
            }
            scan_folder(&path, &options, found)?;
        } else if let Some(stem) = name.strip_suffix(".c") {
            let mut options = objects.options(&format!("{stem}.o"));
            if options.is_empty() {
                options = inherited.to_vec();
            }
            if let Some(option) = options.first() {
                let text = read(&path)?;
                let entry = |compatible: &str| (compatible.to_owned(), option.clone());
                found.tables.extend(tables(&text).iter().map(|compatible| entry(compatible)));
                found
                    .early
                    .extend(primecell(stem, &text).iter().map(|compatible| entry(compatible)));
                found.early.extend(early(&text).iter().map(|compatible| entry(compatible)));
            }
        }
    }
    Ok(())
}

/// What a Makefile builds: each target (`a.o`, `b/`) with the lists that name it.
#[derive(Default)]
struct Objects {
    lists: BTreeMap<String, BTreeSet<String>>,
}

impl Objects {
    fn parse(makefile: &str) -> Self {
        let mut objects = Self::default();
        let joined = makefile.replace("\\\n", " ");
        for line in joined.lines() {
            let Some((list, targets)) = line.split_once('=') else { continue };
            let list = list.trim_end_matches([':', '+', '?', ' ', '\t']).trim();
            if !list.contains('-') || list.contains(' ') {
                continue;
            }
            let targets = targets.split('#').next().unwrap_or_default();
            for target in targets.split_whitespace() {
                objects.lists.entry(target.into()).or_default().insert(list.into());
            }
        }
        objects
    }

    /// Options that bring `target`, the most specific first; empty where it is always built, or
    /// not by this Makefile.
    fn options(&self, target: &str) -> Vec<String> {
        let mut options = Vec::new();
        let mut queue = vec![target.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(target) = queue.pop() {
            for list in self.lists.get(&target).into_iter().flatten() {
                let Some((module, how)) = list.rsplit_once('-') else { continue };
                let option = how.strip_prefix("$(CONFIG_").and_then(|rest| rest.strip_suffix(')'));
                if let Some(option) = option {
                    options.push(option.to_owned());
                } else if module != "obj" && seen.insert(module.to_owned()) {
                    queue.push(format!("{module}.o"));
                }
            }
        }
        options
    }
}

/// The text between the first two quotation marks of `rest`.
fn quoted(rest: &str) -> Option<&str> {
    let (_, rest) = rest.split_once('"')?;
    rest.split_once('"').map(|(text, _)| text)
}

/// Compatibles in match tables and in declarations of drivers that start early.
fn tables(source: &str) -> Vec<String> {
    let mut all = Vec::new();
    for rest in source.split(".compatible").skip(1) {
        let value = rest.trim_start().strip_prefix('=').map(str::trim_start);
        all.extend(
            value.filter(|value| value.starts_with('"')).and_then(quoted).map(str::to_owned),
        );
    }
    for macro_name in [
        "IRQCHIP_DECLARE(",
        "IRQCHIP_MATCH(",
        "CLK_OF_DECLARE(",
        "CLK_OF_DECLARE_DRIVER(",
        "TIMER_OF_DECLARE(",
    ] {
        all.extend(source.split(macro_name).skip(1).filter_map(quoted).map(str::to_owned));
    }
    all
}

fn early(source: &str) -> Vec<String> {
    source.split("OF_EARLYCON_DECLARE(").skip(1).filter_map(quoted).map(str::to_owned).collect()
}

/// Arm's PrimeCells are matched by their identification registers, not by `compatible`; the number
/// is in the name of the source (`rtc-pl031.c` for "arm,pl031").
fn primecell(stem: &str, source: &str) -> Option<String> {
    let number = stem.split(['-', '_']).find_map(|part| part.strip_prefix("pl"))?;
    let known = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    (known && source.contains("struct amba_driver")).then(|| format!("arm,pl{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makefiles_lead_from_object_to_option() {
        let objects = Objects::parse(
            "obj-$(CONFIG_SERIAL_IMX) += imx.o\nobj-$(CONFIG_MXC_CLK) += mxc-clk.o clk-one.o \\\n clk-two.o\n\
             mxc-clk-objs += clk-pll.o\nmxc-clk-$(CONFIG_CLK_IMX8MQ) += clk-imx8mq.o\nobj-y += always.o sub/\n",
        );
        assert_eq!(objects.options("imx.o"), ["SERIAL_IMX"]);
        assert_eq!(objects.options("clk-two.o"), ["MXC_CLK"]);
        assert_eq!(objects.options("clk-pll.o"), ["MXC_CLK"]);
        assert_eq!(objects.options("clk-imx8mq.o"), ["CLK_IMX8MQ"]);
        assert!(objects.options("always.o").is_empty());
    }

    #[test]
    fn sources_name_their_compatibles() {
        let source = "{ .compatible = \"a,b\", }, { .compatible=\"c\" }\nIRQCHIP_DECLARE(x, \"d,e\", f);\n\
                      node->compatible = 1; x.compatible = NAME;\nOF_EARLYCON_DECLARE(l, \"g\", h);";
        assert_eq!(tables(source), ["a,b", "c", "d,e"]);
        assert_eq!(early(source), ["g"]);
        let amba = "static struct amba_driver pl031_driver = {";
        assert_eq!(primecell("rtc-pl031", amba).as_deref(), Some("arm,pl031"));
        assert_eq!(primecell("rtc-pl031", ""), None);
        assert_eq!(primecell("platform", amba), None);
    }

    #[test]
    fn a_table_reads_as_it_is_written() {
        let drivers = Drivers::parse("# kernel 6.12.1\na,b\tX Y\n# comment\tno\n");
        assert_eq!(drivers.kernel, "6.12.1");
        assert_eq!(Drivers::parse(&drivers.to_string()), drivers);
    }

    #[test]
    fn the_built_in_table_knows_the_consoles() {
        let drivers = Drivers::built_in();
        let option = |compatible: &str| {
            drivers.options.get(compatible).and_then(|list| list.first().cloned())
        };
        assert_eq!(option("arm,pl011").as_deref(), Some("SERIAL_AMBA_PL011"));
        assert_eq!(option("fsl,imx8mq-ccm").as_deref(), Some("CLK_IMX8MQ"));
    }
}
