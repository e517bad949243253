//! The layers of the driver's source, kept by a scan of its text.
//!
//! A module imports its own layer and lower ones; what decides (`proto`, `operation`) neither waits
//! nor reads a clock; no file outgrows a reader; nothing in production exists for a test. The scan
//! relies on rustfmt's layout and on `mod tests` standing last, which it checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const LAYERS: [&str; 6] = [
    "error options bulk uri event description results namespace address deadline clock process object_ids background",
    "proto operation",
    "net conn",
    "pool topology",
    "exec",
    "client concerns database collection session action cursor raw_batch_cursor change_stream gridfs internal",
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
    let mut found = Vec::new();
    scan(&src, "", &root, &mut found);
    assert!(
        found.is_empty(),
        "{} violations:\n{}",
        found.len(),
        found.join("\n")
    );
}

fn scan(folder: &Path, prefix: &str, root: &Root, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("lists a source folder") {
        let path = entry.expect("reads a folder entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("is UTF-8");
        if path.is_dir() {
            scan(&path, &format!("{prefix}{name}/"), root, found);
        } else {
            let text = fs::read_to_string(&path).expect("reads a source file");
            found.extend(violations(&format!("{prefix}{name}"), &text, root));
        }
    }
}

/// What is wrong with one file, a line each; `file` is its path below `src`.
fn violations(file: &str, text: &str, root: &Root) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{lines} lines, {MOST_LINES} at most"));
    }
    let code = without_comments(text);
    let (code, tests) = code
        .split_once("#[cfg(test)]\nmod tests")
        .unwrap_or((&code, ""));
    if tests.trim_end().split_once("\n}\n").is_some() {
        found.push("something stands below `mod tests`".to_owned());
    }
    if starts_of(code, "cfg(")
        .chain(starts_of(code, "cfg_attr("))
        .any(asks_for_test)
    {
        found.push("cfg(test) stands on something other than `mod tests`".to_owned());
    }
    let path = file.trim_end_matches(".rs");
    let modules: Vec<_> = path
        .strip_suffix("/mod")
        .unwrap_or(path)
        .split('/')
        .collect();
    if modules != ["lib"] && modules.last() != Some(&"tests") {
        match layer(modules[0]) {
            Some(own) => imports_and_purity(code, own, modules.len(), root, &mut found),
            None => found.push(format!("module {} stands in no layer", modules[0])),
        }
    }
    found
        .into_iter()
        .map(|what| format!("{file}: {what}"))
        .collect()
}

fn imports_and_purity(code: &str, own: usize, depth: usize, root: &Root, found: &mut Vec<String>) {
    // As many `super`s as the module is deep lead to the crate's root.
    let up = "super::".repeat(depth);
    for name in starts_of(code, "crate::")
        .chain(starts_of(code, &up))
        .flat_map(first_names)
    {
        let module = root.get(name).map_or(name, String::as_str);
        match layer(module) {
            Some(other) if other > own => {
                found.push(format!("L{own} uses {name} of {module} (L{other})"));
            }
            Some(_) => {}
            None => found.push(format!("crate::{name} stands in no layer")),
        }
    }
    if own == PURE_LAYER {
        let words = NOT_PURE
            .iter()
            .filter(|word| starts_of(code, word).next().is_some());
        found.extend(words.map(|word| format!("{word:?} in a module that must be pure")));
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS
        .iter()
        .position(|layer| layer.split(' ').any(|name| name == module))
}

/// The lines of code, without the comments on lines of their own and at the ends of others.
fn without_comments(text: &str) -> String {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.map(|line| format!("{}\n", line.split(" // ").next().unwrap_or(line)))
        .collect()
}

/// What follows each `word` in the code, unless the word continues a longer name.
fn starts_of<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let continues =
        |before: &str| before.ends_with(|c: char| c == '_' || c == ':' || c.is_alphanumeric());
    code.match_indices(word)
        .filter(move |(at, _)| {
            word.starts_with('.') || word.contains("::now") || !continues(&code[..*at])
        })
        .map(move |(at, _)| &code[at + word.len()..])
}

fn asks_for_test(condition: &str) -> bool {
    let condition = condition.split(']').next().unwrap_or(condition);
    starts_of(condition, "test").any(|rest| rest.starts_with([')', ',']))
}

/// `a::b` gives a; `{a::{b, c}, d}` gives a and d; a macro's name gives nothing.
fn first_names(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut depth, mut expects_name) = (0, true);
    for (at, letter) in path.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => expects_name = true,
            letter if expects_name && !letter.is_whitespace() => {
                let name = identifier(&path[at..]);
                expects_name = false;
                if !path[at + name.len()..].starts_with('!') {
                    names.push(name);
                }
            }
            _ => {}
        }
        if depth == 0 && (letter == '}' || !expects_name) {
            break;
        }
    }
    names
}

fn identifier(text: &str) -> &str {
    let end = text.find(|letter: char| letter != '_' && !letter.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

/// The names in `use module::Name;` and `use module::{A, b::C as D};` of lib.rs.
fn root_names(lib: &str) -> Root {
    let code = without_comments(lib);
    let mut root = Root::new();
    for statement in starts_of(&code, "use ").filter_map(|rest| rest.split(';').next()) {
        let statement = statement.trim_start_matches("crate::");
        let module = identifier(statement);
        for leaf in statement[module.len()..].split([',', '{', '}']) {
            let name = leaf.rsplit([':', ' ']).next().unwrap_or(leaf).trim();
            if layer(module).is_some() && !name.is_empty() {
                root.insert(name.to_owned(), module.to_owned());
            }
        }
    }
    root
}

#[test]
fn the_scan_sees_every_kind_of_violation() {
    let root = root_names("pub use client::{Client, x::Y as Z};\npub use crate::error::Error;");
    for (file, text, expected) in [
        (
            "proto/a.rs",
            "//! x\nuse crate::pool::Pool;",
            "L1 uses pool of pool (L3)",
        ),
        (
            "proto/a.rs",
            "use crate::{\n    error::Error,\n    exec::{self, run},\n};",
            "exec (L4)",
        ),
        (
            "proto/wire/mod.rs",
            "use super::super::net::Stream;",
            "net (L2)",
        ),
        (
            "net/tls.rs",
            "fn f() -> crate::Client {}",
            "Client of client",
        ),
        ("error.rs", "use crate::Z;", "Z of client"),
        (
            "pool/a.rs",
            "use crate::strange::X;",
            "crate::strange stands in no layer",
        ),
        ("strange.rs", "", "module strange stands in no layer"),
        ("proto/a.rs", "use tokio::time;", "tokio"),
        ("operation/a.rs", "async fn f() {}", "async"),
        ("operation/a.rs", "fn f() { g().await }", ".await"),
        ("proto/a.rs", "let now = Instant::now();", "Instant::now"),
        (
            "proto/a.rs",
            "let now = std::time::SystemTime::now();",
            "SystemTime::now",
        ),
        ("pool/a.rs", "#[cfg(test)]\nfn f() {}", "cfg(test)"),
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
        (
            "pool/a.rs",
            "#[cfg(test)]\nmod tests {\n}\nuse crate::client::Client;\nfn f() {\n}\n",
            "below",
        ),
        ("client.rs", &"\n".repeat(801), "801 lines"),
    ] {
        let found = violations(file, text, &root);
        assert!(
            found.len() == 1 && found[0].contains(expected),
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
            "use super::hello;\nuse crate::error::Error;\ncrate::check!(1);",
        ),
        (
            "proto/a.rs",
            "//! tokio\nfn f() {} // async fn\n    /// Instant::now",
        ),
        (
            "proto/a.rs",
            "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use tokio::x;\n}\n",
        ),
        ("pool/tests.rs", "use crate::client::Client;"),
        ("uri/a.rs", "#[cfg(feature = \"test_names\")]\nfn f() {}"),
    ] {
        assert_eq!(
            violations(file, text, &root),
            Vec::<String>::new(),
            "{text}"
        );
    }
}
