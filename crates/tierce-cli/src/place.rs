//! One row of the gazetteer.

use serde::{Deserialize, Serialize};

/// A populated place, as the database holds it and the service answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// GeoNames' id.
    pub(crate) id: u32,
    pub(crate) name: String,
    /// ISO 3166-1 alpha-2.
    pub(crate) country: String,
    pub(crate) population: u32,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) timezone: String,
    /// Place in the order by population when the data was loaded, from 0; never changes.
    pub(crate) rank: u32,
    /// How often the row was updated. Every update adds one, so that an older row can be told from a newer.
    pub(crate) version: u32,
}

/// What an update sets; `None` leaves the column as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) population: Option<u32>,
}
