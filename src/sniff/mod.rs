//! What the opening of a flow says: sniffers without clock and I/O, one file each, and the table that lists them.

mod evidence;

pub use evidence::{ClientHello, DnsAnswer, DnsMessage, Ech, Evidence, HttpRequest};

/// The first in-order bytes of each direction of a stream, from the offset at which the sniffer was told to begin.
#[derive(Clone, Copy, Debug)]
pub struct Openings<'a> {
    pub client: &'a [u8],
    pub server: &'a [u8],
}

/// The five answers of a sniffer.
#[derive(Debug)]
pub enum Answer {
    /// These bytes are not of my protocol; do not ask again.
    NotMine,
    /// They may be; ask again when there are more. Too short is never an error.
    NeedMore,
    /// All that I can tell.
    Found(Evidence),
    /// One message is done, of so many bytes; go on with what follows.
    Emit(Evidence, usize),
    /// Start again, with every sniffer, on what follows these offsets (client, server): STARTTLS, CONNECT, SOCKS, PROXY.
    Inside(Option<Evidence>, usize, usize),
}
