#!/usr/bin/env python3
# A switch of two ports between two interfaces, for what a plain veth pair cannot show.
#   switch.py push VID ACCESS TRUNK   frames get an 802.1Q tag on TRUNK, back they lose it
#   switch.py swap 0 LEFT RIGHT       a full-sized frame from LEFT is overtaken by the next one,
#                                     as on a path of two ways
#   switch.py plain 0 LEFT RIGHT      neither
import select
import socket
import struct
import sys

FULL_FRAME = 1000
PATIENCE = 0.02


def port(name):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind((name, 0))
    return raw


def receive(raw):
    frame, (_, _, direction, _, _) = raw.recvfrom(65535)
    return None if direction == socket.PACKET_OUTGOING else frame


def push(frame, vid):
    # dst(6) src(6) | 81 00 prio+vid(2) | type ...
    return frame[:12] + struct.pack("!HH", 0x8100, vid) + frame[12:]


def pop(frame):
    # The kernel may have taken the tag off already.
    return frame[:12] + frame[16:] if frame[12:14] == b"\x81\x00" else frame


mode, vid, left, right = sys.argv[1], int(sys.argv[2]), port(sys.argv[3]), port(sys.argv[4])
held = None
print("ready", flush=True)
while True:
    ready, _, _ = select.select([left, right], [], [], PATIENCE if held else None)
    if held and not ready:
        right.send(held)
        held = None
    if left in ready and (frame := receive(left)):
        if mode == "push":
            right.send(push(frame, vid))
        elif held:
            right.send(frame)
            right.send(held)
            held = None
        elif mode == "swap" and len(frame) >= FULL_FRAME:
            held = frame
        else:
            right.send(frame)
    if right in ready and (frame := receive(right)):
        left.send(pop(frame))
