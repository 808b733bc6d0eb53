//! The files of one crate, the module each of them is, and which file a path leads to.
//!
//! A path that names a re-export leads to where the thing is defined: a child that writes
//! `super::Entry` depends on its sibling when the parent only passes `Entry` on, and on the
//! parent when the parent defines it.

use super::paths::{Import, Mention, imports, mentions};
use super::text::{Source, after_bracket, is_word, line_of, places_of, skip_spaces};
use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) struct Crate<'a> {
    pub(crate) files: Vec<File<'a>>,
    by_module: BTreeMap<Vec<String>, usize>,
    /// Which file defines a `macro_rules!`.
    macros: BTreeMap<String, usize>,
}

pub(crate) struct File<'a> {
    pub(crate) source: &'a Source,
    /// Empty for the root of the crate.
    pub(crate) module: Vec<String>,
    inline: Vec<(Range<usize>, String)>,
    imports: Vec<Import>,
    mentions: Vec<Mention>,
    /// The code without its `use` items.
    body: String,
    /// What a name at the top of the file was imported from.
    names: BTreeMap<String, Vec<String>>,
}

/// One file naming another.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) line: usize,
    /// The path as it is written.
    pub(crate) path: String,
}

/// A chain of re-exports longer than this is one that leads back to itself.
const MOST_REEXPORTS: usize = 16;

impl<'a> Crate<'a> {
    pub(crate) fn new(folder: &str, sources: &'a [Source]) -> Self {
        let has_library = sources.iter().any(|source| source.file == format!("{folder}/lib.rs"));
        let product = sources.iter().filter(|source| !source.is_test());
        let files: Vec<_> = product.map(|source| File::new(folder, source, has_library)).collect();
        let by_module = files.iter().enumerate().map(|(at, file)| (file.module.clone(), at));
        let mut found = Self { by_module: by_module.collect(), macros: macros(&files), files };
        for at in 0..found.files.len() {
            found.files[at].names = found.names(&found.files[at]);
        }
        found
    }

    /// What each file names in others, in the order of the files.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (from, file) in self.files.iter().enumerate() {
            let named = file.imports.iter().filter(|import| !passes_on(self, file, import));
            let named = named.map(|import| &import.mention);
            for mention in named.chain(&file.mentions) {
                let Some(to) = self.target(file, mention) else {
                    continue;
                };
                if to != from {
                    let line = line_of(&file.source.product, mention.at);
                    let path = mention.segments.join("::");
                    edges.push(Edge { from, to, line, path });
                }
            }
        }
        edges
    }

    fn names(&self, file: &File) -> BTreeMap<String, Vec<String>> {
        let top = file.imports.iter().filter(|import| file.inline_at(import.mention.at).is_empty());
        top.filter_map(|import| Some((import.name.clone(), self.absolute(file, &import.mention)?))).collect()
    }

    fn target(&self, file: &File, mention: &Mention) -> Option<usize> {
        let path = self.absolute(file, mention)?;
        Some(self.defining(&path, MOST_REEXPORTS))
    }

    /// The path from the root of the crate; none when it leads out of it.
    fn absolute(&self, file: &File, mention: &Mention) -> Option<Vec<String>> {
        let mut base = file.module.clone();
        base.extend(file.inline_at(mention.at));
        let segments = &mention.segments;
        match segments[0].as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            first => return self.relative(file, base, first, segments),
        }
        for segment in &segments[1..] {
            match segment.as_str() {
                "super" => drop(base.pop()),
                "*" => {}
                _ => base.push(segment.clone()),
            }
        }
        Some(base)
    }

    /// A path that starts with a child of the module or with an imported name.
    fn relative(&self, file: &File, mut base: Vec<String>, first: &str, segments: &[String]) -> Option<Vec<String>> {
        base.push(first.to_owned());
        if !self.by_module.contains_key(&base) {
            base = file.names.get(first)?.clone();
        }
        base.extend(segments[1..].iter().filter(|segment| *segment != "*").cloned());
        Some(base)
    }

    /// The file in which the thing at an absolute path is defined.
    fn defining(&self, path: &[String], most: usize) -> usize {
        let (depth, at) = (0..=path.len())
            .rev()
            .find_map(|depth| Some((depth, *self.by_module.get(&path[..depth])?)))
            .unwrap_or_default();
        let Some(name) = path.get(depth) else {
            return at;
        };
        if let Some(source) = self.files[at].names.get(name).filter(|_| most > 0) {
            let mut source = source.clone();
            source.extend_from_slice(&path[depth + 1..]);
            return self.defining(&source, most - 1);
        }
        let is_macro = depth == 0 && path.len() == 1;
        let of_macro = self.macros.get(name).filter(|_| is_macro);
        of_macro.copied().unwrap_or(at)
    }
}

/// Whether a file only hands a thing of its own children on: `pub use shard::Shard`, the name
/// standing nowhere else in the file. The root of a crate may hand on anything.
fn passes_on(all: &Crate, file: &File, import: &Import) -> bool {
    let own = all.absolute(file, &import.mention).is_some_and(|path| path.starts_with(&file.module));
    import.public && own && places_of(&file.body, &import.name).next().is_none()
}

fn macros(files: &[File]) -> BTreeMap<String, usize> {
    let mut macros = BTreeMap::new();
    for (file, found) in files.iter().enumerate() {
        let code = &found.source.product;
        for at in places_of(code, "macro_rules!") {
            let name = skip_spaces(code, at + "macro_rules!".len());
            let length = code.as_bytes()[name..].iter().take_while(|byte| is_word(**byte)).count();
            macros.insert(code[name..name + length].to_owned(), file);
        }
    }
    macros
}

impl<'a> File<'a> {
    fn new(folder: &str, source: &'a Source, has_library: bool) -> Self {
        let (imports, body) = imports(&source.product);
        Self {
            source,
            module: module_of(folder, &source.file, has_library),
            inline: inline_modules(&source.product),
            imports,
            mentions: mentions(&body),
            body,
            names: BTreeMap::new(),
        }
    }

    /// The modules written out in the file that enclose a place, outermost first.
    fn inline_at(&self, at: usize) -> Vec<String> {
        let around = self.inline.iter().filter(|(range, _)| range.contains(&at));
        around.map(|(_, name)| name.clone()).collect()
    }
}

fn module_of(folder: &str, file: &str, has_library: bool) -> Vec<String> {
    let inside = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
    let mut module: Vec<_> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let last = module.last().map(String::as_str);
    // Beside a library `main.rs` is a crate of its own, to which nobody's path leads.
    let is_root = module.len() == 1 && (last == Some("lib") || last == Some("main") && !has_library);
    if is_root || last == Some("mod") {
        module.pop();
    }
    module
}

fn inline_modules(code: &str) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    for at in places_of(code, "mod") {
        let name = skip_spaces(code, at + 3);
        let length = code.as_bytes()[name..].iter().take_while(|byte| is_word(**byte)).count();
        let open = skip_spaces(code, name + length);
        if length > 0 && code[open..].starts_with('{') {
            let range = open..after_bracket(code, open);
            found.push((range, code[name..name + length].to_owned()));
        }
    }
    found
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Crate, Source};

    /// Files of a made-up crate, each with its name under `src`.
    pub(crate) fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        let file = |(name, text): &(&str, &str)| Source::new(&format!("src/{name}"), text);
        files.iter().map(file).collect()
    }

    #[track_caller]
    fn check_edges(files: &[(&str, &str)], expected: &[&str]) {
        let sources = sources(files);
        let all = Crate::new("src", &sources);
        let name = |at: usize| all.files[at].source.file.trim_start_matches("src/");
        let edges = all.edges();
        let found: Vec<_> = edges.iter().map(|edge| format!("{} {}", name(edge.from), name(edge.to))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_path_leads_to_the_file_that_defines_its_end() {
        let root = ("lib.rs", "mod a;\nmod b;\npub use a::A;\n");
        check_edges(&[root, ("a.rs", "pub struct A;"), ("b.rs", "use crate::a::A;")], &["b.rs a.rs"]);
        check_edges(&[root, ("a.rs", "pub struct A;"), ("b.rs", "use crate::A;")], &["b.rs a.rs"]);
        check_edges(&[root, ("a.rs", ""), ("b.rs", "fn f() { super::a::g() }")], &["b.rs a.rs"]);
        check_edges(&[root, ("a.rs", ""), ("b.rs", "fn f(_: crate::C) {}")], &["b.rs lib.rs"]);
        check_edges(&[root, ("a.rs", "macro_rules! m {}"), ("b.rs", "use std::a; crate::m!()")], &["b.rs a.rs"]);
    }

    #[test]
    fn a_child_depends_on_what_its_parent_defines_or_imports() {
        let child = ("a/b.rs", "use super::{C, D};");
        let sibling = ("a/c.rs", "pub struct C;");
        check_edges(
            &[("a/mod.rs", "mod b;\nmod c;\npub use c::C;\npub struct D;"), child, sibling],
            &["a/b.rs a/c.rs", "a/b.rs a/mod.rs"],
        );
        check_edges(&[("a/mod.rs", "mod c;\nuse c::C;"), sibling], &["a/mod.rs a/c.rs"]);
        check_edges(&[("a/mod.rs", "mod c;\npub use c::C;\nstruct D(C);"), sibling], &["a/mod.rs a/c.rs"]);
        check_edges(&[("a.rs", "mod c;\nfn f() { c::g() }"), sibling], &["a.rs a/c.rs"]);
    }

    #[test]
    fn tests_and_modules_in_the_file_make_no_edge() {
        check_edges(&[("a.rs", "#[cfg(test)]\nmod tests { use crate::b::B; }"), ("b.rs", "")], &[]);
        check_edges(&[("a.rs", "mod inner { use super::C; }"), ("lib.rs", "")], &[]);
        check_edges(&[("a/tests.rs", "use crate::b::B;"), ("b.rs", "")], &[]);
    }
}
