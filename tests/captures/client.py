#!/usr/bin/env python3
# Clients of the recorded world that need more than a command line.
#   client.py relay HOST ALPN SECONDS    remote assistance: mouse and keyboard out, screen in
#   client.py get HOST PATH [COUNT]      HTTPS by Python's ssl, COUNT requests on one connection
#   client.py records HOST               HTTPS whose ClientHello is cut into two TLS records
#   client.py http3 URL                  HTTP/3 by curl with ngtcp2 and BoringSSL (curl_cffi)
#   client.py hidden URL RESOLVER        the same curl twice with ECH and DNS over HTTPS
# The authority to trust is named by SSL_CERT_FILE.
import http.client
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time

AUTHORITY = os.environ["SSL_CERT_FILE"]


def context():
    return ssl.create_default_context(cafile=AUTHORITY)


def relay(host, alpn, seconds):
    trusting = context()
    trusting.set_alpn_protocols([alpn])
    # A relay shows the maker's certificate, whose name is not the host's.
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    dice = random.Random(host)
    plain = socket.create_connection((host, 443))
    with trusting.wrap_socket(plain, server_hostname=host) as session:
        session.settimeout(5)
        session.sendall(b"hello " + host.encode())
        threading.Thread(target=swallow, args=(session,), daemon=True).start()
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            session.sendall(dice.randbytes(dice.choice([40, 60, 90, 400])))
            time.sleep(dice.uniform(0.08, 0.4))


def swallow(session):
    try:
        while session.recv(4096):
            pass
    except OSError:
        pass


def get(host, path, count="1"):
    connection = http.client.HTTPSConnection(host, context=context())
    for _ in range(int(count)):
        connection.request("GET", path)
        connection.getresponse().read()
        time.sleep(0.2)
    connection.close()


def records(host):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context().wrap_bio(incoming, outgoing, server_hostname=host)
    wire = socket.create_connection((host, 443))
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    first = True
    while True:
        try:
            session.do_handshake()
            break
        except ssl.SSLWantReadError:
            if first:
                send_in_two_records(wire, outgoing.read(), host)
                first = False
            else:
                wire.sendall(outgoing.read())
            incoming.write(wire.recv(16384))
    session.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    wire.sendall(outgoing.read())
    wire.recv(16384)
    wire.close()


def send_in_two_records(wire, record, host):
    # 16 03 01 length(2) | ClientHello ...; a handshake message may span records (RFC 8446 5.1): cut
    # within the name.
    hello = record[5:]
    cut = hello.index(host.encode()) + len(host) // 2
    for part in (hello[:cut], hello[cut:]):
        wire.sendall(record[:3] + struct.pack("!H", len(part)) + part)
        time.sleep(0.05)


def http3(url):
    # Imported here: the other clients need nothing but Python.
    import curl_cffi

    curl_cffi.get(url, http_version=curl_cffi.CurlHttpVersion.V3ONLY, verify=AUTHORITY)


def hidden(url, resolver):
    from curl_cffi import Curl, CurlOpt

    for _ in range(2):
        curl = Curl()
        curl.setopt(CurlOpt.URL, url.encode())
        curl.setopt(CurlOpt.CAINFO, AUTHORITY.encode())
        curl.setopt(CurlOpt.DOH_URL, resolver.encode())
        curl.setopt(CurlOpt.ECH, b"hard")
        curl.setopt(CurlOpt.WRITEFUNCTION, len)
        curl.perform()
        curl.close()


CLIENTS = {"relay": relay, "get": get, "records": records, "http3": http3, "hidden": hidden}
CLIENTS[sys.argv[1]](*sys.argv[2:])
