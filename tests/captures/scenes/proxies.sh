# What reaches its server through somebody else: HTTP CONNECT, SOCKS, the PROXY protocol. Sourced by
# `record`.

SCENES+=(http-proxy socks4 socks5 proxy-protocol)
NEEDS[http-proxy]=tinyproxy SERVERS[http-proxy]=serve_http_proxy
NEEDS[socks4]=openssh-server:sshd SERVERS[socks4]=serve_old_socks
NEEDS[socks5]="dante-server:danted microsocks" SERVERS[socks5]=serve_socks
NEEDS[proxy-protocol]=haproxy SERVERS[proxy-protocol]=serve_balanced
VERSIONS_OF+=("tinyproxy -v" "danted -v" "ssh -V" "haproxy -v")

# TLS after CONNECT, and plain HTTP in absolute form, twice on one connection.
scene_http-proxy() {
  through http://proxy.acme.example:3128 https://acme.helpjuice.com/
  through http://proxy.acme.example:3128 http://news.example/ "http://news.example/sport?size=700"
}
# The client names the address, then the host (4a).
scene_socks4() {
  through socks4://proxy.acme.example:1080 https://acme.helpjuice.com/
  through socks4a://proxy.acme.example:1080 http://news.example/
}
# By address, by name, and by name with a user and a password.
scene_socks5() {
  through socks5://proxy.acme.example:1080 https://acme.helpjuice.com/
  through socks5h://proxy.acme.example:1080 https://acme.zendesk.com/
  through socks5h://jane:secret@proxy.acme.example:1081 http://news.example/
}
# HAProxy beside the client passes its connections on with a line (1) or octets (2) that tell whose
# they are.
scene_proxy-protocol() {
  {
    balancer
    echo "listen first"
    echo "  bind 127.0.0.1:8443"
    echo "  server a 198.18.1.55:443 send-proxy"
    echo "listen second"
    echo "  bind 127.0.0.1:9443"
    echo "  server a 198.18.1.55:443 send-proxy-v2"
  } >"$TMP/near.cfg"
  ip netns exec "$CL" haproxy -db -f "$TMP/near.cfg" >"$TMP/near.log" 2>&1 &
  local port
  for port in 8443 9443; do
    at_client curl -s --retry 20 --retry-delay 1 --retry-connrefused \
      --connect-to "acme.helpjuice.com:443:127.0.0.1:$port" https://acme.helpjuice.com/
  done
  kill $!
}

through() { at_client curl -s --proxy "$@"; }

serve_http_proxy() {
  cat >"$TMP/tinyproxy.conf" <<CONF
Port 3128
Listen 198.18.1.48
Timeout 10
Allow 198.18.0.0/15
ConnectPort 443
CONF
  at_server tinyproxy.log tinyproxy -d -c "$TMP/tinyproxy.conf"
  listens 198.18.1.48:3128
}

serve_socks() {
  cat >"$TMP/danted.conf" <<CONF
logoutput: stderr
internal: 198.18.1.48 port = 1080
external: veth-sv
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 198.18.0.0/15 to: 0.0.0.0/0 }
socks pass { from: 198.18.0.0/15 to: 0.0.0.0/0 }
CONF
  at_server danted.log danted -f "$TMP/danted.conf"
  listens 198.18.1.48:1080
  command -v microsocks >/dev/null || return 0
  at_server microsocks.log microsocks -i 198.18.1.48 -p 1081 -u jane -P secret
  listens 198.18.1.48:1081
}

# OpenSSH's dynamic forwarding, on one machine with its own server: it knows 4a too.
serve_old_socks() {
  mkdir -p /run/sshd
  ssh-keygen -q -t ed25519 -N "" -f "$TMP/ssh.key"
  chmod 711 "$TMP"
  at_server sshd.log /usr/sbin/sshd -D -e -f /dev/null -h "$TMP/ssh.key" -p 2222 \
    -o ListenAddress=127.0.0.1 -o AuthorizedKeysFile="$TMP/ssh.key.pub" -o StrictModes=no -o UsePAM=no
  listens 127.0.0.1:2222
  at_server ssh.log ssh -N -D 198.18.1.48:1080 -i "$TMP/ssh.key" -p 2222 \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1
  listens 198.18.1.48:1080
}

# HAProxy before OpenSSL's server takes the prefix off.
serve_balanced() {
  {
    balancer
    echo "listen far"
    echo "  bind 198.18.1.55:443 accept-proxy"
    echo "  server a 198.18.1.29:443"
  } >"$TMP/far.cfg"
  at_server far.log haproxy -db -f "$TMP/far.cfg"
  listens 198.18.1.55:443
}

balancer() {
  printf '%s\n' defaults "  mode tcp" "  timeout connect 5s" "  timeout client 5s" "  timeout server 5s"
}
