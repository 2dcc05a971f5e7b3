// SPDX-License-Identifier: BSD-2-Clause
//! Reading a Microkit system file of somebody else's making (Microkit 2.3.0 manual, 'System
//! Description File'), as far as it says what a guest gets.

use roxmltree::{Document, Node};
use vmm_core::addr::{Ipa, Pa};

use crate::irq::{Line, Trigger};
use crate::memory::{Kind, Label, Owner, Prefill, Region};
use crate::span::{Address, Size, Span};

/// What a system file gives to its virtual machine, and what others have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// Regions with their owners; one that several own is there once for each.
    pub regions: Vec<Region>,
    /// Interrupts of the domain that has the virtual machine.
    pub lines: Vec<Line>,
    /// Interrupts of other domains.
    pub foreign_lines: Vec<u32>,
    /// Virtual CPUs.
    pub vcpus: u32,
}

/// Symbol that only this repository's monitor has: it touches the UART once the guest is stopped.
const STOPPED_ONLY: &str = "uart_vaddr";

/// Reads a system file. `memory` is the board's normal memory: regions at addresses in it, and
/// those without one, are normal memory.
///
/// # Errors
/// It is no XML, an attribute is no number, or there is no virtual machine.
pub fn read(text: &str, memory: Span<Pa>) -> Result<System, String> {
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let domains: Vec<_> =
        document.descendants().filter(|node| node.has_tag_name("protection_domain")).collect();
    let machine = document
        .descendants()
        .find(|node| node.has_tag_name("virtual_machine"))
        .ok_or("the system file has no virtual_machine")?;
    let vcpus = children(machine, "vcpu").fold(0, |count: u32, _| count.saturating_add(1)).max(1);
    let mut system = System { vcpus, ..System::default() };
    for node in document.root_element().children().filter(|node| node.has_tag_name("memory_region"))
    {
        let region = region(node, memory)?;
        owners(&region, machine, &domains, &mut system.regions)?;
    }
    for domain in domains {
        let owner = machine.parent() == Some(domain);
        for irq in children(domain, "irq") {
            let intid = short(irq, "irq")?;
            if !owner {
                system.foreign_lines.push(intid);
                continue;
            }
            let edge = irq.attribute("trigger") == Some("edge");
            let trigger = if edge { Trigger::Edge } else { Trigger::Level };
            let channel = short(irq, "id")?;
            system.lines.push(Line { intid, trigger, channel });
        }
    }
    Ok(system)
}

fn children<'d>(node: Node<'d, 'd>, tag: &'static str) -> impl Iterator<Item = Node<'d, 'd>> {
    node.children().filter(move |child| child.has_tag_name(tag))
}

/// A number in an attribute: decimal, or hexadecimal behind `0x`, with underscores.
fn number(node: Node<'_, '_>, attribute: &str) -> Result<Option<u64>, String> {
    let Some(text) = node.attribute(attribute) else { return Ok(None) };
    let digits = text.replace('_', "");
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let tag = node.tag_name().name();
    value.map(Some).map_err(|_| format!("<{tag} {attribute}=\"{text}\">: no number"))
}

/// A number of 32 bits in an attribute; 0 where there is none.
fn short(node: Node<'_, '_>, attribute: &str) -> Result<u32, String> {
    let value = number(node, attribute)?.unwrap_or(0);
    let tag = node.tag_name().name();
    value.try_into().map_err(|_| format!("<{tag} {attribute}=\"{value}\">: more than 32 bits"))
}

fn region(node: Node<'_, '_>, memory: Span<Pa>) -> Result<Region, String> {
    let name = node.attribute("name").ok_or("a memory_region has no name")?;
    let size = number(node, "size")?.unwrap_or(0);
    let physical = match number(node, "phys_addr")? {
        Some(pa) => Some(span(name, Pa(pa), size)?),
        None => None,
    };
    let normal = physical.is_none_or(|span| span.overlaps(memory));
    Ok(Region {
        name: Label::from_symbol(name),
        ipa: None,
        pa: physical.map(Span::base),
        size,
        owner: Owner::Monitor,
        kind: if normal { Kind::Normal } else { Kind::Device },
        vaddr: None,
        prefill: node.attribute("prefill_path").map(|file| Prefill { file: file.into(), size }),
    })
}

/// The addresses of a region.
fn span<A: Address>(name: &str, base: A, size: u64) -> Result<Span<A>, String> {
    Span::new(base, size)
        .ok_or_else(|| format!("memory_region {name}: {} do not fit there", Size(size)))
}

/// Puts `region` into `out` once for each owner.
fn owners(
    region: &Region,
    machine: Node<'_, '_>,
    domains: &[Node<'_, '_>],
    out: &mut Vec<Region>,
) -> Result<(), String> {
    let maps = |node: Node<'_, '_>| -> Result<Vec<(Option<u64>, bool)>, String> {
        node.children()
            .filter(|map| {
                map.has_tag_name("map") && map.attribute("mr") == Some(region.name.symbol())
            })
            .map(|map| {
                Ok((number(map, "vaddr")?, map.attribute("setvar_vaddr") == Some(STOPPED_ONLY)))
            })
            .collect()
    };
    let guest = maps(machine)?;
    let mut monitor = Vec::new();
    for domain in domains {
        monitor.extend(maps(*domain)?);
    }
    // Whose symbol it is tells how it is used: the tool knows no such owner.
    let stopped_only = !monitor.is_empty() && monitor.iter().all(|(_, stopped_only)| *stopped_only);
    for (ipa, _) in &guest {
        let owner = if stopped_only { Owner::MonitorOnceStopped } else { Owner::Guest };
        let ipa = ipa.map(|ipa| span(region.name.symbol(), Ipa(ipa), region.size)).transpose()?;
        out.push(Region { ipa: ipa.map(Span::base), owner, ..region.clone() });
    }
    // Guest RAM is the monitor's as well: it places the images there.
    let shared = region.kind == Kind::Normal || stopped_only;
    if guest.is_empty() || (!monitor.is_empty() && !shared) {
        let vaddr = monitor.first().and_then(|(vaddr, _)| *vaddr);
        out.push(Region { vaddr, ..region.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Span<Pa> {
        Span::new(Pa(0x4000_0000), 0x8000_0000).unwrap()
    }

    fn system(maps: &str) -> System {
        let text = format!(
            "<system><memory_region name='ram' size='0x10_000_000'/>
             <memory_region name='uart' size='0x1000' phys_addr='0x9000000'/>
             <protection_domain name='vmm'><program_image path='vmm.elf'/>
             <map mr='ram' vaddr='0x40000000' setvar_vaddr='ram_vaddr'/>{maps}
             <irq irq='33' id='1' trigger='edge'/>
             <virtual_machine name='g'><vcpu id='0'/><map mr='ram' vaddr='0x40000000'/>
             <map mr='uart' vaddr='0x9000000'/></virtual_machine></protection_domain>
             <protection_domain name='other'><irq irq='34' id='0'/></protection_domain></system>"
        );
        read(&text, memory()).unwrap()
    }

    #[test]
    fn regions_lines_and_vcpus_are_read() {
        let system = system("");
        assert_eq!(system.regions.len(), 2);
        assert_eq!(system.regions[0].size, 0x1000_0000);
        assert_eq!(system.regions[0].kind, Kind::Normal);
        assert_eq!(
            (system.regions[1].ipa, system.regions[1].kind),
            (Some(Ipa(0x900_0000)), Kind::Device)
        );
        assert_eq!(system.lines, [Line { intid: 33, trigger: Trigger::Edge, channel: 1 }]);
        assert_eq!((system.foreign_lines, system.vcpus), (vec![34], 1));
    }

    #[test]
    fn a_device_of_two_is_there_twice() {
        assert_eq!(system("<map mr='uart' vaddr='0x1000'/>").regions.len(), 3);
        let ours = system("<map mr='uart' vaddr='0x1000' setvar_vaddr='uart_vaddr'/>");
        assert_eq!(ours.regions[1].owner, Owner::MonitorOnceStopped);
        assert_eq!(ours.regions.len(), 2);
    }

    #[test]
    fn bad_files_are_refused_by_name() {
        for (text, say) in [
            ("<system>", "closed"),
            ("<system/>", "no virtual_machine"),
            (
                "<system><protection_domain><irq irq='0x100000000' id='1'/><virtual_machine/>\
                 </protection_domain></system>",
                "more than 32 bits",
            ),
            (
                "<system><memory_region name='a' size='0x1000'/><protection_domain><virtual_machine>\
                 <map mr='a' vaddr='0xfffffffffffff001'/></virtual_machine></protection_domain></system>",
                "do not fit there",
            ),
            (
                "<system><memory_region name='a' size='big'/><virtual_machine/></system>",
                "size=\"big\"",
            ),
        ] {
            let error = read(text, memory()).unwrap_err();
            assert!(error.contains(say), "{error}");
        }
    }
}
