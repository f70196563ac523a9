//! The rules that every file keeps by itself: short, no empty names, no globals, nothing unsafe.

use proc_macro2::TokenTree;

use crate::source::{Source, inner, is_ident, is_punct};

/// Above this a file has more than one idea.
const MOST_LINES: usize = 400;

/// Words that say nothing about what a module or a type is.
const EMPTY_WORDS: &[&str] = &[
    "manager", "managers", "helper", "helpers", "util", "utils", "common",
];

/// The one file with something unsafe in it, and its argument beside it.
const UNSAFE: &str = "src/server/door/socket.rs";

/// Types that make a `static` a variable.
const CHANGEABLE: &[&str] = &[
    "OnceLock",
    "OnceCell",
    "LazyLock",
    "LazyCell",
    "Lazy",
    "Once",
    "Mutex",
    "RwLock",
    "Cell",
    "RefCell",
    "UnsafeCell",
];

/// Every breach in `source`.
pub(crate) fn check(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.text.lines().count();
    if lines > MOST_LINES {
        faults.push(format!(
            "{}: {lines} lines, more than {MOST_LINES}",
            source.path
        ));
    }
    for name in source.path.trim_end_matches(".rs").split('/') {
        faults.extend(empty_word(name).map(|word| format!("{}: the word {word}", source.path)));
    }
    match source.tokens() {
        Ok(tokens) => scan(&tokens, source, &mut faults),
        Err(error) => faults.push(error),
    }
    faults
}

fn scan(tokens: &[TokenTree], source: &Source, faults: &mut Vec<String>) {
    for (at, token) in tokens.iter().enumerate() {
        let fault = match token {
            TokenTree::Group(group) => {
                scan(&inner(group), source, faults);
                None
            }
            TokenTree::Ident(word) if *word == "static" => {
                let is_lifetime = at > 0 && is_punct(tokens.get(at - 1), '\'');
                (!is_lifetime && is_variable(&tokens[at + 1..])).then(|| "a global".to_owned())
            }
            TokenTree::Ident(word) if *word == "unsafe" && source.path != UNSAFE => {
                Some(format!("something unsafe; that is kept to {UNSAFE}"))
            }
            TokenTree::Ident(word) if *word == "lazy_static" || *word == "thread_local" => {
                is_punct(tokens.get(at + 1), '!').then(|| "a global".to_owned())
            }
            TokenTree::Ident(word) if declares(&word.to_string()) => tokens
                .get(at + 1)
                .and_then(|name| empty_word(&name.to_string()))
                .map(|word| format!("the word {word} in a name")),
            _ => None,
        };
        let line = token.span().start().line;
        faults.extend(fault.map(|fault| format!("{}:{line}: {fault}", source.path)));
    }
}

fn declares(word: &str) -> bool {
    ["mod", "struct", "enum", "union", "trait", "type"].contains(&word)
}

/// Whether what follows the word `static` declares something that can change.
fn is_variable(tokens: &[TokenTree]) -> bool {
    is_ident(tokens.first(), "mut")
        || tokens
            .iter()
            .take_while(|token| !is_punct(Some(token), '=') && !is_punct(Some(token), ';'))
            .any(mentions_changeable)
}

fn mentions_changeable(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => {
            let word = word.to_string();
            CHANGEABLE.contains(&word.as_str()) || word.starts_with("Atomic")
        }
        TokenTree::Group(group) => inner(group).iter().any(mentions_changeable),
        _ => false,
    }
}

/// The first of [`EMPTY_WORDS`] in `name`, which is `snake_case` or `CamelCase`.
fn empty_word(name: &str) -> Option<String> {
    let mut spaced = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            spaced.push('_');
        }
        spaced.extend(c.to_lowercase());
    }
    spaced
        .split('_')
        .find(|word| EMPTY_WORDS.contains(word))
        .map(str::to_owned)
}
