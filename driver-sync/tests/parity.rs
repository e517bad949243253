//! Both drivers offer the same names: root names, public methods and cargo features.
//!
//! The sources of both crates are parsed and compared by name. What one crate re-exports from the
//! other is the same by nature. Any other difference stands in `parity_exceptions.txt` with its
//! reason: `async Client::warm # reason` for what only the non-blocking driver has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::{Attribute, ImplItem, Item, Type, UseTree, Visibility};

/// The other crate's name in the blocking driver's `use` lines.
const TWIN: &str = "motorcade";

#[test]
fn both_drivers_offer_the_same_names() {
    let sync_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let async_folder = sync_folder.join("../driver-async");
    let mut differences = differences(&surface_of(&async_folder), &surface_of(sync_folder));
    let exceptions = fs::read_to_string(sync_folder.join("parity_exceptions.txt"))
        .expect("reads parity_exceptions.txt");
    let unused = subtract(&mut differences, &exceptions);
    assert!(
        differences.is_empty() && unused.is_empty(),
        "names that only one driver has: {differences:#?}\nexceptions without such a name: \
         {unused:#?}"
    );
}

fn surface_of(folder: &Path) -> Surface {
    let mut files = BTreeMap::new();
    read_sources(&folder.join("src"), "", &mut files);
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("reads a manifest");
    Source::parse(&files).surface(&manifest)
}

fn read_sources(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("lists a source folder") {
        let path = entry.expect("reads a folder entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("is UTF-8");
        if path.is_dir() {
            read_sources(&path, &format!("{prefix}{name}/"), files);
        } else {
            let text = fs::read_to_string(&path).expect("reads a source file");
            files.insert(format!("{prefix}{name}"), text);
        }
    }
}

/// What users of a crate can name.
#[derive(Default)]
struct Surface {
    names: BTreeSet<String>,
    /// Names that come from the other driver; with all that is below them they are the same.
    twins: BTreeSet<String>,
    /// The public inherent methods of the crate's own types, by the type's name.
    methods: BTreeMap<String, BTreeSet<String>>,
}

/// `async x` for what only the non-blocking driver has, `sync x` for the opposite.
fn differences(r#async: &Surface, sync: &Surface) -> BTreeSet<String> {
    let below_twin = |name: &str| {
        sync.twins.iter().any(|twin| {
            name.strip_prefix(twin.as_str())
                .is_some_and(|rest| rest.starts_with("::"))
        })
    };
    let mut found = BTreeSet::new();
    let only_async = r#async
        .names
        .difference(&sync.names)
        .filter(|name| !below_twin(name));
    found.extend(only_async.map(|name| format!("async {name}")));
    found.extend(
        sync.names
            .difference(&r#async.names)
            .map(|name| format!("sync {name}")),
    );
    for (name, blocking) in &sync.methods {
        let Some(awaited) = r#async.methods.get(name) else {
            continue;
        };
        found.extend(
            awaited
                .difference(blocking)
                .map(|method| format!("async {name}::{method}")),
        );
        found.extend(
            blocking
                .difference(awaited)
                .map(|method| format!("sync {name}::{method}")),
        );
    }
    found
}

/// Takes the excepted names away; gives the exceptions that met none, or lack a reason.
fn subtract(differences: &mut BTreeSet<String>, exceptions: &str) -> Vec<String> {
    let lines = exceptions.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|line| match line.split_once(" # ") {
            Some((name, _)) => !differences.remove(name.trim()),
            None => true,
        })
        .map(str::to_owned)
        .collect()
}

/// The parsed modules of a crate, by path: the root is empty, others are like `a::b`.
struct Source {
    modules: BTreeMap<String, Vec<Item>>,
}

impl Source {
    fn parse(files: &BTreeMap<String, String>) -> Self {
        let mut source = Self {
            modules: BTreeMap::new(),
        };
        let root = files.get("lib.rs").expect("the crate has a lib.rs");
        source.add("", parse_items("lib.rs", root), files);
        source
    }

    fn add(&mut self, module: &str, mut items: Vec<Item>, files: &BTreeMap<String, String>) {
        for item in &mut items {
            let Item::Mod(child) = item else { continue };
            if is_test(&child.attrs) {
                continue;
            }
            let path = join(module, &child.ident.to_string());
            let items = match child.content.take() {
                Some((_, inline)) => inline,
                None => {
                    let stem = path.replace("::", "/");
                    let names = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
                    let name = names.iter().find(|name| files.contains_key(*name));
                    let name = name.unwrap_or_else(|| panic!("module {path} has no file"));
                    parse_items(name, &files[name])
                }
            };
            self.add(&path, items, files);
        }
        self.modules.insert(module.to_owned(), items);
    }

    fn surface(&self, manifest: &str) -> Surface {
        let mut surface = Surface::default();
        self.visit("", "", &mut surface);
        surface
            .names
            .extend(features(manifest).map(|name| format!("feature {name}")));
        surface
    }

    /// Adds the public names of `module`, which users reach as `public`.
    fn visit(&self, module: &str, public: &str, surface: &mut Surface) {
        for item in &self.modules[module] {
            if let Item::Use(statement) = item {
                if is_public(&statement.vis, &statement.attrs) {
                    for (path, name) in leaves(&statement.tree) {
                        self.visit_reexport(module, &path, &join(public, &name), surface);
                    }
                }
            } else if let Some(name) = public_name(item) {
                let name_below = join(public, &name);
                match item {
                    Item::Mod(_) => self.visit(&join(module, &name), &name_below, surface),
                    _ => self.add_methods((module.to_owned(), name), &name_below, surface),
                }
                surface.names.insert(name_below);
            }
        }
    }

    fn visit_reexport(&self, module: &str, path: &[String], public: &str, surface: &mut Surface) {
        surface.names.insert(public.to_owned());
        match self.resolve(module, path) {
            Some(Target::Module(target)) => self.visit(&target, public, surface),
            Some(Target::Item(definition)) => self.add_methods(definition, public, surface),
            None if path[0] == TWIN => {
                surface.twins.insert(public.to_owned());
            }
            None => {}
        }
    }

    fn add_methods(&self, definition: (String, String), public: &str, surface: &mut Surface) {
        let mut methods = BTreeSet::new();
        let mut is_type = false;
        for (module, items) in &self.modules {
            for item in items {
                let Item::Impl(block) = item else { continue };
                let Type::Path(of) = &*block.self_ty else {
                    continue;
                };
                let path: Vec<_> = of
                    .path
                    .segments
                    .iter()
                    .map(|s| s.ident.to_string())
                    .collect();
                if self.resolve(module, &path) != Some(Target::Item(definition.clone())) {
                    continue;
                }
                is_type = true;
                if block.trait_.is_none() {
                    methods.extend(block.items.iter().filter_map(public_method));
                }
            }
        }
        if is_type {
            let name = public.rsplit("::").next().unwrap_or(public);
            surface
                .methods
                .entry(name.to_owned())
                .or_default()
                .extend(methods);
        }
    }

    /// What a path means inside a module, when it means something of this crate.
    fn resolve(&self, module: &str, path: &[String]) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let base = match first.as_str() {
            "crate" => Target::Module(String::new()),
            "self" => Target::Module(module.to_owned()),
            "super" => Target::Module(module.rsplit_once("::").map_or("", |(up, _)| up).to_owned()),
            name => self.resolve_name(module, name)?,
        };
        match (base, rest) {
            (target, []) => Some(target),
            (Target::Module(module), rest) => self.resolve(&module, rest),
            (Target::Item(_), _) => None,
        }
    }

    fn resolve_name(&self, module: &str, name: &str) -> Option<Target> {
        let child = join(module, name);
        if self.modules.contains_key(&child) {
            return Some(Target::Module(child));
        }
        let items = self.modules.get(module)?;
        if items
            .iter()
            .any(|item| item_name(item).is_some_and(|item| item == name))
        {
            return Some(Target::Item((module.to_owned(), name.to_owned())));
        }
        let uses = items.iter().filter_map(|item| match item {
            Item::Use(statement) => Some(leaves(&statement.tree)),
            _ => None,
        });
        let (path, _) = uses.flatten().find(|(_, leaf)| leaf == name)?;
        // `use name;` would lead back here: it names another crate.
        if path.len() == 1 {
            None
        } else {
            self.resolve(module, &path)
        }
    }
}

#[derive(Debug, PartialEq)]
enum Target {
    Module(String),
    Item((String, String)),
}

fn parse_items(name: &str, text: &str) -> Vec<Item> {
    syn::parse_file(text)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .items
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() {
        name.to_owned()
    } else {
        format!("{module}::{name}")
    }
}

/// The paths that a `use` tree names, each with the name it is given.
fn leaves(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(path) => {
            let mut below = leaves(&path.tree);
            for (full, name) in &mut below {
                full.insert(0, path.ident.to_string());
                if name == "self" {
                    full.pop();
                    *name = path.ident.to_string();
                }
            }
            below
        }
        UseTree::Name(leaf) => vec![(vec![leaf.ident.to_string()], leaf.ident.to_string())],
        UseTree::Rename(leaf) => vec![(vec![leaf.ident.to_string()], leaf.rename.to_string())],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
        UseTree::Glob(_) => Vec::new(),
    }
}

fn item_name(item: &Item) -> Option<String> {
    named(item).map(|(ident, _, _)| ident.to_string())
}

fn public_name(item: &Item) -> Option<String> {
    let (ident, visibility, attributes) = named(item)?;
    is_public(visibility, attributes).then(|| ident.to_string())
}

fn named(item: &Item) -> Option<(&syn::Ident, &Visibility, &[Attribute])> {
    Some(match item {
        Item::Const(item) => (&item.ident, &item.vis, &item.attrs),
        Item::Enum(item) => (&item.ident, &item.vis, &item.attrs),
        Item::Fn(item) => (&item.sig.ident, &item.vis, &item.attrs),
        Item::Mod(item) => (&item.ident, &item.vis, &item.attrs),
        Item::Static(item) => (&item.ident, &item.vis, &item.attrs),
        Item::Struct(item) => (&item.ident, &item.vis, &item.attrs),
        Item::Trait(item) => (&item.ident, &item.vis, &item.attrs),
        Item::Type(item) => (&item.ident, &item.vis, &item.attrs),
        _ => return None,
    })
}

fn public_method(item: &ImplItem) -> Option<String> {
    match item {
        ImplItem::Fn(method) if is_public(&method.vis, &method.attrs) => {
            Some(method.sig.ident.to_string())
        }
        _ => None,
    }
}

/// Hidden items are no part of what users are offered.
fn is_public(visibility: &Visibility, attributes: &[Attribute]) -> bool {
    matches!(visibility, Visibility::Public(_)) && !has_attribute(attributes, "doc", "hidden")
}

fn is_test(attributes: &[Attribute]) -> bool {
    has_attribute(attributes, "cfg", "test")
}

fn has_attribute(attributes: &[Attribute], name: &str, argument: &str) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list().ok();
        list.is_some_and(|list| list.path.is_ident(name) && list.tokens.to_string() == argument)
    })
}

fn features(manifest: &str) -> impl Iterator<Item = String> {
    let section = manifest.split("[features]").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim());
    names
        .filter(|name| !name.starts_with('#'))
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

fn surface(manifest: &str, files: &[(&str, &str)]) -> Surface {
    let files = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    Source::parse(&files).surface(manifest)
}

#[test]
fn drift_of_any_kind_is_seen() {
    let awaited = surface(
        "[features]\ntls = []\naws = []\n[lints]\nx = 1",
        &[
            (
                "lib.rs",
                "mod client; pub mod options; mod proto; pub use client::{Client, Old};",
            ),
            (
                "options.rs",
                "pub struct FindOptions; impl FindOptions { pub fn build(&self) {} }",
            ),
            (
                "proto.rs",
                "pub struct Client; impl Client { pub fn inner_only(&self) {} }",
            ),
            (
                "client/mod.rs",
                "mod verbs; pub struct Client; pub struct Old;",
            ),
            (
                "client/verbs.rs",
                "use super::Client; impl Client { pub fn ping(&self) {} pub fn warm(&self) {} \
                 #[doc(hidden)] pub fn seam(&self) {} pub(crate) fn own(&self) {} }",
            ),
        ],
    );
    let blocking = surface(
        "[features]\ntls = [\"motorcade/tls\"]",
        &[
            (
                "lib.rs",
                "mod client; pub use client::Client; pub use motorcade::{options}; pub use client::Run;",
            ),
            (
                "client.rs",
                "pub struct Client; pub trait Run {} impl crate::client::Client { pub fn ping(&self) {} pub fn wait(&self) {} }",
            ),
        ],
    );
    let mut found = differences(&awaited, &blocking);
    let expected = [
        "async Client::warm",
        "async Old",
        "async feature aws",
        "sync Client::wait",
        "sync Run",
    ];
    assert_eq!(
        found.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );

    let exceptions = "# note\nasync Client::warm # slow\nasync Old # gone\nasync feature aws # x\n\
                      sync Client::wait # y\nsync Run\nsync Gone # z";
    assert_eq!(
        subtract(&mut found, exceptions),
        ["sync Run", "sync Gone # z"]
    );
    assert_eq!(found, BTreeSet::from(["sync Run".to_owned()]));
}
