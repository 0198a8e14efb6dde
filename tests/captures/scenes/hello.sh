# Hellos of OpenSSL that take more than one try: HelloRetryRequest, DTLS. Sourced by `record`.

SCENES+=(hello-retry dtls-cookie dtls-fragments)
SERVERS[hello-retry]=serve_other_group
SERVERS[dtls-cookie]="serve_datagrams -listen"
SERVERS[dtls-fragments]="serve_datagrams -mtu 300"

scene_hello-retry() {
  printf 'GET / HTTP/1.0\r\n\r\n' | goodbye -tls1_3 -groups X25519:P-384 -alpn http/1.1 \
    -connect acme.kayako.com:443 -servername acme.kayako.com
}
scene_dtls-cookie() {
  goodbye -dtls1_2 -connect acme.kayako.com:4433 -servername acme.kayako.com </dev/null
}
# A hello of several fragments, for its ALPN list is long and its datagrams are short.
scene_dtls-fragments() {
  goodbye -dtls1_2 -mtu 256 -alpn "$(printf 'protocol-%d,' {1..16})webrtc" \
    -connect acme.kayako.com:4433 -servername acme.kayako.com </dev/null
}

goodbye() {
  { cat; sleep 1; } | ip netns exec "$CL" timeout 5 openssl s_client -CAfile "$TMP/ca.pem" "$@" \
    >"$TMP/s_client.log" 2>&1 || true
}

serve_other_group() {
  at_server other.log openssl s_server -quiet -www -accept 198.18.1.47:443 -groups P-384 \
    -cert "$TMP/certificates/acme.kayako.com.pem" -key "$TMP/leaf.key"
  listens 198.18.1.47:443
}

serve_datagrams() { # SWITCH...
  # The server ends with its input.
  at_server datagrams.log bash -c 'sleep 30 | openssl s_server "$@"' - -dtls1_2 "$@" \
    -accept 198.18.1.47:4433 -cert "$TMP/certificates/acme.kayako.com.pem" -key "$TMP/leaf.key"
  listens 198.18.1.47:4433
}
