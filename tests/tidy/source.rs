//! A source file as its tokens, and the paths that it names.
//!
//! Tokens, not text: comments are gone and strings are single tokens, so neither can look like code.
//! Nothing is resolved; a path is what stands there.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One file of the tree: where it is from the root of the package, with `/`, and what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A path such as `crate::store::Content`, spelt out also where it stands in a group of a `use`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// `*` for a glob.
    pub(crate) segments: Vec<String>,
    /// How many `mod name { .. }` of this file it stands in.
    pub(crate) depth: usize,
    pub(crate) line: usize,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    /// The tokens of the file; an error tells where it is not Rust.
    pub(crate) fn tokens(&self) -> Result<Vec<TokenTree>, String> {
        let tokens: TokenStream = self
            .text
            .parse()
            .map_err(|error| format!("{}: {error}", self.path))?;
        Ok(tokens.into_iter().collect())
    }

    /// The names of the modules that lead to this file from the root of its crate: none for `lib.rs`
    /// and `main.rs`, `store` and `blob` for `src/store/blob.rs`.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
        let is_head = |name: &String| ["lib", "main", "mod"].contains(&name.as_str());
        if module.last().is_some_and(is_head) {
            module.pop();
        }
        module
    }
}

/// Every path in `tokens`, those inside macro calls and attributes too.
pub(crate) fn named_paths(tokens: &[TokenTree]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    scan(tokens, 0, &mut found);
    found
}

fn scan(tokens: &[TokenTree], depth: usize, found: &mut Vec<NamedPath>) {
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if begins_no_path(&word.to_string()) => at += 1,
            TokenTree::Ident(_) => at += path(&tokens[at..], &[], depth, found),
            TokenTree::Group(group) => {
                let depth = depth + usize::from(is_module_body(tokens, at));
                scan(&inner(group), depth, found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// The keywords that can stand before the `::` of a path without being a part of it.
fn begins_no_path(word: &str) -> bool {
    [
        "as", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move",
        "mut", "pub", "ref", "return", "use", "where", "while",
    ]
    .contains(&word)
}

/// Takes the path that `tokens` begin with, `prefix` in front of it, and tells how many tokens it is.
fn path(
    tokens: &[TokenTree],
    prefix: &[String],
    depth: usize,
    found: &mut Vec<NamedPath>,
) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.first().map_or(0, |token| token.span().start().line);
    let mut at = 0;
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => segments.push(ident.to_string()),
            Some(TokenTree::Punct(star)) if star.as_char() == '*' && !segments.is_empty() => {
                segments.push("*".to_owned());
            }
            Some(TokenTree::Group(group))
                if group.delimiter() == Delimiter::Brace && !segments.is_empty() =>
            {
                for branch in inner(group).split(|token| is_punct(Some(token), ',')) {
                    // A branch that begins with `::` cannot stand here; anything else is a path.
                    if !branch.is_empty() {
                        path(branch, &segments, depth, found);
                    }
                }
                return at + 1;
            }
            // `::<` of generic arguments, or the end of a macro: the path is over, what follows is
            // looked at on its own.
            _ => break,
        }
        at += 1;
        if !(is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')) {
            break;
        }
        at += 2;
    }
    found.push(NamedPath {
        segments,
        depth,
        line,
    });
    at.max(1)
}

/// Whether the group at `at` is the body of a `mod name { .. }`.
fn is_module_body(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_ident(tokens.get(at - 2), "mod") && matches!(tokens[at - 1], TokenTree::Ident(_))
}

pub(crate) fn inner(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

pub(crate) fn is_ident(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if *ident == word)
}

pub(crate) fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let source = Source::new("src/a.rs", text);
        named_paths(&source.tokens().expect("Rust"))
            .into_iter()
            .filter(|path| path.segments.len() > 1)
            .map(|path| path.segments.join("::"))
            .collect()
    }

    #[test]
    fn a_group_is_spelt_out() {
        assert_eq!(
            paths("use crate::{oci::{Digest, Tag as T}, store::*, self};"),
            [
                "crate::oci::Digest",
                "crate::oci::Tag",
                "crate::store::*",
                "crate::self"
            ]
        );
        assert_eq!(paths("use ::std::{fs, io};"), ["std::fs", "std::io"]);
        assert_eq!(paths("fn f() { return ::a::b(); }"), ["a::b"]);
    }

    #[test]
    fn paths_are_found_wherever_they_stand() {
        assert_eq!(
            paths("fn f() -> Vec::<crate::a::B> { m!(crate::c::d, [x::y]); 2 * e::f() }"),
            ["crate::a::B", "crate::c::d", "x::y", "e::f"]
        );
        assert_eq!(
            paths("impl<'a> crate::A<'a> for <B as c::D>::E {}"),
            ["crate::A", "c::D"]
        );
        assert_eq!(
            paths("#[derive(a::B)] struct C { d: e::F }"),
            ["a::B", "e::F"]
        );
        assert_eq!(
            paths("struct S { a: u8, b: c::D } fn f() { match x { a::B { .. } => {} } }"),
            ["c::D", "a::B"]
        );
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(
            paths(
                "//! crate::a\n/// [`crate::b`]\n/* crate::c /* crate::d */ */\n\
                 fn f() { let _ = (\"crate::e\", r#\"crate::f \"\"#, b\"crate::g\", ':', '\"', 'x'); } // crate::h\n"
            ),
            [] as [&str; 0]
        );
    }

    #[test]
    fn the_depth_counts_modules_only() {
        let source = Source::new(
            "src/a.rs",
            "mod x { mod y { fn f() { { a::b() } } } } fn c() { d::e() }",
        );
        let paths = named_paths(&source.tokens().expect("Rust"));
        let depth = |name: &str| {
            paths
                .iter()
                .find(|p| p.segments.join("::") == name)
                .expect("found")
                .depth
        };
        assert_eq!((depth("a::b"), depth("d::e")), (2, 0));
    }

    #[test]
    fn a_file_knows_its_module() {
        for (path, module) in [
            ("src/lib.rs", ""),
            ("src/main.rs", ""),
            ("src/app.rs", "app"),
            ("src/store/mod.rs", "store"),
            ("src/store/blob.rs", "store::blob"),
        ] {
            assert_eq!(Source::new(path, "").module().join("::"), module);
        }
    }
}
