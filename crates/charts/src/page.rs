//! The page that every chart is drawn on.

use crate::style::{HATCH, STYLE};
use crate::text::{escape, wrap};
use crate::{Chart, MAX_BYTES};
use std::fmt::{self, Write};

/// Width of a page. All lengths are in units of it.
pub(crate) const WIDTH: f64 = 600.0;

/// Room at both sides of text.
pub(crate) const MARGIN: f64 = 10.0;

/// Height of type on a narrow chart.
pub(crate) const TEXT: f64 = 17.0;

/// Height of a heading's type on a narrow chart.
const HEADING: f64 = 20.0;

/// From one line of text to the next.
pub(crate) const LINE: f64 = 23.0;

/// A chart that is being drawn, from top to bottom.
#[derive(Debug)]
pub(crate) struct Page {
    title: String,
    description: Vec<String>,
    body: String,
    /// Lower end of what was drawn so far.
    pub(crate) y: f64,
}

/// A length, as attributes have it: one decimal, and never anything but a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At(pub(crate) f64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round().clamp(-1e6, 1e6) } else { 0.0 };
        if tenths % 10.0 == 0.0 { write!(f, "{}", tenths as i64 / 10) } else { write!(f, "{:.1}", tenths / 10.0) }
    }
}

impl Page {
    /// A page with its heading.
    pub(crate) fn new(title: &str) -> Self {
        let mut page = Self { title: title.to_owned(), description: Vec::new(), body: String::new(), y: 6.0 };
        for line in wrap(title, HEADING * 1.1, WIDTH - 2.0 * MARGIN) {
            page.y += LINE;
            let y = page.y;
            page.text("head", MARGIN, y, &line);
        }
        page.y += 6.0;
        page
    }

    /// Adds markup. Text from outside the crate comes escaped.
    pub(crate) fn push(&mut self, markup: fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = self.body.write_fmt(markup);
    }

    /// A text with its foot at `y`.
    pub(crate) fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        self.push(format_args!("<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", At(x), At(y), escape(text)));
    }

    /// A straight line.
    pub(crate) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(format_args!("<path class=\"{class}\" d=\"M{} {}L{} {}\"/>", At(x1), At(y1), At(x2), At(y2)));
    }

    /// A box; one of negative size is drawn with size 0.
    pub(crate) fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let (width, height) = (At(width.max(0.0)), At(height.max(0.0)));
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\"/>",
            At(x),
            At(y)
        ));
    }

    /// Opens a group that says `tooltip` where the pointer rests on it.
    pub(crate) fn open(&mut self, tooltip: &str) {
        self.push(format_args!("<g><title>{}</title>", escape(tooltip)));
    }

    /// Closes the group.
    pub(crate) fn close(&mut self) {
        self.body.push_str("</g>");
    }

    /// Adds `text` in as many lines as it takes. It is part of the chart's description too.
    pub(crate) fn paragraph(&mut self, class: &str, text: &str) {
        let bold = if class == "strong" { 1.1 } else { 1.0 };
        for line in wrap(text, TEXT * bold, WIDTH - 2.0 * MARGIN) {
            self.y += LINE;
            let y = self.y;
            self.text(class, MARGIN, y, &line);
        }
        self.description.push(text.to_owned());
    }

    /// The chart.
    pub(crate) fn finish(self, name: String) -> Chart {
        let height = At(self.y + 14.0);
        let width = At(WIDTH);
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\
             <title>{}</title><desc>{}</desc><style>{STYLE}</style>{HATCH}\
             <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>{}</svg>\n",
            escape(&self.title),
            escape(&self.description.join(" ")),
            self.body
        );
        debug_assert!(svg.len() <= MAX_BYTES, "{name} takes {} bytes", svg.len());
        Chart { name, title: self.title, svg }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_numbers() {
        let shown = [f64::NAN, f64::INFINITY, -0.04, 12.0, 12.34, -3.5].map(|length| At(length).to_string());
        assert_eq!(shown, ["0", "0", "0", "12", "12.3", "-3.5"]);
    }
}
