//! Usages and names as rows of the store, and back.

use std::path::Path;

use crate::alert::Raised;
use crate::alert::event::What;
use crate::identity::names;
use crate::signature::Role;
use crate::store::{self, NameRow, Store, UsageKey};
use crate::usage::{Inventory, Key, Usage};

/// Rows of the store for usages that changed.
pub fn rows(changed: Vec<(Key, Usage)>) -> Vec<(UsageKey, Option<String>)> {
    changed.iter().map(|(key, usage)| (row_key(key), serde_json::to_string(usage).ok())).collect()
}

/// Rows of the store for usages that are gone, or have grown.
pub fn retired(rows: &[(Key, Option<Usage>)]) -> Vec<(UsageKey, Option<String>)> {
    let value = |usage: &Option<Usage>| usage.as_ref().and_then(|u| serde_json::to_string(u).ok());
    rows.iter().map(|(key, usage)| (row_key(key), value(usage))).collect()
}

/// The usage that an event rests on; committed with it.
pub fn usage_of(raised: &Raised, inventory: &Inventory) -> Vec<(UsageKey, Option<String>)> {
    let What::Finding(report) = &raised.event.what else { return Vec::new() };
    let Some(usage) = report.usage() else { return Vec::new() };
    let key = inventory.counted_as(Key {
        group: raised.group.clone(),
        client: usage.client.id.clone(),
        vendor: usage.vendor.id.clone(),
        tenant: usage.tenant.clone(),
        role: usage.role,
    });
    inventory.get(&key).map(|usage| rows(vec![(key, usage)])).unwrap_or_default()
}

/// What the sensor has kept of usage, read beside it while it runs.
///
/// # Errors
/// There is no store, or it cannot be read.
pub fn kept_usages(database: &Path) -> Result<Vec<(Key, Usage)>, store::Error> {
    Ok(usages(&Store::read_only(database)?.usages()?))
}

/// The usages of rows; one that cannot be read is left out, and told.
pub fn usages(rows: &[(UsageKey, String)]) -> Vec<(Key, Usage)> {
    let read = |(key, value): &(UsageKey, String)| {
        let usage: Usage = serde_json::from_str(value).ok()?;
        Some((from_row(key)?, usage))
    };
    let usages: Vec<_> = rows.iter().filter_map(read).collect();
    if usages.len() < rows.len() {
        tracing::warn!("store: {} usages cannot be read", rows.len() - usages.len());
    }
    usages
}

/// Rows of the store for what DNS taught.
pub fn names(rows: Vec<names::Row>) -> Vec<NameRow> {
    let row = |row: names::Row| NameRow {
        key: row.key,
        value: row.value,
        until: i64::try_from(row.until.secs()).unwrap_or(i64::MAX),
    };
    rows.into_iter().map(row).collect()
}

/// `None` where another version knew another role.
pub fn from_row(key: &UsageKey) -> Option<Key> {
    let role = Role::ALL.into_iter().find(|r| r.name() == key.role)?;
    let tenant = (!key.tenant.is_empty()).then(|| key.tenant.as_str().into());
    let (group, client) = (key.group.as_str().into(), key.client.as_str().into());
    Some(Key { group, client, vendor: key.vendor.as_str().into(), tenant, role })
}

pub fn row_key(key: &Key) -> UsageKey {
    UsageKey {
        group: key.group.to_string(),
        client: key.client.to_string(),
        vendor: key.vendor.to_string(),
        tenant: key.tenant.as_deref().unwrap_or_default().to_owned(),
        role: key.role.name().to_owned(),
    }
}
