//! What a look-up in the catalogue costs: among a thousand and a hundred thousand generated suffixes, in names of ten labels
//! and of a hundred and twenty-seven, and for a name seen for the first time; and what loading takes. `cargo bench --bench lookup`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use saastap::signature::Catalog;

/// Suffixes of one generated vendor, and names that one run of look-ups asks for in turn.
const SUFFIXES: usize = 100;
const NAMES: usize = 1_000;

/// Runs of which the median is told, and look-ups in each.
const RUNS: usize = 31;
const LOOKUPS: usize = 200_000;

fn main() {
    let begin = Instant::now();
    Catalog::embedded().expect("the shipped catalogue loads");
    println!("shipped catalogue: loaded in {:?}", begin.elapsed());
    let few = generated(1_000);
    let begin = Instant::now();
    let many = generated(100_000);
    println!("100,000 suffixes: loaded in {:?}", begin.elapsed());
    let mut hosts = Vec::new();
    for name in 0..NAMES {
        hosts.push(format!(
            "account{name}.s{}-{}.example{}.com",
            name % SUFFIXES,
            name % 10,
            name % 10
        ));
    }
    let (small, large) = (measure(&few, &hosts), measure(&many, &hosts));
    println!(
        "hit among 1,000: {small:?}; among 100,000: {large:?} ({:.2} times)",
        ratio(large, small)
    );
    let spread: Vec<String> = (0..NAMES * 100)
        .map(|n| {
            format!(
                "a.s{}-{}.example{}.com",
                n % SUFFIXES,
                n / SUFFIXES % 1_000,
                n / SUFFIXES % 1_000
            )
        })
        .collect();
    let cold = measure(&many, &spread);
    println!("hit among 100,000, each suffix in turn: {cold:?} ({:.2} times)", ratio(cold, small));
    let ten = [format!("{}example.net", "a.".repeat(8))];
    let most = [format!("{}example.net", "a.".repeat(121))];
    let (ten, most) = (measure(&many, &ten), measure(&many, &most));
    println!("miss with 10 labels: {ten:?}; with 123: {most:?} ({:.2} times)", ratio(most, ten));
    let catalog = Catalog::embedded().expect("the shipped catalogue loads");
    let begin = Instant::now();
    for host in hosts.iter().cycle().take(LOOKUPS / 10) {
        black_box(catalog.imitates(black_box(host)));
    }
    println!("imitation of a new name: {:?}", begin.elapsed() / (LOOKUPS / 10) as u32);
}

/// A catalogue of so many suffixes.
fn generated(count: usize) -> Catalog {
    let texts: Vec<(String, String)> = (0..count / SUFFIXES).map(sheet).collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (&**path, &**text)).collect();
    Catalog::load_texts(&texts).unwrap_or_else(|faults| panic!("{faults}"))
}

fn sheet(vendor: usize) -> (String, String) {
    let head = format!(
        "id = \"v{vendor}\"\nname = \"V{vendor}\"\ncategories = [\"helpdesk\"]\ndeployment = \"cloud\"\n\
         homepage = \"https://example{vendor}.com\"\n"
    );
    let rules = (0..SUFFIXES).map(|n| {
        format!(
            "[[match]]\ndomain = \"s{n}-{vendor}.example{vendor}.com\"\nrole = \"console\"\ntenant = \"label\"\n\
             source = \"generated\"\n"
        )
    });
    let examples = format!(
        "[[example]]\nhost = \"a.s0-{vendor}.example{vendor}.com\"\nexpect = {{ role = \"console\", tenant = \"a\" }}\n\
         [[example]]\nhost = \"example.org\"\nexpect = \"none\"\n"
    );
    (format!("helpdesk/v{vendor}.toml"), head + &rules.collect::<String>() + &examples)
}

/// The median time of a look-up.
fn measure(catalog: &Catalog, hosts: &[String]) -> Duration {
    let mut runs: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            for host in hosts.iter().cycle().take(LOOKUPS) {
                let name = saastap::signature::domain::Name::new(black_box(host)).expect("a name");
                black_box(catalog.find(&name));
            }
            begin.elapsed() / LOOKUPS as u32
        })
        .collect();
    runs.sort_unstable();
    runs.get(RUNS / 2).copied().unwrap_or_default()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
