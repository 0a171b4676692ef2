//! Charts of studies as SVG.
