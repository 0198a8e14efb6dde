//! A veth pair made by a test, and recorded frames put into its far end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pcap::{Active, Capture};

/// Without addresses: what is put into the far end comes out of the near end, and goes no farther.
pub struct Wire {
    pub near: String,
    far: String,
}

impl Wire {
    /// `None` where interfaces cannot be made; the reason goes to stderr.
    pub fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:x}{serial}", std::process::id() % 0xff_ffff);
        let wire = Self { near: format!("sdn{name}"), far: format!("sdf{name}") };
        let pair = ["link", "add", &wire.near, "type", "veth", "peer", "name", &wire.far];
        if let Err(why) = run("ip", &pair) {
            skipped("cannot make a veth pair", &why);
            return None;
        }
        wire.quieten();
        Some(wire)
    }

    /// Makes the pair anew after it was deleted.
    pub fn lay(&self) {
        run("ip", &["link", "add", &self.near, "type", "veth", "peer", "name", &self.far]).unwrap();
        self.quieten();
    }

    fn quieten(&self) {
        for end in [&self.near, &self.far] {
            // The kernel has nothing to say of its own: no neighbour discovery between the frames of a test.
            let quiet = format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6");
            if Path::new(&quiet).exists() {
                std::fs::write(&quiet, "1").unwrap();
            }
        }
        self.set("up");
    }

    /// `up` or `down`, of both ends.
    pub fn set(&self, state: &str) {
        for end in [&self.near, &self.far] {
            run("ip", &["link", "set", end, state]).unwrap();
        }
    }

    pub fn sender(&self) -> Sender {
        let far = Capture::from_device(self.far.as_str()).unwrap().open().unwrap();
        Sender { far, requests: 0 }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = run("ip", &["link", "del", &self.near]);
    }
}

pub struct Sender {
    far: Capture<Active>,
    requests: u16,
}

impl Sender {
    /// Plays a capture with its gaps divided by `faster`; how many frames it has.
    pub fn play(&mut self, capture: &str, faster: u32) -> u64 {
        let mut file = Capture::from_file(recorded(capture)).unwrap();
        let (start, mut first, mut frames) = (Instant::now(), None, 0);
        while let Ok(packet) = file.next_packet() {
            let at = packet.header.ts;
            let at = Duration::new(at.tv_sec as u64, at.tv_usec as u32 * 1_000);
            let due = (at - *first.get_or_insert(at)) / faster;
            thread::sleep(due.saturating_sub(start.elapsed()));
            self.far.sendpacket(packet.data).unwrap();
            frames += 1;
        }
        assert!(frames > 0, "{capture} is empty");
        frames
    }

    /// Asks the name server 198.18.0.1 (RFC 2544) for `pPORT.example`, from port `port` of 198.18.0.2.
    pub fn question(&mut self, port: u16) {
        let label = format!("p{port}");
        // An id, recursion wanted, one question (RFC 1035 section 4.1.1); type A, class IN.
        let mut dns = vec![0x5a, 0x5a, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8];
        dns.extend(label.as_bytes());
        dns.extend(b"\x07example\0\0\x01\0\x01");
        self.datagram(2, 1, [port, 53], &dns);
    }

    /// 198.18.0.1 leases 198.18.0.7 to `desk-7` for an hour.
    pub fn lease(&mut self) {
        let mac = [0x3c, 0x22, 0xfb, 1, 2, 3];
        // BOOTREPLY, Ethernet; an id; yiaddr; chaddr; sname and file; options (RFC 2131 section 2).
        let mut dhcp = vec![2, 1, 6, 0, 0x5a, 0x5a, 0x5a, 0x5a, 0, 0, 0, 0, 0, 0, 0, 0];
        dhcp.extend([198, 18, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        dhcp.extend(mac);
        dhcp.extend([0; 10 + 64 + 128]);
        dhcp.extend([99, 130, 83, 99, 53, 1, 5, 51, 4, 0, 0, 14, 16, 54, 4, 198, 18, 0, 1]);
        dhcp.extend(b"\x0c\x06desk-7\xff");
        self.datagram(1, 7, [67, 68], &dhcp);
    }

    /// The name server 198.18.0.1 says that `host` has an address.
    pub fn answer(&mut self, host: &str, address: [u8; 4]) {
        // A response to one question with one answer, whose name is that of the question.
        let mut dns = vec![0x5a, 0x5a, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        for label in host.split('.') {
            dns.push(label.len() as u8);
            dns.extend(label.as_bytes());
        }
        dns.extend([0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4]);
        dns.extend(address);
        self.datagram(1, 2, [53, 40_053], &dns);
    }

    /// A client asks port 80 of a server for `/` of `host`, and is answered; how many frames that takes.
    pub fn request(&mut self, client: [u8; 4], server: [u8; 4], host: &str) -> u64 {
        let ask = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        self.talk(client, server, 80, [&ask, "HTTP/1.1 204 No Content\r\n\r\n"], true)
    }

    /// A client says something to a port of a server, and is answered, with the handshake or without; how many frames that takes.
    pub fn talk(
        &mut self,
        client: [u8; 4],
        server: [u8; 4],
        port: u16,
        [ask, told]: [&str; 2],
        shaken: bool,
    ) -> u64 {
        // A port of its own for each, or a mirror's copies is what equal frames would be.
        self.requests += 1;
        let own = 40_080 + self.requests % 20_000;
        let (asked, said) = (1 + ask.len() as u32, 1 + told.len() as u32);
        // Towards the server, flags, sequence and acknowledgement number, octets.
        let segments: [(bool, u8, u32, u32, &str); 7] = [
            (true, SYN, 0, 0, ""),
            (false, SYN | ACK, 0, 1, ""),
            (true, ACK, 1, 1, ""),
            (true, ACK, 1, 1, ask),
            (false, ACK, 1, asked, told),
            (true, ACK | FIN, asked, said, ""),
            (false, ACK | FIN, said, asked + 1, ""),
        ];
        let segments = &segments[if shaken { 0 } else { 3 }..];
        for &(there, flags, sequence, acknowledged, payload) in segments {
            let (from, to) = if there { (client, server) } else { (server, client) };
            let ports: [u16; 2] = if there { [own, port] } else { [port, own] };
            let mut frame = vec![2, 0, 0xc6, 0x12, 0, to[3], 2, 0, 0xc6, 0x12, 0, from[3]];
            frame.extend([8, 0, 0x45, 0]);
            frame.extend((40 + payload.len() as u16).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
            frame.extend([from, to].concat());
            frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
            frame.extend([sequence, acknowledged].iter().flat_map(|n| n.to_be_bytes()));
            frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]); // no options, no checksum
            frame.extend(payload.as_bytes());
            self.frame(&frame);
        }
        segments.len() as u64
    }

    /// A datagram with this number in it, so many times.
    pub fn numbered(&mut self, number: u32, times: u32) {
        let port = 40_000 + (number % 100) as u16;
        for _ in 0..times {
            self.datagram(2, 1, [port, 9], &number.to_be_bytes());
        }
    }

    fn datagram(&mut self, from: u8, to: u8, ports: [u16; 2], payload: &[u8]) {
        let udp = 8 + payload.len() as u16;
        let mut frame = vec![2, 0, 0xc6, 0x12, 0, to, 2, 0, 0xc6, 0x12, 0, from];
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + udp).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, 0, from, 198, 18, 0, to]);
        frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        frame.extend(udp.to_be_bytes());
        frame.extend([0, 0]); // no checksum
        frame.extend(payload);
        self.frame(&frame);
    }

    pub fn frame(&mut self, frame: &[u8]) {
        self.far.sendpacket(frame).unwrap();
    }
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// The file of a capture in tests/captures.
pub fn recorded(capture: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(format!("{capture}.pcap"))
}

/// Straight to stderr: what the macros print, the test harness keeps to itself.
pub fn skipped(what: &str, why: &str) {
    let line = format!("SKIPPED: {what}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

pub fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let Output { status, stderr, .. } =
        Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    if status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&stderr).trim().to_owned()) }
}
