//! What one source file declares, imports and names.

use crate::tokens::{Token, begins, group_end, tokens, without_tests};

/// The macro that gives each kind of job to another one.
const JOB_LIST: &str = "for_each_job";

/// The segments of a path; of a module: from the root of its crate.
pub(crate) type Path = Vec<String>;

/// One name that a `use` brings in.
#[derive(Debug)]
pub(crate) struct Import {
    /// The module that imports it.
    pub(crate) module: Path,
    pub(crate) path: Path,
    /// The name that it has here; `*`: all names.
    pub(crate) name: String,
    /// Whether it has a visibility of its own: others may take it from here.
    pub(crate) public: bool,
    pub(crate) line: usize,
}

/// A path in the code.
#[derive(Debug)]
pub(crate) struct Mention {
    /// The module in which it stands.
    pub(crate) module: Path,
    pub(crate) path: Path,
    pub(crate) line: usize,
}

/// One file. Everything under `#[cfg(test)]` is left out.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Modules that have a file of their own.
    pub(crate) children: Vec<Path>,
    /// Modules in which a macro declares a file for each kind of job.
    pub(crate) of_jobs: Vec<Path>,
    /// Modules with their text in this file.
    pub(crate) inline: Vec<Path>,
    pub(crate) imports: Vec<Import>,
    pub(crate) mentions: Vec<Mention>,
}

impl Source {
    /// Reads the file of `module`.
    pub(crate) fn read(mut module: Path, text: &str) -> Self {
        let tokens = without_tests(&tokens(text));
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
        let (mut found, mut at) = (Self::default(), 0);
        // For every open brace, how deep the module around it is.
        let mut braces = Vec::new();
        let mut public = false;
        let mut declares_by_macro = false;
        while at < tokens.len() {
            let visible = std::mem::take(&mut public);
            match text(at) {
                "pub" => {
                    public = true;
                    at = if text(at + 1) == "(" { group_end(&tokens, at + 1) } else { at + 1 };
                    continue;
                }
                "mod" if text(at + 1) == "$" => declares_by_macro = true,
                "mod" if text(at + 2) == ";" => {
                    found.children.push(child(&module, text(at + 1)));
                    at += 2;
                }
                "mod" if text(at + 2) == "{" => {
                    braces.push(module.len());
                    module = child(&module, text(at + 1));
                    found.inline.push(module.clone());
                    at += 2;
                }
                // `use<'a>` in a type captures; it imports nothing.
                "use" if text(at + 1) != "<" => {
                    let mut imports = Imports { tokens: &tokens, at: at + 1, found: Vec::new() };
                    imports.tree(&[]);
                    at = imports.at;
                    found.imports.extend(imports.found.into_iter().map(|(path, name, line)| Import {
                        module: module.clone(),
                        path,
                        name,
                        public: visible,
                        line,
                    }));
                }
                "{" => braces.push(module.len()),
                "}" => module.truncate(braces.pop().unwrap_or_default()),
                _ if begins_path(&tokens, at) => {
                    let line = tokens[at].line;
                    let mut path = vec![text(at).to_owned()];
                    while text(at + 1) == "::" && tokens.get(at + 2).is_some_and(Token::is_word) {
                        path.push(text(at + 2).to_owned());
                        at += 2;
                    }
                    if declares_by_macro && path.last().is_some_and(|name| name == JOB_LIST) && text(at + 1) == "!" {
                        found.of_jobs.push(module.clone());
                    }
                    found.mentions.push(Mention { module: module.clone(), path, line });
                }
                _ => {}
            }
            at += 1;
        }
        found
    }
}

/// The files that the one list of kinds of jobs names, by the text of the macro that is the list.
pub(crate) fn listed_jobs(text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let Some(list) = (0..tokens.len()).find(|at| begins(&tokens, *at, &["$", "each", "!", "{"])) else {
        return Vec::new();
    };
    let entries = tokens[list + 4..group_end(&tokens, list + 3)].windows(2);
    entries.filter(|pair| pair[0].is_word() && pair[1].text == ":").map(|pair| pair[0].text.to_owned()).collect()
}

/// The module `name` in `module`.
pub(crate) fn child(module: &[String], name: &str) -> Path {
    let mut path = module.to_vec();
    path.push(name.to_owned());
    path
}

/// Whether a path begins at `at`: a word that is no method, no field and no later part of a path.
pub(crate) fn begins_path(tokens: &[Token<'_>], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map_or("", |at| tokens[at].text);
    tokens[at].is_word() && before(1) != "::" && (before(1) != "." || before(2) == ".")
}

/// Reader of the tree behind `use`.
struct Imports<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// Path, name and line of each import.
    found: Vec<(Path, String, usize)>,
}

impl Imports<'_> {
    fn text(&self) -> &str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    /// Reads one branch below `prefix`, and stops at the sign behind it.
    fn tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            let Some(token) = self.tokens.get(self.at).copied() else { return };
            self.at += 1;
            match token.text {
                "{" => {
                    while !matches!(self.text(), "}" | "") {
                        self.tree(&path);
                        if self.text() == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => return self.found.push((path, "*".to_owned(), token.line)),
                // A path that begins with `::` is of another crate.
                "::" => {
                    path.push(String::new());
                    continue;
                }
                _ if !token.is_word() => return,
                "self" if !path.is_empty() => {}
                word => path.push(word.to_owned()),
            }
            if self.text() == "::" {
                self.at += 1;
                continue;
            }
            let mut name = path.last().cloned().unwrap_or_default();
            if self.text() == "as" {
                self.at += 1;
                name = self.text().to_owned();
                self.at += 1;
            }
            return self.found.push((path, name, token.line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, imports: &[&str], mentions: &[&str]) {
        let found = Source::read(vec!["m".to_owned()], source);
        let show = |module: &Path, path: &Path| format!("{}: {}", module.join("::"), path.join("::"));
        let got: Vec<String> = found
            .imports
            .iter()
            .map(|import| {
                let public = if import.public { "pub " } else { "" };
                format!("{public}{} as {}", show(&import.module, &import.path), import.name)
            })
            .collect();
        assert_eq!(got, imports, "{source}");
        let got: Vec<String> = found.mentions.iter().map(|mention| show(&mention.module, &mention.path)).collect();
        assert_eq!(got, mentions, "{source}");
    }

    #[test]
    fn the_list_of_jobs_is_read() {
        let list = "macro_rules! for_each_job { ($each:ident) => { $each! { one: One, #[cfg(feature = \"t\")] two: Two, } }; }";
        assert_eq!(listed_jobs(list), ["one", "two"]);
        let declares = "macro_rules! declare { ($($f:ident,)*) => { $(mod $f;)* }; }\nother::for_each_job!(declare);";
        assert_eq!(Source::read(vec!["m".to_owned()], declares).of_jobs, [["m"]]);
        assert!(Source::read(Vec::new(), "crate::for_each_job!(other);").of_jobs.is_empty(), "it declares no modules");
    }

    #[test]
    fn imports_are_flattened() {
        check("use crate::a;", &["m: crate::a as a"], &[]);
        check("pub(in crate::x) use a::B as C;", &["pub m: a::B as C"], &[]);
        let group = "use super::{a::{self, B}, c::*, D as _,};";
        check(group, &["m: super::a as a", "m: super::a::B as B", "m: super::c as *", "m: super::D as _"], &[]);
        check("use self::a::b; use ::c::d;", &["m: self::a::b as b", "m: ::c::d as d"], &[]);
    }

    #[test]
    fn paths_of_the_code_are_found() {
        check("a::b(c.d(), ..e)", &[], &["m: a::b", "m: c", "m: e"]);
        check("mod n { x } y", &[], &["m::n: x", "m: y"]);
        check("crate::a::<b>::c", &[], &["m: crate::a", "m: b"]);
        check("// a::b\n\"c::d\"", &[], &[]);
    }
}
