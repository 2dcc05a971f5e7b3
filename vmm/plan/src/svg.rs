// SPDX-License-Identifier: BSD-2-Clause
//! The few shapes that maps and plots are drawn with. The same input gives the same bytes.

use std::fmt::Write;

/// A picture under construction. Works on light and on dark pages.
#[derive(Clone, Debug)]
pub struct Svg(String);

const STYLE: &str = "text{font-family:ui-monospace,monospace;font-size:12px;fill:#24292f}\
.title{font-size:16px;font-weight:bold}.head{font-weight:bold}.address,.small{fill:#57606a}\
.guest{fill:#ddf4ff;stroke:#54aeff}.monitor{fill:#fff8c5;stroke:#d4a72c}.shared{fill:#dafbe1;stroke:#4ac26b}\
.emulated{fill:#fbefff;stroke:#c297ff}.link{stroke:#8c959f}";

impl Svg {
    /// A blank picture of this size, in pixels as all that follows.
    #[must_use]
    pub fn new(width: i64, height: i64) -> Self {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<style>{STYLE}</style>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
        );
        Self(out)
    }

    /// A rectangle with round corners; its class (in the style above) gives its colours.
    pub fn bar(&mut self, x: i64, y: i64, width: i64, height: i64, class: &str) {
        let _ = writeln!(
            self.0,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\" class=\"{class}\"/>"
        );
    }

    /// A line.
    pub fn line(&mut self, x1: i64, y1: i64, x2: i64, y2: i64) {
        let _ = writeln!(
            self.0,
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"link\"/>"
        );
    }

    /// Text that begins at `x`.
    pub fn text(&mut self, x: i64, y: i64, class: &str, text: &str) {
        let _ =
            writeln!(self.0, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>", escape(text));
    }

    /// Text that ends at `x`.
    pub fn text_end(&mut self, x: i64, y: i64, class: &str, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.0,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\" class=\"{class}\">{text}</text>"
        );
    }

    /// The file's text.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
