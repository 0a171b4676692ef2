//! What manifests declare and what sources name.

use crate::source::begins_path;
use crate::tokens::{Token, tokens, without_tests};
use std::collections::{BTreeMap, BTreeSet};

/// The names in the tables of a `Cargo.toml` whose name is `table`.
pub(crate) fn dependencies(manifest: &str, table: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside = header == table;
            // `[dependencies.name]`
            names.extend(header.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned));
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            names.extend(line.split(['.', ' ', '=']).next().map(str::to_owned));
        }
    }
    names
}

/// One package: its manifest and its sources.
pub(crate) struct Package {
    pub(crate) manifest: String,
    /// Texts of the library and the programs, without the files of test modules.
    pub(crate) sources: Vec<String>,
    /// Texts of everything else that is compiled for tests.
    pub(crate) tests: Vec<String>,
}

impl Package {
    /// What is declared and not named: each with what is wrong.
    pub(crate) fn unused(&self) -> BTreeMap<String, &'static str> {
        let code = words(&self.sources, false);
        let (sources, tests) = (words(&self.sources, true), words(&self.tests, true));
        let in_tests = |word: &String| sources.contains(word) || tests.contains(word);
        let mut unused = BTreeMap::new();
        for name in dependencies(&self.manifest, "dependencies") {
            let word = name.replace('-', "_");
            if !code.contains(&word) {
                let wrong = if in_tests(&word) { "only tests name it: a dev-dependency" } else { "nothing names it" };
                unused.insert(name, wrong);
            }
        }
        for name in dependencies(&self.manifest, "dev-dependencies") {
            if !in_tests(&name.replace('-', "_")) {
                unused.insert(name, "no test names it");
            }
        }
        unused
    }
}

/// The words that may be names of crates: those with which a path begins.
fn words(texts: &[String], with_tests: bool) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for text in texts {
        let all = tokens(text);
        let tokens = if with_tests { all } else { without_tests(&all) };
        let heads = (0..tokens.len()).filter(|at| is_head(&tokens, *at));
        words.extend(heads.map(|at| tokens[at].text.to_owned()));
    }
    words
}

fn is_head(tokens: &[Token<'_>], at: usize) -> bool {
    let imported = at > 0 && tokens[at - 1].text == "use";
    let goes_on = tokens.get(at + 1).is_some_and(|next| next.text == "::");
    begins_path(tokens, at) && (imported || goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_dependency_is_seen() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\n# none\na.workspace = true\nb = \"1\"\nc = { path = \"c\" }\n[dependencies.d]\nversion = \"1\"\n[dev-dependencies]\ne = \"1\"";
        assert_eq!(dependencies(manifest, "dependencies"), ["a", "b", "c", "d"].map(str::to_owned).into());
        assert_eq!(dependencies(manifest, "dev-dependencies"), ["e".to_owned()].into());
    }

    fn check(source: &str, tests: &str, expected: &[(&str, &str)]) {
        let manifest = "[dependencies]\nthe-crate = \"1\"\n[dev-dependencies]\ndev = \"1\"".to_owned();
        let package = Package { manifest, sources: vec![source.to_owned()], tests: vec![tests.to_owned()] };
        let unused: Vec<(String, &str)> = package.unused().into_iter().collect();
        let unused: Vec<(&str, &str)> = unused.iter().map(|(name, wrong)| (name.as_str(), *wrong)).collect();
        assert_eq!(unused, expected, "{source} {tests}");
    }

    #[test]
    fn a_dependency_is_used_when_a_path_begins_with_it() {
        let dev = "use dev::X;";
        for source in ["use the_crate::X;", "use the_crate as x;", "#[the_crate::main] fn f()", "the_crate::call!()"] {
            check(source, dev, &[]);
        }
        for source in ["// the_crate::X", "\"the_crate::X\"", "a.the_crate", "a::the_crate::b", "let the_crate = 1;"] {
            check(source, dev, &[("the-crate", "nothing names it")]);
        }
        let only_tests = [("the-crate", "only tests name it: a dev-dependency")];
        check("#[cfg(test)] mod tests { use the_crate::X; use dev::Y; }", "", &only_tests);
        check("the_crate::x()", "", &[("dev", "no test names it")]);
    }
}
