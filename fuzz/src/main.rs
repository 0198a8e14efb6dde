//! One target in libFuzzer's loop: the one that `SAASTAP_TARGET` names; `list` prints all.
#![no_main]

use std::sync::LazyLock;

type Target = (String, fn(&str, &[u8]));

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("SAASTAP_TARGET").unwrap_or_default();
    if name.is_empty() || name == "list" {
        print!("{}", saastap_fuzz::list());
        std::process::exit(if name.is_empty() { 2 } else { 0 });
    }
    let target = saastap_fuzz::target(&name);
    (name, target)
});

libfuzzer_sys::fuzz_target!(
    init: {
        LazyLock::force(&TARGET);
    },
    |data: &[u8]| {
        let (name, target) = &*TARGET;
        target(name, data);
    }
);
