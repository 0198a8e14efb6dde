# DNS that is not in the clear: over TLS, HTTPS and QUIC. Sourced by `record`.

SCENES+=(dns-over-tls dns-over-https dns-over-quic)
NEEDS[dns-over-tls]="unbound knot-dnsutils:kdig" SERVERS[dns-over-tls]=serve_resolver
NEEDS[dns-over-quic]=pip:aioquic SERVERS[dns-over-quic]=serve_quic_resolver
NEEDS[dns-over-https]=unbound SERVERS[dns-over-https]=serve_resolver
VERSIONS_OF+=("unbound -V" "kdig --version")

scene_dns-over-tls() {
  at_client kdig +tls-ca="$TMP/ca.pem" +tls-hostname=cloudflare-dns.com @198.18.1.46 acme.zendesk.com
}
scene_dns-over-quic() { at_client python3 "$HERE/quic.py" ask cloudflare-dns.com acme.zendesk.com; }
scene_dns-over-https() {
  at_client curl -s --doh-url https://cloudflare-dns.com/dns-query https://acme.helpjuice.com/
}

serve_quic_resolver() {
  at_server resolver.log python3 "$HERE/quic.py" resolve "$TMP/certificates" cloudflare-dns.com
  ready "$TMP/resolver.log" ready
}

# A resolver that asks the name server of the recorded world.
serve_resolver() {
  cat >"$TMP/unbound.conf" <<CONF
server:
  chroot: ""
  username: ""
  directory: "$TMP"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  interface: 198.18.1.46@853
  interface: 198.18.1.46@443
  access-control: 198.18.0.0/15 allow
  do-not-query-localhost: no
  tls-service-pem: "$TMP/certificates/cloudflare-dns.com.pem"
  tls-service-key: "$TMP/leaf.key"
  tls-port: 853
  https-port: 443
forward-zone:
  name: "."
  forward-addr: 198.18.0.1
CONF
  at_server unbound.log unbound -d -c "$TMP/unbound.conf"
  listens 198.18.1.46:853
}
