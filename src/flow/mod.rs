//! Who talks with whom: canonical keys, the bounded flow table, openings and lazy expiry.
