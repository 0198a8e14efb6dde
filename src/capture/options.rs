//! The `[capture]` section of the configuration: which interfaces, and how much of each frame.

use serde::{Deserialize, Serialize};

use super::live::{BATCH_FRAMES, BATCH_OCTETS};

/// How frames are taken from interfaces. Files need none of this.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Names of the interfaces to listen on.
    pub interfaces: Vec<String>,
    /// Whether frames for other stations are taken too: a span port carries nothing else.
    pub promiscuous: bool,
    /// Octets taken of each frame at most (64 to 262144). Shorter frames make the kernel's buffer last longer.
    pub snaplen: u32,
    /// MiB of kernel buffer for each interface (1 to 2047).
    pub buffer_mib: u32,
    /// A BPF expression as tcpdump takes it; empty takes everything.
    pub filter: String,
}

impl Options {
    /// Octets held at most: the kernel's buffer and one batch of frames for each interface.
    pub fn memory(&self) -> u64 {
        // Twice, as a vector grows by doubling.
        let batch = 2 * (BATCH_OCTETS as u64 + BATCH_FRAMES as u64 * u64::from(self.snaplen));
        self.interfaces.len() as u64 * (u64::from(self.buffer_mib) * 1024 * 1024 + batch)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            promiscuous: true,
            snaplen: 65_535,
            buffer_mib: 64,
            filter: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_a_span_port_and_unknown_keys_are_refused() {
        let options: Options = toml::from_str("interfaces = ['eth1']").unwrap();
        let wanted = Options { interfaces: vec!["eth1".into()], ..Options::default() };
        assert_eq!(options, wanted);
        assert!(options.promiscuous && options.snaplen == 65_535 && options.buffer_mib == 64);
        let error = toml::from_str::<Options>("interface = 'eth1'").unwrap_err().to_string();
        assert!(error.contains("interface"), "{error}");
    }

    #[test]
    fn memory_grows_with_interfaces() {
        let one = Options { interfaces: vec!["a".into()], ..Options::default() };
        let two = Options { interfaces: vec!["a".into(), "b".into()], ..Options::default() };
        assert_eq!(two.memory(), 2 * one.memory());
        assert!(one.memory() > 64 << 20);
    }
}
