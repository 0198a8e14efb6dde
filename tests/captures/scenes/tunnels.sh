# Tunnels: the same client and servers over tunnels between them, recorded on the cable. VXLAN is the
# kernel's own, and so are the fragments; the others are Open vSwitch's, in user space. Sourced by
# `record`.

SCENES+=(tunnels fragments)
NEEDS[tunnels]="openvswitch-switch:ovs-vswitchd"
VERSIONS_OF+=("ovs-vswitchd --version")

# Where the tunnels end.
declare -A UNDER=([$CL]=192.0.2.2 [$SV]=192.0.2.1)
# Less than the cable's by more than any header around it.
OVER_MTU=1400

scene_tunnels() {
  lay_under veth-cl veth-sv
  vxlan "${UNDER[$CL]}" "${UNDER[$SV]}"
  at_client curl -s https://docs.python.org/
  ip -n "$CL" link delete over
  ip -n "$SV" link delete over
  switchboard "$CL" veth-cl
  switchboard "$SV" veth-sv
  lay_under under under
  lay_over over over
  through geneve options:key=42
  at_client curl -s https://news.example/
  through gre
  at_client curl -s https://intranet.acme.example/
  through erspan options:key=1 options:erspan_ver=1 options:erspan_idx=3
  at_client curl -s https://registry.npmjs.org/
  through erspan options:key=1 options:erspan_ver=2 options:erspan_dir=1 options:erspan_hwid=4
  at_client curl -s https://beacon-v2.helpscout.net/
  ask_over 2001:db8::1
  through vxlan options:key=43
  at_client curl -6 -s https://deb.debian.org/
}

# Cables that are too narrow for a padded question, and for what a tunnel makes of a hello. (An IPv6
# cable never cuts what is in a tunnel: the client is told to send less.)
scene_fragments() {
  narrow 1280
  at_client python3 -c "$PADDED_QUESTION" 2001:db8::1 help.shop.example 1400
  at_client python3 -c "$PADDED_QUESTION" 198.18.0.1 support.acme.example 2900
  narrow 400
  lay_under veth-cl veth-sv
  vxlan "${UNDER[$CL]}" "${UNDER[$SV]}"
  at_client curl -s https://news.example/
}

# A DNS question with the padding option (RFC 7830), so long that it has so many octets.
PADDED_QUESTION='import socket, struct, sys
server, name, length = sys.argv[1], sys.argv[2], int(sys.argv[3])
labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
question = struct.pack("!6H", 0x5A5A, 0x0100, 1, 0, 0, 1) + labels + b"\0" + struct.pack("!2H", 1, 1)
padding = length - len(question) - 15
question += struct.pack("!BHHIHHH", 0, 41, 4096, 0, padding + 4, 12, padding) + bytes(padding)
for family, kind, protocol, _, address in socket.getaddrinfo(server, 53, type=socket.SOCK_DGRAM):
    with socket.socket(family, kind, protocol) as client:
        client.settimeout(5)
        client.sendto(question, address)
        client.recv(4096)'

# narrow MTU: the cable. Below 1280 it carries no IPv6 of its own.
narrow() {
  ip -n "$CL" link set veth-cl mtu "$1"
  ip -n "$SV" link set veth-sv mtu "$1"
}

# lay_under CLIENT_IF SERVER_IF: the ends of tunnels are there, and nothing else.
lay_under() {
  local space device=$1
  for space in "$CL" "$SV"; do
    ip -n "$space" address flush dev veth-"${space:8:2}"
    ip -n "$space" address add "${UNDER[$space]}/24" dev "$device"
    ip -n "$space" link set "$device" up
    device=$2
  done
}

# lay_over CLIENT_IF SERVER_IF: client and servers are at these ends.
lay_over() {
  ip -n "$CL" link set "$1" mtu $OVER_MTU up
  ip -n "$SV" link set "$2" mtu $OVER_MTU up
  ip -n "$CL" address add 198.18.0.2/15 dev "$1"
  ip -n "$CL" address add 2001:db8::2/64 dev "$1" nodad
  ip -n "$SV" address add 198.18.0.1/15 dev "$2"
  ip -n "$SV" address add 2001:db8::1/64 dev "$2" nodad
  local name number kind
  while IFS=$'\t' read -r name number kind _; do
    [[ $kind == py || $kind == s13 ]] || continue
    ip -n "$SV" address replace "198.18.1.$number/15" dev "$2"
    ip -n "$SV" address replace "2001:db8::1:$number/64" dev "$2" nodad
  done <"$HERE/hosts.tsv"
}

# vxlan CLIENT SERVER: the kernel's.
vxlan() {
  ip -n "$CL" link add over type vxlan id 42 dstport 4789 local "$1" remote "$2"
  ip -n "$SV" link add over type vxlan id 42 dstport 4789 local "$2" remote "$1"
  lay_over over over
}

# switchboard SPACE IF: two bridges, `under` with the cable, `over` with what is to be carried.
switchboard() {
  local at=$TMP/ovs-$1
  mkdir -p "$at"
  ovsdb-tool create "$at/conf.db" /usr/share/openvswitch/vswitch.ovsschema
  start ip netns exec "$1" ovsdb-server "$at/conf.db" --remote="punix:$at/db" \
    --unixctl="$at/ovsdb.ctl" >"$at/ovsdb.log" 2>&1
  local turn
  for turn in {1..100}; do [[ -S $at/db ]] && break; sleep 0.1; done
  vsctl "$1" --no-wait init
  start ip netns exec "$1" env OVS_RUNDIR="$at" ovs-vswitchd "unix:$at/db" \
    --unixctl="$at/vswitchd.ctl" >"$at/vswitchd.log" 2>&1
  vsctl "$1" add-br under -- set bridge under datapath_type=netdev -- add-port under "$2"
  vsctl "$1" add-br over -- set bridge over datapath_type=netdev
}

vsctl() { ovs-vsctl --timeout=10 --db="unix:$TMP/ovs-$1/db" "${@:2}"; }

# through KIND [OPTION...]: from now on all goes through such a tunnel.
through() {
  local space other=$SV
  for space in "$CL" "$SV"; do
    vsctl "$space" --if-exists del-port over tunnel -- add-port over tunnel -- set interface tunnel \
      type="$1" options:remote_ip="${UNDER[$other]}" "${@:2}"
    other=$CL
  done
}
