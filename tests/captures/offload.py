#!/usr/bin/env python3
# Turns off checksum and segmentation offloads of interfaces, so that a capture shows frames as a
# wire carries them: segments of at most one MTU, checksums filled in. Does what `ethtool -K IF rx
# off tx off tso off gso off gro off` does.
import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
SWITCHES = {"rx": 0x15, "tx": 0x17, "sg": 0x19, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}

control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for interface in sys.argv[1:]:
    for switch, command in SWITCHES.items():
        value = array.array("B", struct.pack("II", command, 0))
        request = struct.pack("16sP", interface.encode(), value.buffer_info()[0]) + bytes(16)
        try:
            fcntl.ioctl(control, SIOCETHTOOL, request)
        except OSError as error:
            sys.exit(f"offload: {interface}: {switch}: {error}")
