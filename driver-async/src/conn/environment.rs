//! Gathers what the client metadata says about the machine.

use std::{env, fs, path::Path};

use crate::proto::hello::{Environment, OperatingSystem};

/// What the driver runs on. The exact compiler is not known without a build script.
pub(crate) const PLATFORM: &str =
    concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"), " or newer, tokio");

/// The operating system that the program runs on.
pub(crate) fn operating_system() -> OperatingSystem {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    OperatingSystem {
        kind: family(env::consts::OS).to_owned(),
        name: release_value(&release, "PRETTY_NAME"),
        architecture: Some(env::consts::ARCH.to_owned()),
        version: release_value(&release, "VERSION_ID"),
    }
}

/// The function service and the container that the program runs in.
pub(crate) fn environment() -> Environment {
    Environment::detect(
        &|name| env::var(name).ok(),
        Path::new("/.dockerenv").exists(),
    )
}

/// The word for a family of operating systems that `uname -s` has.
fn family(os: &str) -> &str {
    match os {
        "linux" | "android" => "Linux",
        "macos" | "ios" => "Darwin",
        "windows" => "Windows",
        "freebsd" | "netbsd" | "openbsd" | "dragonfly" => "BSD",
        other => other,
    }
}

/// A value of the file that os-release(5) describes.
fn release_value(release: &str, key: &str) -> Option<String> {
    let value = release
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_os_release_lose_their_quotes() {
        let release = "NAME=\"Debian GNU/Linux\"\nVERSION_ID='13'\nID=debian\nEMPTY=\"\"\n";
        for (key, wanted) in [
            ("NAME", Some("Debian GNU/Linux")),
            ("VERSION_ID", Some("13")),
            ("ID", Some("debian")),
            ("EMPTY", None),
            ("VERSION", None),
        ] {
            assert_eq!(release_value(release, key).as_deref(), wanted, "{key}");
        }
    }
}
