//! The signs of the verdicts: each has a shape of its own besides its colour.

use crate::page::{At, LINE, MARGIN, Page, TEXT};
use crate::text::width;
use crate::words;
use candlemill_shared::study::Verdict;

/// Every verdict, in the order of legends.
const ALL: [Verdict; 4] = [Verdict::Stable, Verdict::Unstable, Verdict::Chance, Verdict::Insufficient];

/// Draws the sign of `verdict` about a point: a filled diamond, a hollow triangle, a dot, a cross.
pub(crate) fn draw(page: &mut Page, verdict: Verdict, x: f64, y: f64, radius: f64) {
    let class = words::verdict(verdict);
    let [left, right, top, foot] = [x - radius, x + radius, y - radius, y + radius].map(At);
    let (x, y) = (At(x), At(y));
    match verdict {
        Verdict::Stable => {
            page.push(format_args!(
                "<path class=\"mark {class}\" d=\"M{left} {y}L{x} {top}L{right} {y}L{x} {foot}Z\"/>"
            ));
        }
        Verdict::Unstable => {
            page.push(format_args!("<path class=\"mark {class}\" d=\"M{left} {foot}L{x} {top}L{right} {foot}Z\"/>"));
        }
        Verdict::Chance => {
            let dot = At(radius * 0.4);
            page.push(format_args!("<circle class=\"mark {class}\" cx=\"{x}\" cy=\"{y}\" r=\"{dot}\"/>"));
        }
        Verdict::Insufficient => page.push(format_args!(
            "<path class=\"mark {class}\" d=\"M{left} {top}L{right} {foot}M{left} {foot}L{right} {top}\"/>"
        )),
    }
}

/// A line that says which sign is which verdict.
pub(crate) fn legend(page: &mut Page) {
    page.y += LINE + 4.0;
    let y = page.y;
    let mut x = MARGIN + 7.0;
    for verdict in ALL {
        draw(page, verdict, x, y - 6.0, 6.5);
        let word = words::verdict(verdict);
        page.text("", x + 13.0, y, word);
        x += width(word, TEXT) + 38.0;
    }
    page.text("", x - 6.0, y, "n/a");
    page.rect("hatch", (x + 28.0, y - 13.0), (22.0, 15.0));
    page.rect("frame", (x + 28.0, y - 13.0), (22.0, 15.0));
}
