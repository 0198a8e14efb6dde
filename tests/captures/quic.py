#!/usr/bin/env python3
# HTTP/3 of the recorded world, by aioquic.
#   quic.py serve DIRECTORY_OF_CERTIFICATES [retry] NAME...   one server for each name, on its addresses
#   quic.py resolve DIRECTORY_OF_CERTIFICATES NAME            DNS over QUIC, from the world's name server
#   quic.py ask RESOLVER NAME                                 the address of NAME over QUIC
#   quic.py get URL [COUNT] [[FIRST:]VERSION,...] [cut]       COUNT requests on one connection; versions
#                                                             in hexadecimal, best first, and the one
#                                                             to start with; cut: a hello of two
#                                                             datagrams
#   quic.py resume URL                                        twice; the second time with early data
# The authority to trust is named by SSL_CERT_FILE.
import asyncio
import os
import socket
import ssl
import sys
import urllib.parse

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamDataReceived
from aioquic.quic.packet import QuicProtocolVersion

HERE = os.path.dirname(os.path.abspath(__file__))
BOTH = [QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2]
WORDS = b"Thank you for the report, a colleague of the second line has a look and writes back. "
# A person in an inbox: the vendor's asset host, then a few calls.
INBOX = b"""<!doctype html><title>Inbox</title>
<script src="https://js.intercomcdn.com/app.js?size=900"></script><script>
const sleep=t=>new Promise(r=>setTimeout(r,t));(async()=>{for(let n=0;n<4;n++){await sleep(300);
await fetch("/ember/conversations/"+n+"?size=700",{method:"POST",body:"a reply ".repeat(60)})}
document.title="done"})()</script>"""


def addresses(name):
    with open(os.path.join(HERE, "hosts.tsv"), encoding="utf-8") as table:
        number = next(row.split("\t")[1] for row in table if row.startswith(name + "\t"))
    return [f"198.18.1.{number}", f"2001:db8::1:{number}"]


class Origin(QuicConnectionProtocol):
    """Answers every request with `size` octets of text (default 600)."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = None

    def quic_event_received(self, event):
        if self.http is None:
            self.http = H3Connection(self._quic)
        for each in self.http.handle_event(event):
            if isinstance(each, HeadersReceived):
                self.reply(each.stream_id, dict(each.headers)[b":path"].decode())

    def reply(self, stream, path):
        parts = urllib.parse.urlsplit(path)
        size = int(urllib.parse.parse_qs(parts.query).get("size", ["600"])[0])
        page = parts.path == "/a/inbox"
        kind = b"text/html" if page else b"text/javascript"
        body = INBOX if page else (b"/*" + WORDS * (size // len(WORDS) + 1))[: size - 2] + b"*/"
        headers = [(b":status", b"200"), (b"content-type", kind)]
        self.http.send_headers(stream, headers)
        self.http.send_data(stream, body, end_stream=True)
        self.transmit()


class Resolver(QuicConnectionProtocol):
    """DNS over QUIC (RFC 9250): on each stream length(2) and a message, both ways."""

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived) and event.end_stream:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
                plain.settimeout(2)
                plain.sendto(event.data[2:], ("198.18.0.1", 53))
                answer = plain.recv(4096)
            data = len(answer).to_bytes(2, "big") + answer
            self._quic.send_stream_data(event.stream_id, data, end_stream=True)
            self.transmit()


class Client(QuicConnectionProtocol):
    """Asks for one thing after the other."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.waiting = {}

    async def get(self, url):
        parts = urllib.parse.urlsplit(url)
        stream = self._quic.get_next_available_stream_id()
        self.waiting[stream] = asyncio.get_running_loop().create_future()
        path = parts.path + ("?" + parts.query if parts.query else "")
        fields = {":method": "GET", ":scheme": "https", ":authority": parts.hostname, ":path": path}
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        self.http.send_headers(stream, headers, end_stream=True)
        self.transmit()
        await asyncio.wait_for(asyncio.shield(self.waiting[stream]), 5)

    def quic_event_received(self, event):
        for each in self.http.handle_event(event):
            if isinstance(each, (HeadersReceived, DataReceived)) and each.stream_ended:
                self.waiting[each.stream_id].set_result(None)


async def run_servers(certificates, *names):
    retry = names[0] == "retry"
    tickets = {}
    for name in names[retry:]:
        for address in addresses(name):
            served = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
            served.supported_versions = BOTH
            certificate = os.path.join(certificates, f"{name}.crt")
            served.load_cert_chain(certificate, os.path.join(certificates, "../leaf.key"))
            await serve(
                address, 443, configuration=served, create_protocol=Origin, retry=retry,
                session_ticket_fetcher=tickets.pop,
                session_ticket_handler=lambda ticket: tickets.update({ticket.ticket: ticket}),
            )
    print("ready", flush=True)
    await asyncio.Event().wait()


async def resolve(certificates, name):
    served = QuicConfiguration(is_client=False, alpn_protocols=["doq"])
    certificate = os.path.join(certificates, f"{name}.crt")
    served.load_cert_chain(certificate, os.path.join(certificates, "../leaf.key"))
    await serve(addresses(name)[0], 853, configuration=served, create_protocol=Resolver)
    print("ready", flush=True)
    await asyncio.Event().wait()


def trusting(versions=BOTH):
    wanted = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN)
    wanted.load_verify_locations(os.environ["SSL_CERT_FILE"])
    wanted.verify_mode = ssl.CERT_REQUIRED
    wanted.supported_versions = versions
    return wanted


async def get(url, count="1", versions="1", cut=None):
    first, _, liked = versions.rpartition(":")
    wanted = trusting([int(version, 16) for version in liked.split(",")])
    wanted.original_version = int(first, 16) if first else None
    wanted.quantum_readiness_test = cut == "cut"
    host = urllib.parse.urlsplit(url).hostname
    async with connect(host, 443, configuration=wanted, create_protocol=Client) as client:
        for _ in range(int(count)):
            await client.get(url)
            await asyncio.sleep(0.1)


async def ask(resolver, name):
    wanted = trusting()
    wanted.alpn_protocols = ["doq"]
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    # id(2) = 0 (RFC 9250 section 4.2.1), flags(2), one question of type A and class IN
    message = bytes.fromhex("000001000001000000000000") + labels + bytes.fromhex("0000010001")
    async with connect(resolver, 853, configuration=wanted) as client:
        reader, writer = await client.create_stream()
        writer.write(len(message).to_bytes(2, "big") + message)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 5)


async def resume(url):
    host = urllib.parse.urlsplit(url).hostname
    tickets = []
    for first in (True, False):
        wanted = trusting()
        wanted.session_ticket = None if first else tickets[-1]
        async with connect(
            host, 443, configuration=wanted, create_protocol=Client, wait_connected=first,
            session_ticket_handler=tickets.append,
        ) as client:
            await client.get(url)
            await asyncio.sleep(0.2)


MODES = {"serve": run_servers, "resolve": resolve, "ask": ask, "get": get, "resume": resume}
asyncio.run(MODES[sys.argv[1]](*sys.argv[2:]))
