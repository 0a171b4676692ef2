//! The style sheet of every chart, and its hatching.

/// Colours after Okabe and Ito; a heat map runs from blue over the page's own colour to orange. Type is 17 units high on a
/// narrow chart and 13 on a wide one, which has room for the labels of class `wide`.
pub(crate) const STYLE: &str = "\
text{font:17px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif;fill:#1c2128}\
.head{font-size:20px;font-weight:700}.strong{font-weight:700}.soft{fill:#4d5661}\
.middle{text-anchor:middle}.end{text-anchor:end}.wide{display:none}\
.page{fill:#fff}.grid{stroke:#d5dae0;stroke-width:1}.zero{stroke:#4d5661;stroke-width:1.5}\
.whisker{stroke:#1c2128;stroke-width:1.5;fill:none}.hatch{fill:url(#hatch)}.ink{stroke:#6b7480;stroke-width:1.5}\
.edge{fill:none;stroke:#1c2128;stroke-width:2.5}.frame{fill:none;stroke:#8b949e;stroke-width:1}\
.bar.stable{fill:#0072b2}.bar.unstable{fill:#e69f00}.bar.chance{fill:#b4bbc4}\
.bar.insufficient{fill:none;stroke:#6b7480;stroke-width:1.5;stroke-dasharray:3 3}\
.mark{stroke-width:2;stroke-linejoin:round}.mark.stable{fill:#0072b2;stroke:#0072b2}\
.mark.unstable{fill:#fff;stroke:#b35900}.mark.chance{fill:#6b7480;stroke:none}.mark.insufficient{fill:none;stroke:#4d5661}\
.on{fill:#1c2128;stroke:#1c2128;stroke-width:1.5;stroke-linejoin:round}.on.open{fill:none}\
.same{fill:#0072b2;stroke:#0072b2;stroke-width:2}.other{fill:#fff;stroke:#b35900;stroke-width:2}\
.run{fill:none;stroke:#8b949e;stroke-width:1}.band{fill:#eef1f4}\
.rule{fill:none;stroke:#0072b2;stroke-width:2.2;stroke-linejoin:round}.fall{fill:#0072b2;fill-opacity:.28}\
.hold{fill:none;stroke:#b35900;stroke-width:1.8;stroke-dasharray:6 3;stroke-linejoin:round}\
.border{stroke:#1c2128;stroke-width:1.5;stroke-dasharray:2 4}\
.h0{fill:#08519c}.h1{fill:#2f79bb}.h2{fill:#5b9fd3}.h3{fill:#93c3e6}.h4{fill:#c9e0f2}.h5{fill:#f4f4f2}\
.h6{fill:#fbe0c0}.h7{fill:#f7bf80}.h8{fill:#ee9a42}.h9{fill:#d77413}.h10{fill:#a84f00}\
@media (min-width:700px){text{font-size:13px}.head{font-size:18px}.wide{display:inline}.narrow{display:none}}\
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#aab4bf}.page{fill:#11161d}.grid{stroke:#2d353f}\
.zero{stroke:#aab4bf}.whisker{stroke:#e6edf3}.ink{stroke:#8b949e}.edge{stroke:#fff}.frame{stroke:#6b7480}\
.bar.stable{fill:#56b4e9}.bar.unstable{fill:#e69f00}.bar.chance{fill:#535d69}.bar.insufficient{stroke:#aab4bf}\
.mark.stable{fill:#56b4e9;stroke:#56b4e9}.mark.unstable{fill:#11161d;stroke:#f0a830}.mark.chance{fill:#aab4bf}\
.mark.insufficient{stroke:#c4ccd5}.on{fill:#fff;stroke:#fff}.same{fill:#56b4e9;stroke:#56b4e9}\
.other{fill:#11161d;stroke:#f0a830}.run{stroke:#6b7480}.band{fill:#1d242d}.rule{stroke:#56b4e9}.fall{fill:#56b4e9}\
.hold{stroke:#f0a830}.border{stroke:#e6edf3}\
.h0{fill:#9ed0f5}.h1{fill:#6fb0e2}.h2{fill:#468fc9}.h3{fill:#2c6a9e}.h4{fill:#214562}.h5{fill:#2a2e33}\
.h6{fill:#553a1b}.h7{fill:#85541b}.h8{fill:#b8731c}.h9{fill:#e39a3c}.h10{fill:#ffc782}}";

/// Colours of a heat map: classes `h0` to `h10`, `h5` about 0.
pub(crate) const SHADES: usize = 11;

/// Hatching of what has no figure.
pub(crate) const HATCH: &str = "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
patternTransform=\"rotate(45)\"><path class=\"ink\" d=\"M0 0V6\"/></pattern></defs>";
