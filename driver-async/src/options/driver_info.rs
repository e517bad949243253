//! What a library built on this driver tells the server about itself.

use serde::Deserialize;
use typed_builder::TypedBuilder;

/// What a library built on this driver adds to the metadata that each connection sends.
///
/// Follows the handshake specification, which asks that no field contain a `|`.
///
/// ```
/// use motorcade::options::{ClientOptions, DriverInfo};
///
/// let info = DriverInfo::builder().name("odm").version("1.2.0".to_owned()).build();
/// let options = ClientOptions::builder().driver_info(info).build();
/// assert!(options.driver_info.is_some());
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DriverInfo {
    /// The library's name.
    pub name: String,
    /// The library's version.
    #[builder(default)]
    pub version: Option<String>,
    /// What the library runs on.
    #[builder(default)]
    pub platform: Option<String>,
}
