//! Files of one crate that import each other in a circle.
//!
//! 1. A file imports another when it names an item of it by a path: in a `use`, or in the code.
//! 2. A path leads to the file that defines the item, also through re-exports.
//! 3. `mod child;` imports nothing, nor does a parent that only re-exports what is below it: the parent is the door.
//! 4. What tests name does not count.
//!
//! Methods and fields are not seen, for their paths are not written, nor what stands in strings, as in
//! `#[serde(default = "…")]`. Re-exports by `*` are not followed.

use crate::source::{Path, Source, child};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Re-exports that one path may lead through.
const MAX_STEPS: u32 = 16;

/// The files of one crate (one library or one program), from its root on.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    files: Vec<(String, Source)>,
    /// The file of each module.
    modules: BTreeMap<Path, usize>,
    /// What a name that a module imports stands for, and whether it is a re-export.
    imports: BTreeMap<(Path, String), (Path, bool)>,
}

/// Where a path leads.
enum Target {
    Module(Path),
    /// An item of this module.
    Item(Path),
}

/// Files that import each other in a circle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    pub(crate) files: Vec<String>,
    pub(crate) edges: Vec<Edge>,
}

/// One file names an item of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    from: String,
    to: String,
    line: usize,
    path: String,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files import each other in a circle: {}", self.files.len(), self.files.join(", "))?;
        self.edges
            .iter()
            .try_for_each(|edge| write!(f, "\n  {}:{} names {} of {}", edge.from, edge.line, edge.path, edge.to))
    }
}

impl Crate {
    /// Reads the crate that begins at the file `root` of `texts`, and follows its `mod` declarations.
    ///
    /// `jobs` are the files that the list of kinds of jobs declares wherever a module follows it.
    pub(crate) fn load(root: &str, texts: &BTreeMap<String, String>, jobs: &[String]) -> Self {
        let mut found = Self::default();
        found.load_file(Vec::new(), root, texts, jobs);
        for (_, source) in &found.files {
            for import in &source.imports {
                let key = (import.module.clone(), import.name.clone());
                found.imports.entry(key).or_insert_with(|| (import.path.clone(), import.public));
            }
        }
        found
    }

    fn load_file(&mut self, module: Path, file: &str, texts: &BTreeMap<String, String>, jobs: &[String]) {
        let source = Source::read(module.clone(), &texts[file]);
        let index = self.files.len();
        let of_jobs = source.of_jobs.iter().flat_map(|module| jobs.iter().map(|job| child(module, job)));
        let children: Vec<Path> = source.children.iter().cloned().chain(of_jobs).collect();
        for inline in source.inline.iter().chain([&module]) {
            self.modules.insert(inline.clone(), index);
        }
        self.files.push((file.to_owned(), source));
        // The root and a `mod.rs` have their children beside them, other files in a folder of their name.
        let beside = module.is_empty() || file.ends_with("/mod.rs");
        let folder =
            if beside { file.rsplit_once('/').map_or("", |(folder, _)| folder) } else { &file[..file.len() - 3] };
        for child in children {
            let place = format!("{folder}/{}", child[module.len()..].join("/"));
            let files = ["", "/mod"].map(|end| format!("{}{end}.rs", place.trim_start_matches('/')));
            if let Some(file) = files.iter().find(|file| texts.contains_key(*file)) {
                self.load_file(child, file, texts, jobs);
            }
        }
    }

    /// The names of its files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(file, _)| file.as_str())
    }

    /// Where `path`, which stands in the module `from`, leads; `None`: out of the crate.
    fn resolve(&self, from: &Path, path: &[String], steps: u32) -> Option<Target> {
        let steps = steps.checked_sub(1)?;
        let (mut module, mut inside, mut rest) = (from.clone(), false, path);
        while let Some((head, tail)) = rest.split_first() {
            rest = tail;
            match head.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()?),
                name => {
                    let below = child(&module, name);
                    let import = self.imports.get(&(module.clone(), name.to_owned()));
                    // At the end of a path an item and a module may have one name: the item is meant.
                    let ends = tail.is_empty() && import.is_some();
                    if self.modules.contains_key(&below) && !ends {
                        module = below;
                    } else if let Some((path, _)) = import {
                        match self.resolve(&module, path, steps)? {
                            Target::Module(other) => module = other,
                            item @ Target::Item(_) => return Some(item),
                        }
                    } else {
                        return inside.then_some(Target::Item(module));
                    }
                }
            }
            inside = true;
        }
        Some(Target::Module(module))
    }

    /// Whether `name` is an item that `module` imports for itself: its `use` counts, not each use of the name.
    fn is_imported_item(&self, module: &Path, name: &str) -> bool {
        let import = self.imports.get(&(module.clone(), name.to_owned()));
        import.is_some_and(|(path, public)| {
            !public && matches!(self.resolve(module, path, MAX_STEPS), Some(Target::Item(_)))
        })
    }

    /// Which file names what of which other: of each path the first place.
    fn edges(&self) -> BTreeMap<(usize, usize), BTreeMap<String, usize>> {
        let mut edges: BTreeMap<(usize, usize), BTreeMap<String, usize>> = BTreeMap::new();
        let mut add = |from: usize, to: &Path, path: String, line: usize| {
            let to = self.modules[to];
            if from != to {
                edges.entry((from, to)).or_default().entry(path).or_insert(line);
            }
        };
        for (from, (_, source)) in self.files.iter().enumerate() {
            for import in &source.imports {
                let all = import.name == "*";
                let to = match self.resolve(&import.module, &import.path, MAX_STEPS) {
                    Some(Target::Item(module)) => module,
                    Some(Target::Module(module)) if all => module,
                    // The paths that go through the imported module count.
                    _ => continue,
                };
                if !(import.public && to.starts_with(&import.module)) {
                    add(from, &to, import.path.join("::") + if all { "::*" } else { "" }, import.line);
                }
            }
            for mention in &source.mentions {
                let target = self.resolve(&mention.module, &mention.path, MAX_STEPS);
                let Some(Target::Item(to)) = target else { continue };
                if !self.is_imported_item(&mention.module, &mention.path[0]) {
                    add(from, &to, mention.path.join("::"), mention.line);
                }
            }
        }
        edges
    }

    /// Every circle with all its edges.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let edges = self.edges();
        let reached: Vec<BTreeSet<usize>> = (0..self.files.len()).map(|file| reached(file, &edges)).collect();
        let mut circles: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
        for file in 0..self.files.len() {
            let circle: BTreeSet<usize> =
                reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        let name = |file: usize| self.files[file].0.clone();
        let circle = |files: &BTreeSet<usize>| {
            let inside = edges.iter().filter(|((from, to), _)| files.contains(from) && files.contains(to));
            let edges = inside.flat_map(|((from, to), paths)| {
                paths.iter().map(|(path, line)| Edge {
                    from: name(*from),
                    to: name(*to),
                    line: *line,
                    path: path.clone(),
                })
            });
            let mut edges: Vec<Edge> = edges.collect();
            edges.sort();
            Circle { files: files.iter().copied().map(name).collect(), edges }
        };
        circles.iter().map(circle).collect()
    }
}

/// The files that `from` comes to along `edges`.
fn reached(from: usize, edges: &BTreeMap<(usize, usize), BTreeMap<String, usize>>) -> BTreeSet<usize> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        let next = edges.range((file, 0)..=(file, usize::MAX)).map(|((_, to), _)| *to);
        open.extend(next.filter(|to| found.insert(*to)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edges of all circles of a crate, as "file:line path file".
    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let texts = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        let circles = Crate::load("lib.rs", &texts, &["job".to_owned()]).circles();
        let edges = circles.into_iter().flat_map(|circle| circle.edges);
        edges.map(|edge| format!("{}:{} {} {}", edge.from, edge.line, edge.path, edge.to)).collect()
    }

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        assert_eq!(circles(files), expected, "{files:?}");
    }

    #[test]
    fn two_files_that_name_each_other_are_a_circle() {
        let root = ("lib.rs", "mod a; mod b; mod c;");
        let (b, c) = ("use crate::{c::C, other};\nfn b() { super::a::f() }", "pub struct C;");
        let circle = ["a.rs:1 crate::b::B b.rs", "b.rs:2 super::a::f a.rs"];
        check(&[root, ("a.rs", "use crate::b::B;"), ("b.rs", b), ("c.rs", c)], &circle);
        check(&[root, ("a.rs", "use crate::c::C;"), ("b.rs", b), ("c.rs", c)], &[]);
    }

    #[test]
    fn a_longer_circle_is_found_with_its_edges_alone() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b; use std::fmt; fn a() { b::f(); b::g() }"),
            ("b.rs", "fn f() { crate::c::g(&fmt) }"),
            ("c.rs", "use super::a::A as Other; use crate::d::D;"),
        ];
        check(&files, &["a.rs:1 b::f b.rs", "a.rs:1 b::g b.rs", "b.rs:1 crate::c::g c.rs", "c.rs:1 super::a::A a.rs"]);
    }

    #[test]
    fn a_parent_and_its_child_may_not_use_each_other() {
        let (root, uses) = ("mod p;", "mod child; use child::X; pub struct Y;");
        let circle = ["p.rs:1 child::X p/child.rs", "p/child.rs:1 super::Y p.rs"];
        check(&[("lib.rs", root), ("p.rs", uses), ("p/child.rs", "use super::Y;")], &circle);
        check(&[("lib.rs", root), ("p/mod.rs", uses), ("p/child.rs", "use crate::other;")], &[]);
        // The door alone is no use, a use of the re-exported name is one.
        let door = "mod child; pub(crate) use child::X; pub struct Y;";
        check(&[("lib.rs", root), ("p.rs", door), ("p/child.rs", "use super::Y;")], &[]);
        let used = "mod child;\npub(crate) use child::X;\npub struct Y(X);";
        let circle = ["p.rs:3 X p/child.rs", "p/child.rs:1 super::Y p.rs"];
        check(&[("lib.rs", root), ("p.rs", used), ("p/child.rs", "use super::Y;")], &circle);
    }

    #[test]
    fn a_path_leads_through_re_exports_to_the_definition() {
        let root = ("lib.rs", "mod a; mod p; pub use p::Thing;");
        let files = |a| [root, ("a.rs", a), ("p.rs", "mod c; pub use c::Thing;"), ("p/c.rs", "use crate::a::A;")];
        let circle = |path| [format!("a.rs:1 {path} p/c.rs"), "p/c.rs:1 crate::a::A a.rs".to_owned()];
        assert_eq!(circles(&files("use crate::Thing;")), circle("crate::Thing"));
        assert_eq!(circles(&files("use crate::p; fn f() { p::Thing::new() }")), circle("p::Thing::new"));
        check(&files("use crate::p::Other;"), &[]);
    }

    #[test]
    fn files_of_jobs_are_read() {
        let root = ("lib.rs", "mod jobs; mod a;");
        let jobs =
            ("jobs.rs", "macro_rules! declare { ($($f:ident,)*) => { $(mod $f;)* }; }\nother::for_each_job!(declare);");
        let circle = ["a.rs:1 crate::jobs::job::J jobs/job.rs", "jobs/job.rs:1 crate::a::A a.rs"];
        check(&[root, jobs, ("a.rs", "use crate::jobs::job::J;"), ("jobs/job.rs", "use crate::a::A;")], &circle);
    }

    #[test]
    fn a_name_may_be_of_a_module_and_of_an_item() {
        let root = ("lib.rs", "mod a; mod app; pub use app::app;");
        let circle = ["a.rs:1 crate::app app.rs", "app.rs:1 crate::a::A a.rs"];
        check(&[root, ("a.rs", "use crate::app;"), ("app.rs", "use crate::a::A;")], &circle);
    }

    #[test]
    fn modules_inside_a_file_are_of_that_file() {
        let root = ("lib.rs", "mod a; mod b;");
        let a = "pub mod inner {\n    use super::super::b::B;\n}\nuse inner::X;";
        let circle = ["a.rs:2 super::super::b::B b.rs", "b.rs:1 crate::a::inner::X a.rs"];
        check(&[root, ("a.rs", a), ("b.rs", "use crate::a::inner::X;")], &circle);
    }

    #[test]
    fn tests_comments_and_strings_do_not_count() {
        let root = ("lib.rs", "mod a; mod b;");
        let b = ("b.rs", "use crate::a::A;");
        for a in [
            "#[cfg(test)]\nmod tests { use crate::b::B; }",
            "#[cfg(test)]\nuse crate::b::B;",
            "/// [`crate::b::B`]\n/* crate::b::B */ fn f() { \"crate::b::B\"; r#\"crate::b::B\"# }",
        ] {
            check(&[root, ("a.rs", a), b], &[]);
        }
        check(&[root, ("a.rs", "#[cfg(test)] mod tests;"), b, ("a/tests.rs", "use crate::b::B;")], &[]);
    }

    #[test]
    fn the_message_names_the_places() {
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "\nuse super::a::*;")];
        let texts = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        let message = "2 files import each other in a circle: a.rs, b.rs\n  a.rs:1 names crate::b::B of b.rs\n  b.rs:2 names super::a::* of a.rs";
        assert_eq!(Crate::load("lib.rs", &texts, &[]).circles()[0].to_string(), message);
    }
}
