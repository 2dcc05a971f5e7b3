// SPDX-License-Identifier: BSD-2-Clause
//! The writer's side.

use core::fmt::{self, Display, Write};

use crate::{Counter, EVENT, EventKind, Field, VERSION};

/// The line of an event under construction. [`BEGIN`](crate::BEGIN) comes before it, unless words
/// for a person did.
pub struct Line<'o>(&'o mut dyn Write);

impl<'o> Line<'o> {
    /// Begins the line.
    ///
    /// # Errors
    /// Those of `out`, as of all that follows.
    pub fn new(out: &'o mut dyn Write, event: EventKind) -> Result<Self, fmt::Error> {
        write!(out, "{EVENT}{{\"{}\":{VERSION}", Field::Version)?;
        Self(out).text(Field::Event, event)
    }

    /// Says a number, in decimal.
    ///
    /// # Errors
    /// Those of the output.
    pub fn number(self, field: Field, value: impl Into<u64>) -> Result<Self, fmt::Error> {
        self.json(field, value.into())
    }

    /// Says whether something is so.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flag(self, field: Field, value: bool) -> Result<Self, fmt::Error> {
        self.json(field, value)
    }

    /// Says an address or a register: a text, in hexadecimal.
    ///
    /// # Errors
    /// Those of the output.
    pub fn hex(self, field: Field, value: u64) -> Result<Self, fmt::Error> {
        self.text(field, format_args!("{value:#x}"))
    }

    /// Says a text.
    ///
    /// # Errors
    /// Those of the output.
    pub fn text(self, field: Field, value: impl Display) -> Result<Self, fmt::Error> {
        write!(self.0, ",\"{field}\":\"")?;
        write!(Quoted(self.0), "{value}")?;
        self.0.write_char('"')?;
        Ok(self)
    }

    /// Says numbers by their names.
    ///
    /// # Errors
    /// Those of the output.
    pub fn counters(
        self,
        counts: impl Iterator<Item = (Counter, u64)>,
    ) -> Result<Self, fmt::Error> {
        write!(self.0, ",\"{}\":{{", Field::Counters)?;
        for (index, (counter, count)) in counts.enumerate() {
            write!(self.0, "{}\"{counter}\":{count}", if index == 0 { "" } else { "," })?;
        }
        self.0.write_char('}')?;
        Ok(self)
    }

    /// Says a list of numbers, without the zeros at its end.
    ///
    /// # Errors
    /// Those of the output.
    pub fn list(self, field: Field, numbers: &[u64]) -> Result<Self, fmt::Error> {
        write!(self.0, ",\"{field}\":[")?;
        let used =
            numbers.iter().rposition(|number| *number > 0).map_or(0, |at| at.saturating_add(1));
        for (index, number) in numbers.iter().take(used).enumerate() {
            write!(self.0, "{}{number}", if index == 0 { "" } else { "," })?;
        }
        self.0.write_char(']')?;
        Ok(self)
    }

    /// Ends the line.
    ///
    /// # Errors
    /// Those of the output.
    pub fn end(self) -> fmt::Result {
        self.0.write_str("}\r\n")
    }

    fn json(self, field: Field, value: impl Display) -> Result<Self, fmt::Error> {
        write!(self.0, ",\"{field}\":{value}")?;
        Ok(self)
    }
}

/// The inside of a JSON string: what would need an escape becomes an apostrophe.
struct Quoted<'o>(&'o mut dyn Write);

impl Write for Quoted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| {
            let plain = matches!(character, ' '..='~') && !matches!(character, '"' | '\\');
            self.0.write_char(if plain { character } else { '\'' })
        })
    }
}
