# Reads what `record` wrote: frames of TCP and UDP between the recorded client and its servers.
import struct
import sys
from dataclasses import dataclass

# The client of every scene, whom compose replaces by a person of the office.
RECORDED = (bytes([198, 18, 0, 2]), bytes.fromhex("20010db8000000000000000000000002"))
ETHERNET, TCP, UDP = 1, 6, 17


@dataclass
class Frame:
    """One recorded frame: seconds since the scene's first, octets, where its layers begin."""

    at: float
    data: bytes
    network: int
    transport: int
    protocol: int
    from_client: bool


def read_scene(path):
    """The TCP and UDP frames of a capture as tcpdump writes it: microseconds, little-endian."""
    with open(path, "rb") as capture:
        data = capture.read()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    if magic != 0xA1B2C3D4 or link != ETHERNET:
        sys.exit(f"{path}: not a pcap of Ethernet with microseconds; remedy: record it again")
    frames, at, first = [], 24, None
    while at < len(data):
        seconds, micros, captured, _ = struct.unpack_from("<IIII", data, at)
        octets = data[at + 16 : at + 16 + captured]
        at += 16 + captured
        first = first if first is not None else seconds + micros / 1e6
        frame = parse(seconds + micros / 1e6 - first, octets)
        if frame:
            frames.append(frame)
    # Whatever the kernel sent before the person began is no part of the scene.
    start = frames[0].at
    for frame in frames:
        frame.at -= start
    return frames


def parse(at, data):
    network = 14
    while data[network - 2 : network] == b"\x81\x00":
        network += 4
    kind = data[network - 2 : network]
    if kind == b"\x08\x00":
        protocol, transport = data[network + 9], network + 4 * (data[network] & 15)
        source, destination = data[network + 12 : network + 16], data[network + 16 : network + 20]
    elif kind == b"\x86\xdd":
        protocol, transport = data[network + 6], network + 40
        source, destination = data[network + 8 : network + 24], data[network + 24 : network + 40]
    else:
        return None
    if protocol not in (TCP, UDP) or (source in RECORDED) == (destination in RECORDED):
        return None
    return Frame(at, data, network, transport, protocol, source in RECORDED)


def total_length(data, network, is_v4):
    if is_v4:
        return struct.unpack_from("!H", data, network + 2)[0]
    return 40 + struct.unpack_from("!H", data, network + 4)[0]


def checksum(octets):
    """The Internet checksum (RFC 1071)."""
    padded = bytes(octets) + bytes(len(octets) % 2)
    # Ones' complement addition of 16-bit words is arithmetic modulo 0xffff.
    value = int.from_bytes(padded, "big") % 0xFFFF
    return 0xFFFF - value if value else (0 if any(padded) else 0xFFFF)
