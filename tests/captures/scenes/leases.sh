# Addresses that a client is given, with its host name, and what it then does. Sourced by `record`.

SCENES+=(dhcp dhcpv6)
NEEDS[dhcp]="dnsmasq-base:dnsmasq udhcpc" SERVERS[dhcp]=serve_leases
NEEDS[dhcpv6]="dnsmasq-base:dnsmasq isc-dhcp-client:dhclient" SERVERS[dhcpv6]=serve_leases
VERSIONS_OF+=("dnsmasq --version" "dhclient --version")

# Discover to acknowledge, one visit under the leased address, and the address given back.
scene_dhcp() {
  ip -n "$CL" address flush dev veth-cl scope global
  cat >"$TMP/udhcpc" <<'SCRIPT'
#!/bin/sh
case $1 in
  deconfig) ip address flush dev "$interface" scope global ;;
  bound) ip address add "$ip/${mask:-15}" dev "$interface" ;;
esac
SCRIPT
  chmod +x "$TMP/udhcpc"
  ip netns exec "$CL" timeout 20 udhcpc -f -R -i veth-cl -x hostname:desk-17 -s "$TMP/udhcpc" \
    </dev/null >"$TMP/udhcpc.log" 2>&1 &
  local lessee=$!
  ready "$TMP/udhcpc.log" obtained
  sleep 0.5
  at_client curl -s https://acme.helpjuice.com/
  kill "$lessee"
  wait "$lessee" || true
}
# The same for IPv6: solicit to reply, with a fully qualified name.
scene_dhcpv6() {
  ip -n "$CL" address flush dev veth-cl scope global
  cat >"$TMP/dhclient" <<'SCRIPT'
#!/bin/sh
[ -z "$new_ip6_address" ] || ip address add "$new_ip6_address/64" dev "$interface"
SCRIPT
  chmod +x "$TMP/dhclient"
  echo 'send fqdn.fqdn "desk-18.acme.example"; send fqdn.encoded on;' >"$TMP/dhclient.conf"
  local lease=(-6 -cf "$TMP/dhclient.conf" -sf "$TMP/dhclient" -lf "$TMP/leases" -pf "$TMP/dhclient.pid")
  at_client timeout 20 dhclient -1 "${lease[@]}" veth-cl 2>"$TMP/dhclient.log"
  ask_over 2001:db8::1
  at_client node -e "$NODE_GET" https://registry.npmjs.org/left-pad
  at_client timeout 20 dhclient -r "${lease[@]}" veth-cl 2>>"$TMP/dhclient.log"
}

serve_leases() {
  at_server dnsmasq.log dnsmasq --no-daemon --conf-file=/dev/null --port=0 --interface=veth-sv \
    --bind-dynamic --dhcp-leasefile="$TMP/given" --dhcp-authoritative --log-dhcp \
    --dhcp-range=198.18.2.10,198.18.2.20,255.254.0.0,10m --dhcp-option=option:router \
    --dhcp-range=2001:db8::2:10,2001:db8::2:20,64,10m
  ready "$TMP/dnsmasq.log" "DHCP"
}
