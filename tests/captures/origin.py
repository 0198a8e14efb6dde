#!/usr/bin/env python3
# The servers of the recorded world: a name server, HTTP and HTTPS origins, a remote-assistance
# relay.
#   origin.py DIRECTORY_OF_CERTIFICATES
# Every name and its address stands in hosts.tsv; DIRECTORY/NAME.pem holds its certificate chain and
# key.
import http.server
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
RESOLVERS = ["198.18.0.1", "2001:db8::1"]
A, CNAME, AAAA, HTTPS = 1, 5, 28, 65
ALPN, ECH = 1, 5
TTL = 300
WORDS = b"Thank you for the report, a colleague of the second line has a look and writes back. "


def hosts():
    with open(os.path.join(HERE, "hosts.tsv"), encoding="utf-8") as table:
        for line in table:
            if not line.startswith("#"):
                yield (line.rstrip("\n").split("\t") + ["", "", ""])[:4]


class Zone:
    """Answers A over IPv4 and AAAA over IPv6 only: the family used is then the scene's choice.

    Names of the kind `ech` have an HTTPS record too where the scene's server left an ECHConfigList.
    """

    def __init__(self, certificates):
        self.table = {name: (number, target) for name, number, _, target in hosts()}
        self.hiding = {name for name, _, kind, _ in hosts() if kind == "ech"}
        self.configs = os.path.join(certificates, "ech-configs")

    def answer(self, query, over_ipv6):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii").lower())
            at += 1 + query[at]
        kind = struct.unpack_from("!H", query, at + 1)[0]
        question, name = query[12 : at + 5], ".".join(labels)
        if name not in self.table:
            return query[:2] + b"\x85\x83" + struct.pack("!4H", 1, 0, 0, 0) + question
        records = []
        while self.table[name][1]:
            target = self.table[name][1]
            records.append(record(name, CNAME, encode(target)))
            name = target
        number = int(self.table[name][0])
        if kind == A and not over_ipv6:
            records.append(record(name, A, socket.inet_aton(f"198.18.1.{number}")))
        if kind == AAAA and over_ipv6:
            records.append(record(name, AAAA, socket.inet_pton(socket.AF_INET6, v6(number))))
        if kind == HTTPS and name in self.hiding and os.path.exists(self.configs):
            with open(self.configs, "rb") as configs:
                records.append(record(name, HTTPS, service(configs.read())))
        counts = struct.pack("!4H", 1, len(records), 0, 0)
        return query[:2] + b"\x85\x80" + counts + question + b"".join(records)

    def serve(self, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind((address, 53))
        while True:
            query, client = server.recvfrom(4096)
            try:
                server.sendto(self.answer(query, family == socket.AF_INET6), client)
            except (IndexError, struct.error, UnicodeDecodeError):
                pass


def v6(number):
    return f"2001:db8::1:{number}"


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(owner, kind, data):
    return encode(owner) + struct.pack("!HHIH", kind, 1, TTL, len(data)) + data


def service(configs):
    # priority(2) target "." | key(2) length(2) value ... in ascending order (RFC 9460 section 2.2)
    parameters = ((ALPN, b"\x02h3\x02h2"), (ECH, configs))
    packed = [struct.pack("!HH", key, len(value)) + value for key, value in parameters]
    return struct.pack("!H", 1) + b"\0" + b"".join(packed)


class Origin(http.server.BaseHTTPRequestHandler):
    """Answers every request with `size` octets of text (default 600)."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def reply(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        wanted = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("size", ["600"])
        size = int(wanted[0])
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write((WORDS * (size // len(WORDS) + 1))[:size])
        self.wfile.flush()

    do_GET = do_POST = reply

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, port, context=None):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.context = context
        super().__init__((address, port), Origin)

    def finish_request(self, request, client_address):
        # The handshake belongs to the connection's own thread: a slow client must not hold up the
        # others.
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        self.RequestHandlerClass(request, client_address, self)
        if self.context:
            request.unwrap()

    def handle_error(self, request, client_address):
        pass


def context(certificates, name, alpn):
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(os.path.join(certificates, f"{name}.pem"))
    served.set_alpn_protocols(alpn)
    return served


def relay(address, served):
    """Sends what a screen sends, some frames a second, and takes what mouse and keyboard send."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 443), family=family)
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=screen, args=(plain, served), daemon=True).start()


def screen(plain, served):
    try:
        with served.wrap_socket(plain, server_side=True) as session:
            seed = session.recv(64)
            dice = random.Random(seed)
            drain = threading.Thread(target=swallow, args=(session,), daemon=True)
            drain.start()
            while drain.is_alive():
                session.sendall(dice.randbytes(dice.choice([120, 180, 260, 700])))
                time.sleep(dice.uniform(0.08, 0.4))
    except OSError:
        pass


def swallow(session):
    try:
        while session.recv(4096):
            pass
    except OSError:
        pass


def main():
    certificates = sys.argv[1]
    zone = Zone(certificates)
    for address in RESOLVERS:
        threading.Thread(target=zone.serve, args=(address,), daemon=True).start()
    for name, number, kind, _ in hosts():
        for address in (f"198.18.1.{number}", v6(number)):
            if kind == "relay":
                served = context(certificates, name, ["anydesk/8.0.0/linux"])
                served.maximum_version = ssl.TLSVersion.TLSv1_2
                threading.Thread(target=relay, args=(address, served), daemon=True).start()
            elif kind == "py":
                served = context(certificates, name, ["http/1.1"])
                for server in (Server(address, 80), Server(address, 443, served)):
                    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


main()
