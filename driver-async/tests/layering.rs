//! The layers of the driver's source, kept by a scan of its text.
//!
//! A module imports its own layer and lower ones; what decides (`proto`, `operation`) neither waits
//! nor reads a clock; no file outgrows a reader; nothing in production exists for a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const LAYERS: [&[&str]; 6] = [
    &[
        "error",
        "options",
        "uri",
        "event",
        "results",
        "namespace",
        "address",
        "deadline",
        "clock",
    ],
    &["proto", "operation"],
    &["net", "conn"],
    &["pool", "topology"],
    &["exec"],
    &[
        "client",
        "database",
        "collection",
        "session",
        "action",
        "cursor",
        "change_stream",
        "gridfs",
        "internal",
    ],
];
const PURE_LAYER: usize = 1;
const NOT_PURE: [&str; 5] = [
    "tokio",
    ".await",
    "async ",
    "Instant::now",
    "SystemTime::now",
];
const MOST_LINES: usize = 800;

/// The names that the crate's root re-exports, each with the module it comes from.
type Root = BTreeMap<String, String>;

#[test]
fn the_source_keeps_its_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let root = root_names(&fs::read_to_string(src.join("lib.rs")).expect("reads lib.rs"));
    let mut files = Vec::new();
    collect(&src, &mut files);
    files.sort();
    let mut found = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("reads a source file");
        let name = file
            .strip_prefix(&src)
            .expect("lies below src")
            .to_str()
            .expect("is UTF-8");
        found.extend(violations(name, &text, &root));
    }
    assert!(
        found.is_empty(),
        "{} violations:\n{}",
        found.len(),
        found.join("\n")
    );
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("lists a source folder") {
        let path = entry.expect("reads a folder entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// What is wrong with one file, a line each; `file` is its path below `src`.
fn violations(file: &str, text: &str, root: &Root) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{file}: {lines} lines, {MOST_LINES} at most"));
    }
    let code = without_comments_and_literals(text);
    let mut report = |at: usize, what: String| {
        found.push(format!(
            "{file}:{}: {what}",
            1 + code[..at].matches('\n').count()
        ));
    };
    for at in misplaced_test_code(&code) {
        report(
            at,
            "cfg(test) stands on something other than `mod tests`".to_owned(),
        );
    }
    let modules = module_path(file);
    let Some(own) = modules
        .first()
        .filter(|own| !matches!(**own, "lib" | "tests"))
    else {
        return found;
    };
    let Some(own_layer) = layer(own) else {
        report(0, format!("module {own} stands in no layer"));
        return found;
    };
    if modules.last() == Some(&"tests") {
        return found;
    }
    let code = without_tests(&code);
    for (at, name) in names_of_root(&code, modules.len()) {
        let module = root.get(&name).map_or(name.as_str(), String::as_str);
        match layer(module) {
            Some(layer) if layer > own_layer => {
                report(
                    at,
                    format!("{own} (L{own_layer}) uses {name} of {module} (L{layer})"),
                );
            }
            Some(_) => {}
            None => report(at, format!("crate::{name} stands in no layer")),
        }
    }
    if own_layer == PURE_LAYER {
        for word in NOT_PURE {
            for at in occurrences(&code, word) {
                report(
                    at,
                    format!("{:?} in a module that must be pure", word.trim()),
                );
            }
        }
    }
    found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// `proto/wire/mod.rs` is `proto::wire`.
fn module_path(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').collect()
}

/// The names that follow `crate::`, or enough `super::`s to reach the crate's root.
fn names_of_root(code: &str, depth: usize) -> Vec<(usize, String)> {
    let to_root = ["crate::".to_owned(), "super::".repeat(depth)];
    let mut found = Vec::new();
    for prefix in to_root {
        for at in occurrences(code, &prefix) {
            let rest = &code[at + prefix.len()..];
            let names = first_names(rest);
            found.extend(names.into_iter().map(|name| (at, name)));
        }
    }
    found
}

/// `a::b` gives a; `{a::{b, c}, d}` gives a and d; a macro's name gives nothing.
fn first_names(path: &str) -> Vec<String> {
    if !path.starts_with('{') {
        let name = identifier(path);
        let is_macro = path[name.len()..].starts_with('!');
        return if is_macro || name.is_empty() {
            Vec::new()
        } else {
            vec![name.to_owned()]
        };
    }
    let (mut depth, mut names, mut start) = (0, Vec::new(), 1);
    for (at, letter) in path.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && letter == ',') {
            names.push(identifier(path[start..at].trim_start()).to_owned());
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The names in `use module::Name;` and `use module::{A, b::C as D};` of lib.rs.
fn root_names(lib: &str) -> Root {
    let code = without_comments_and_literals(lib);
    let mut root = Root::new();
    for at in occurrences(&code, "use ") {
        let statement = code[at + 4..].split(';').next().unwrap_or_default();
        let statement = statement
            .trim_start_matches("crate::")
            .trim_start_matches("self::");
        let module = identifier(statement);
        if layer(module).is_none() {
            continue;
        }
        for leaf in statement[module.len()..].split([',', '{', '}']) {
            let name = leaf.rsplit("::").next().unwrap_or(leaf);
            let name = name.rsplit(" as ").next().unwrap_or(name).trim();
            if !name.is_empty() {
                root.insert(name.to_owned(), module.to_owned());
            }
        }
    }
    root
}

fn identifier(text: &str) -> &str {
    let end = text.find(|letter: char| letter != '_' && !letter.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

/// Where `word` stands, unless it continues a longer word.
fn occurrences(code: &str, word: &str) -> Vec<usize> {
    let continues = |at: usize| {
        let before = code[..at].chars().next_back();
        let is_name = before.is_some_and(|letter| letter == '_' || letter.is_alphanumeric());
        is_name || (word.starts_with("super") && code[..at].ends_with("super::"))
    };
    let starts_a_name = |at: usize| word.starts_with('.') || !continues(at);
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| starts_a_name(*at))
        .collect()
}

fn misplaced_test_code(code: &str) -> Vec<usize> {
    let conditions = code
        .match_indices("cfg(")
        .chain(code.match_indices("cfg_attr("));
    conditions
        .filter(|(at, open)| {
            let rest = &code[at + open.len()..];
            let condition = rest.split(']').next().unwrap_or(rest);
            occurrences(condition, "test").iter().any(|at| identifier(&condition[*at..]) == "test")
        })
        .filter(|(at, _)| !code[*at..].starts_with("cfg(test)]") || !precedes_tests(&code[*at..]))
        .map(|(at, _)| at)
        .collect()
}

/// True when only further attributes stand between this one's end and `mod tests`.
fn precedes_tests(attribute: &str) -> bool {
    let rest = attribute
        .split_once(']')
        .map_or("", |(_, rest)| rest)
        .trim_start();
    rest.starts_with("mod tests") || (rest.starts_with("#[") && precedes_tests(rest))
}

/// The same text with the body of `mod tests` blanked.
fn without_tests(code: &str) -> String {
    let Some(start) = code.find("mod tests {") else {
        return code.to_owned();
    };
    let mut depth = 0;
    let end = code[start..].char_indices().find_map(|(at, letter)| {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => return None,
        }
        (depth == 0).then_some(start + at)
    });
    let end = end.unwrap_or(code.len());
    format!(
        "{}{}{}",
        &code[..start],
        blank(&code[start..end]),
        &code[end..]
    )
}

/// The same text, line by line, with comments, strings and characters blanked.
fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let in_name = code.ends_with(|letter: char| letter == '_' || letter.is_alphanumeric());
        let skipped = skipped_length(rest, in_name);
        if skipped == 0 {
            code.push(letter);
            rest = &rest[letter.len_utf8()..];
        } else {
            code.push_str(&blank(&rest[..skipped]));
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of the comment or literal that `text` starts with, if any.
fn skipped_length(text: &str, in_name: bool) -> usize {
    let until = |from: usize, end: &str| {
        text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until(2, "*/");
    }
    if text.starts_with('"') {
        return quoted_length(text, '"');
    }
    if let Some(raw) = text
        .strip_prefix('r')
        .filter(|_| !in_name || text.starts_with("r#\""))
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            return until(hashes + 2, &format!("\"{}", "#".repeat(hashes)));
        }
    }
    let mut letters = text.chars();
    let is_character = letters.next() == Some('\'')
        && (letters.next() == Some('\\') || letters.next() == Some('\''));
    if is_character {
        quoted_length(text, '\'')
    } else {
        0
    }
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if letter == quote && !escaped {
            return at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    text.len()
}

/// As many bytes, with the same line breaks.
fn blank(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect()
}

#[test]
fn the_scan_sees_every_kind_of_violation() {
    let root = root_names("pub use client::{Client, x::Y as Z};\npub use crate::error::Error;");
    let wrong = |file: &str, text: &str| violations(file, text, &root);
    for (file, text, line) in [
        (
            "proto/a.rs",
            "//! x\nuse crate::pool::Pool;",
            "proto/a.rs:2",
        ),
        (
            "proto/a.rs",
            "use crate::{error::Error,\n exec::{self, run}};",
            "L4",
        ),
        ("proto/wire/mod.rs", "use super::super::net::Stream;", "L2"),
        (
            "net/tls.rs",
            "fn f() -> crate::Client { todo() }",
            "Client of client",
        ),
        ("error.rs", "use crate::Z;", "Z of client"),
        ("pool/a.rs", "use crate::strange::X;", "no layer"),
        ("strange.rs", "", "no layer"),
        ("proto/a.rs", "use tokio::time;", "tokio"),
        ("operation/a.rs", "async fn f() {}", "async"),
        ("operation/a.rs", "fn f() { g().await }", ".await"),
        ("proto/a.rs", "let now = Instant::now();", "Instant::now"),
        (
            "proto/a.rs",
            "let now = std::time::SystemTime::now();",
            "SystemTime::now",
        ),
        ("pool/a.rs", "#[cfg(test)]\nfn f() {}", "pool/a.rs:1"),
        (
            "lib.rs",
            "#[cfg(any(test, feature = \"x\"))]\nmod tests {}",
            "cfg(test)",
        ),
        (
            "client.rs",
            "#[cfg_attr(test, derive(Clone))]\nstruct S;",
            "cfg(test)",
        ),
        ("client.rs", &"\n".repeat(801), "801 lines"),
    ] {
        let found = wrong(file, text);
        assert!(
            found.len() == 1 && found[0].contains(line),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn the_scan_accepts_what_is_allowed() {
    let root = root_names("pub use client::Client;\npub use crate::error::Error;");
    for (file, text) in [
        (
            "client.rs",
            "use crate::{Error, exec, net::{self, Stream}, proto};",
        ),
        (
            "proto/wire/mod.rs",
            "use super::hello;\nuse crate::error::Error;",
        ),
        (
            "proto/a.rs",
            "//! tokio\n/* async fn */ fn f() { g(\"Instant::now\", '\"', r#\".await\"#) }",
        ),
        (
            "proto/a.rs",
            "fn f() {}\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n fn f() { tokio::x(\"}\") }\n}",
        ),
        ("pool/tests.rs", "use crate::client::Client;"),
        (
            "uri/a.rs",
            "#[cfg(feature = \"test_names\")]\nfn f<'a>(x: &'a str) {}",
        ),
    ] {
        assert_eq!(
            violations(file, text, &root),
            Vec::<String>::new(),
            "{text}"
        );
    }
}
