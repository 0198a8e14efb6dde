# TLS that begins within another protocol, and mail without it. Sourced by `record`.

SCENES+=(
  smtp-plain smtp-starttls imap-starttls pop3-starttls ldap-starttls xmpp-starttls postgresql-tls
)
NEEDS[smtp-plain]="postfix swaks" SERVERS[smtp-plain]=serve_mail
NEEDS[smtp-starttls]="postfix swaks libnet-ssleay-perl:/usr/share/doc/libnet-ssleay-perl" SERVERS[smtp-starttls]=serve_mail
NEEDS[imap-starttls]=dovecot-imapd:dovecot SERVERS[imap-starttls]=serve_mailboxes
NEEDS[pop3-starttls]=dovecot-pop3d:dovecot SERVERS[pop3-starttls]=serve_mailboxes
NEEDS[ldap-starttls]="slapd ldap-utils:ldapsearch" SERVERS[ldap-starttls]=serve_directory
NEEDS[xmpp-starttls]=prosody SERVERS[xmpp-starttls]=serve_chat
NEEDS[postgresql-tls]=postgresql-15:/usr/lib/postgresql/15/bin/postgres SERVERS[postgresql-tls]=serve_database
VERSIONS_OF+=("postconf mail_version" "swaks --version" "dovecot --version" "slapd -VV"
  "ldapsearch -VV" "prosodyctl about" "psql --version")

# Local parts in the clear, which nobody may repeat; the second message goes to two domains.
scene_smtp-plain() {
  mail --from jane.doe@acme.example --to support@acme.freshdesk.com
  mail --from jane.doe@acme.example --to help@acme.freshdesk.com,jobs@supplier.zendesk.com --pipeline
}
# By swaks with a name, by OpenSSL with TLS 1.2, whose certificate is in the clear.
scene_smtp-starttls() {
  mail --from jane.doe@acme.example --to support@acme.freshdesk.com --tls --tls-sni mx.freshdesk.com
  within_protocol smtp mx.freshdesk.com 25 -tls1_2 -name desk.acme.example
}
scene_imap-starttls() { within_protocol imap mail.acme.example 143; }
scene_pop3-starttls() { within_protocol pop3 mail.acme.example 110 -tls1_2; }
scene_ldap-starttls() {
  LDAPTLS_CACERT="$TMP/ca.pem" at_desk ldapsearch -x -ZZ -H ldap://directory.acme.example -b "" -s base
}
scene_xmpp-starttls() { within_protocol xmpp chat.acme.example 5222 -xmpphost chat.acme.example; }
scene_postgresql-tls() {
  at_client psql "host=tickets-db.acme.example user=postgres dbname=postgres sslmode=verify-full \
    sslrootcert=$TMP/ca.pem gssencmode=disable" -c "select 1"
}

mail() { at_desk swaks --server mx.freshdesk.com --helo desk.acme.example --hide-all "$@"; }

# within_protocol PROTOCOL HOST PORT [SWITCH...]: says goodbye as soon as TLS stands.
within_protocol() {
  sleep 1 | ip netns exec "$CL" timeout 5 openssl s_client -starttls "$1" -connect "$2:$3" \
    -servername "$2" -CAfile "$TMP/ca.pem" -quiet -no_ign_eof "${@:4}" >/dev/null 2>&1 || true
}

serve_mail() {
  local folder=$TMP/postfix
  chmod 711 "$TMP"
  mkdir -p "$folder/spool" "$folder/data"
  chown postfix "$folder/data"
  # Debian's services are jailed in the queue's folder; these are not.
  awk '/^[a-z]/ && NF >= 8 {$5 = "n"} {print}' /etc/postfix/master.cf* | awk '!seen[$0]++' \
    >"$folder/master.cf"
  cat >"$folder/main.cf" <<CONF
compatibility_level = 3.6
queue_directory = $folder/spool
data_directory = $folder/data
myhostname = mx.freshdesk.com
mydestination = acme.freshdesk.com, supplier.zendesk.com
inet_interfaces = 198.18.1.50
local_recipient_maps =
local_transport = discard
maillog_file = /dev/stdout
smtpd_tls_security_level = may
smtpd_tls_cert_file = $TMP/certificates/mx.freshdesk.com.pem
smtpd_tls_key_file = $TMP/leaf.key
smtpd_tls_session_cache_database =
CONF
  at_server postfix.log postfix -c "$folder" start-fg
  listens 198.18.1.50:25
}

serve_mailboxes() {
  chmod 711 "$TMP"
  cat >"$TMP/dovecot.conf" <<CONF
base_dir = $TMP/dovecot
listen = 198.18.1.51
log_path = /dev/stderr
protocols = imap pop3
ssl = yes
ssl_cert = <$TMP/certificates/mail.acme.example.crt
ssl_key = <$TMP/leaf.key
mail_location = mbox:$TMP/mail
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=mail gid=mail home=$TMP/mail
}
CONF
  at_server dovecot.log dovecot -F -c "$TMP/dovecot.conf"
  listens 198.18.1.51:143
  listens 198.18.1.51:110
}

serve_directory() {
  mkdir -p "$TMP/directory"
  cat >"$TMP/slapd.conf" <<CONF
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile $TMP/ca.pem
TLSCertificateFile $TMP/certificates/directory.acme.example.crt
TLSCertificateKeyFile $TMP/leaf.key
database mdb
suffix "dc=acme,dc=example"
directory $TMP/directory
CONF
  at_server slapd.log slapd -d 0 -h ldap://198.18.1.52 -f "$TMP/slapd.conf"
  listens 198.18.1.52:389
}

serve_chat() {
  mkdir -p "$TMP/chat"
  cat >"$TMP/prosody.cfg.lua" <<CONF
run_as_root = true
data_path = "$TMP/chat"
log = { info = "*console" }
interfaces = { "198.18.1.53" }
modules_enabled = { "tls", "saslauth", "disco" }
modules_disabled = { "s2s" }
c2s_require_encryption = true
ssl = { certificate = "$TMP/certificates/chat.acme.example.crt", key = "$TMP/leaf.key" }
VirtualHost "chat.acme.example"
CONF
  at_server prosody.log prosody --config "$TMP/prosody.cfg.lua" -F
  listens 198.18.1.53:5222
}

serve_database() {
  local folder=$TMP/database programs=/usr/lib/postgresql/15/bin
  chmod 711 "$TMP"
  install -d -o postgres -m 700 "$folder"
  runuser -u postgres -- "$programs/initdb" -D "$folder" -A trust --no-sync >/dev/null
  install -o postgres -m 600 "$TMP/certificates/tickets-db.acme.example.crt" "$folder/server.crt"
  install -o postgres -m 600 "$TMP/leaf.key" "$folder/server.key"
  echo "hostssl all all 198.18.0.0/15 trust" >>"$folder/pg_hba.conf"
  at_server postgres.log runuser -u postgres -- "$programs/postgres" -D "$folder" -c ssl=on \
    -c listen_addresses=198.18.1.54 -c unix_socket_directories= -c fsync=off
  listens 198.18.1.54:5432
}
