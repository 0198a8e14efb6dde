//! How much of what takes long is done: a small dose in `make test`, many times that in `make test-long`.

/// How often a test is tried: `usual` times, or as many times more as `make test-long` asks for.
pub fn doses(usual: usize) -> usize {
    let more = std::env::var("SAASTAP_TEST_DOSES").ok().and_then(|n| n.parse::<usize>().ok());
    usual * more.unwrap_or(1)
}
