//! The SQLite file on disk: opens, migrates and commits; other stages give it rows.
