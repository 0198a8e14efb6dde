# A real resolver that finds names from the root down, seen from below it and from above. Sourced by
# `record`.

SCENES+=(dns-below-resolver dns-above-resolver dns-warm-resolver)
NEEDS[dns-below-resolver]="unbound nsd knot-dnsutils:kdig" SERVERS[dns-below-resolver]=serve_below
NEEDS[dns-above-resolver]="unbound nsd" SERVERS[dns-above-resolver]=serve_above
NEEDS[dns-warm-resolver]="unbound nsd" SERVERS[dns-warm-resolver]=serve_warm
VERSIONS_OF+=("nsd -v")

# A vanity host, a flow that names nothing, and four messages on one connection.
scene_dns-below-resolver() {
  at_client curl -s https://support.acme.example/
  nameless acme.zendesk.com
  at_client kdig @198.18.1.64 +tcp +keepopen support.acme.example A acme.example MX \
    -q acme.example -t TXT -q www.acme.example -t HTTPS
}
# First nothing is known; then the CNAME is, and the address has run out.
scene_dns-above-resolver() {
  at_client curl -s https://support.acme.example/
  nameless support.acme.example
  sleep 4
  nameless support.acme.example
}
# The CNAME was asked for before the sensor began: only the address is.
scene_dns-warm-resolver() { nameless support.acme.example; }

# TLS 1.3 without a server name: neither hello nor certificate name anything.
nameless() {
  { printf 'GET / HTTP/1.0\r\n\r\n'; sleep 1; } | ip netns exec "$CL" openssl s_client -quiet \
    -tls1_3 -noservername -connect "$1:443" -alpn http/1.1 >/dev/null 2>&1 || true
}

serve_below() {
  serve_zones
  ip -n "$SV" address add 198.18.1.64/15 dev veth-sv
  resolve_in "$SV" 198.18.1.64 198.18.1.64
  listens 198.18.1.64:53
  ask_over 198.18.1.64
}

# The resolver is in the client's namespace: its questions cross the cable, the client's do not.
serve_above() {
  serve_zones
  ip -n "$CL" address add 198.18.0.53/15 dev veth-cl
  resolve_in "$CL" 127.0.0.1 198.18.0.53
  ready "$TMP/unbound.log" "start of service"
  ask_over 127.0.0.1
}

serve_warm() {
  serve_above
  at_client getent ahostsv4 support.acme.example
  sleep 4
}

# One server for the root, one for the top, one for each domain: with minimal answers, each tells
# what it has alone.
serve_zones() {
  zone 60 . "example. 600 NS ns.example.
ns.example. 600 A 198.18.1.61
com. 600 NS ns.example."
  zone 61 example. "acme 600 NS ns.acme
ns.acme 600 A 198.18.1.62" com. "zendesk 600 NS ns.zendesk
ns.zendesk 600 A 198.18.1.63"
  zone 62 acme.example. "support 600 CNAME acme.zendesk.com.
@ 600 MX 10 mail.zendesk.com.
@ 600 TXT \"v=spf1 include:mail.zendesk.com -all\"
www 600 HTTPS 0 acme.zendesk.com."
  zone 63 zendesk.com. "acme 3 A 198.18.1.11
acme 3 HTTPS 1 . alpn=h2 ipv4hint=198.18.1.11"
}

zone() { # NUMBER ORIGIN RECORDS [ORIGIN RECORDS]...
  local number=$1 address=198.18.1.$1 folder=$TMP/nsd-$1
  shift
  ip -n "$SV" address add "$address/15" dev veth-sv
  rm -rf "$folder"
  mkdir "$folder"
  {
    echo "server:"
    echo "  ip-address: $address"
    echo "  username: \"\""
    echo "  zonesdir: $folder"
    echo "  database: \"\""
    echo "  pidfile: $folder/pid"
    echo "  xfrdfile: $folder/xfrd"
    echo "  zonelistfile: $folder/list"
    echo "  minimal-responses: yes"
    echo "remote-control:"
    echo "  control-enable: no"
    while (($#)); do
      printf '@ 600 SOA ns hostmaster 1 600 600 600 3\n@ 600 NS ns\nns 600 A %s\n%s\n' "$address" "$2" \
        >"$folder/$1zone"
      echo "zone:"
      echo "  name: \"$1\""
      echo "  zonefile: $1zone"
      shift 2
    done
  } >"$folder/nsd.conf"
  at_server "nsd-$number.log" nsd -d -c "$folder/nsd.conf"
  listens "$address:53"
}

resolve_in() { # NAMESPACE ADDRESS ASKS_FROM
  printf '. 600 NS ns.\nns. 600 A 198.18.1.60\n' >"$TMP/root.hints"
  cat >"$TMP/unbound.conf" <<CONF
server:
  chroot: ""
  username: ""
  directory: "$TMP"
  pidfile: ""
  use-syslog: no
  verbosity: 1
  module-config: "iterator"
  root-hints: "$TMP/root.hints"
  interface: $2
  outgoing-interface: $3
  access-control: 0.0.0.0/0 allow
  do-ip6: no
  do-not-query-localhost: no
  minimal-responses: yes
  local-zone: "example." nodefault
remote-control:
  control-enable: no
CONF
  start ip netns exec "$1" unbound -d -c "$TMP/unbound.conf" </dev/null >"$TMP/unbound.log" 2>&1
}
