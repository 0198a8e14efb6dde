//! The configuration file as its user writes it: composes each stage's own options.
