//! Hours in the store: rows of clients until their hour is told, and roll-ups over clients that stay.

use rusqlite::{Connection, Transaction, params};

use super::{Error, Store, UsageKey};

/// What a place had in one hour, over clients.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rollup {
    /// Since the epoch.
    pub hour: u32,
    pub group: String,
    pub vendor: String,
    /// Empty where there is none.
    pub tenant: String,
    pub role: String,
    pub deployment: String,
    pub sum: RollupSum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RollupSum {
    /// Each client counts once for a vendor, an hour and a group.
    pub clients: u64,
    pub flows: u64,
    pub sessions: u64,
    /// Octets, client to server and back.
    pub sent: u64,
    pub received: u64,
    pub active_minutes: u64,
}

impl Store {
    /// All rows of `hour`: hour, key and value.
    pub fn hours(&self) -> Result<Vec<(u32, UsageKey, String)>, Error> {
        let mut select = self.connection.prepare(
            "SELECT hour, grp, client, vendor, tenant, role, value FROM hour ORDER BY hour",
        )?;
        let rows = select.query_map([], |row| {
            let key = UsageKey {
                group: row.get(1)?,
                client: row.get(2)?,
                vendor: row.get(3)?,
                tenant: row.get(4)?,
                role: row.get(5)?,
            };
            Ok((row.get(0)?, key, row.get(6)?))
        })?;
        rows.collect::<Result<_, _>>().map_err(Error::from)
    }

    /// The last hour of which there are roll-ups.
    pub fn last_rollup(&self) -> Result<Option<u32>, Error> {
        let hour = self.connection.query_row("SELECT max(hour) FROM rollup", [], |r| r.get(0))?;
        Ok(hour)
    }

    /// Roll-ups of the hours from `from` to before `until`, in their order; of one vendor, where it is named.
    pub fn rollups(
        &self,
        from: u32,
        until: u32,
        vendor: Option<&str>,
    ) -> Result<Vec<Rollup>, Error> {
        let mut select = self.connection.prepare_cached(
            "SELECT hour, grp, vendor, tenant, role, deployment, clients, flows, sessions, sent, \
             received, active_minutes FROM rollup \
             WHERE hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR vendor = ?3) ORDER BY hour",
        )?;
        let rows = select.query_map(params![from, until, vendor], |row| {
            let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
            Ok(Rollup {
                hour: row.get(0)?,
                group: row.get(1)?,
                vendor: row.get(2)?,
                tenant: row.get(3)?,
                role: row.get(4)?,
                deployment: row.get(5)?,
                sum: RollupSum {
                    clients: count(6)?,
                    flows: count(7)?,
                    sessions: count(8)?,
                    sent: count(9)?,
                    received: count(10)?,
                    active_minutes: count(11)?,
                },
            })
        })?;
        rows.collect::<Result<_, _>>().map_err(Error::from)
    }
}

/// Writes rows of hours that are not told yet, or deletes them.
pub(super) fn put_hours(
    transaction: &Transaction<'_>,
    hours: &[(u32, UsageKey, Option<String>)],
) -> Result<(), rusqlite::Error> {
    for (hour, UsageKey { group, client, vendor, tenant, role }, value) in hours {
        match value {
            Some(value) => transaction
                .prepare_cached("INSERT OR REPLACE INTO hour VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                .execute(params![hour, group, client, vendor, tenant, role, value])?,
            None => transaction
                .prepare_cached(
                    "DELETE FROM hour WHERE hour = ?1 AND grp = ?2 AND client = ?3 \
                     AND vendor = ?4 AND tenant = ?5 AND role = ?6",
                )?
                .execute(params![hour, group, client, vendor, tenant, role])?,
        };
    }
    Ok(())
}

/// Adds to roll-ups.
pub(super) fn add_rollups(
    transaction: &Transaction<'_>,
    rollups: &[Rollup],
) -> Result<(), rusqlite::Error> {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    for Rollup { hour, group, vendor, tenant, role, deployment, sum } in rollups {
        let RollupSum { clients, flows, sessions, sent, received, active_minutes } = *sum;
        let sums = [clients, flows, sessions, sent, received, active_minutes].map(whole);
        let [clients, flows, sessions, sent, received, active_minutes] = sums;
        transaction
            .prepare_cached(
                "INSERT INTO rollup VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
                 ON CONFLICT DO UPDATE SET clients = clients + excluded.clients, \
                 flows = flows + excluded.flows, sessions = sessions + excluded.sessions, \
                 sent = sent + excluded.sent, received = received + excluded.received, \
                 active_minutes = active_minutes + excluded.active_minutes",
            )?
            .execute(params![
                hour,
                group,
                vendor,
                tenant,
                role,
                deployment,
                clients,
                flows,
                sessions,
                sent,
                received,
                active_minutes
            ])?;
    }
    Ok(())
}

/// Deletes the oldest hours beyond so many rows; how many.
pub(super) fn bound(connection: &Connection, most: u32) -> Result<usize, rusqlite::Error> {
    connection
        .prepare_cached(
            "DELETE FROM rollup WHERE hour <= \
             (SELECT hour FROM rollup ORDER BY hour DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([most])
}

/// Roll-ups that are kept: 400 days of 200 places in use each hour, in some 200 MB.
pub(super) const MAX_ROLLUPS: u32 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, Retention};

    fn rollup(hour: u32, vendor: &str, clients: u64, sent: u64) -> Rollup {
        Rollup {
            hour,
            vendor: vendor.into(),
            sum: RollupSum { clients, sent, ..RollupSum::default() },
            ..Rollup::default()
        }
    }

    fn commit(store: &mut Store, rollups: Vec<Rollup>) {
        store.commit(&[Batch { rollups, ..Batch::default() }]).unwrap();
    }

    #[test]
    fn roll_ups_add_up() {
        let mut store = Store::memory().unwrap();
        assert_eq!(store.last_rollup().unwrap(), None);
        commit(&mut store, vec![rollup(47, "a", 1, 10), rollup(48, "a", 3, 10)]);
        commit(&mut store, vec![rollup(48, "a", 1, 5), rollup(49, "b", 1, 1)]);
        assert_eq!(store.last_rollup().unwrap(), Some(49));
        let told = |from, until, vendor| -> Vec<(u32, u64, u64)> {
            let rows = store.rollups(from, until, vendor).unwrap();
            rows.iter().map(|r| (r.hour, r.sum.clients, r.sum.sent)).collect()
        };
        assert_eq!(told(0, 99, None), [(47, 1, 10), (48, 4, 15), (49, 1, 1)]);
        assert_eq!(told(24, 72, Some("a")), [(47, 1, 10), (48, 4, 15)]);
        assert_eq!(told(48, 49, None), [(48, 4, 15)]);
    }

    #[test]
    fn roll_ups_are_bounded_by_age_and_number() {
        let mut store = Store::memory().unwrap();
        commit(&mut store, (0..10).map(|hour| rollup(hour, "a", 1, 1)).collect());
        let retention = Retention {
            clients: String::new(),
            sums: String::new(),
            sum: "past",
            alerts: 0,
            summaries: 0,
            rollups: 3,
        };
        assert_eq!(super::super::schema::retire(&store.connection, &retention).unwrap(), 3);
        assert_eq!(bound(&store.connection, 5).unwrap(), 2);
        assert_eq!(bound(&store.connection, 5).unwrap(), 0);
        let left = store.rollups(0, 99, None).unwrap();
        assert_eq!(left.first().map(|r| r.hour), Some(5));
    }
}
