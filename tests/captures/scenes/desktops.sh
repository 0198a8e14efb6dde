# Remote desktops inside: VNC and RDP, by real viewers. Sourced by `record`.

SCENES+=(vnc rdp)
NEEDS[vnc]="tigervnc-standalone-server:Xtigervnc tigervnc-viewer:xtigervncviewer xvfb:Xvfb"
SERVERS[vnc]=serve_vnc
NEEDS[rdp]="xrdp freerdp2-x11:xfreerdp xvfb:Xvfb" SERVERS[rdp]=serve_rdp
VERSIONS_OF+=("Xtigervnc -version" "xrdp --version" "xfreerdp --version")

# Somebody looks at a desktop for some seconds.
scene_vnc() {
  with_display xtigervncviewer -SecurityTypes None ticket-desk.acme.example::5900
}
# As far as the login screen, within TLS.
scene_rdp() {
  with_display xfreerdp /v:ticket-desk.acme.example /cert:ignore /sec:tls /u:jane /size:640x480
}

with_display() { # COMMAND...: a viewer with a screen of its own, ended after some seconds
  ip netns exec "$CL" Xvfb :77 -screen 0 800x600x24 -nolisten tcp >"$TMP/screen.log" 2>&1 &
  sleep 2
  DISPLAY=:77 at_client timeout 5 "$@" 2>"$TMP/viewer.log" || true
  kill $!
}

serve_vnc() {
  at_server vnc.log Xtigervnc :78 -geometry 640x480 -depth 24 -SecurityTypes None -rfbport 5900 \
    -interface 198.18.1.56 -nolisten tcp
  listens 198.18.1.56:5900
}

serve_rdp() {
  sed -e 's/^port=3389/port=tcp:\/\/198.18.1.56:3389/' -e "s#^certificate=.*#certificate=$TMP/certificates/ticket-desk.acme.example.crt#" \
    -e "s#^key_file=.*#key_file=$TMP/leaf.key#" -e 's#^LogFile=.*#LogFile=/dev/null#' \
    /etc/xrdp/xrdp.ini >"$TMP/xrdp.ini"
  at_server xrdp.log xrdp --nodaemon --config "$TMP/xrdp.ini"
  listens 198.18.1.56:3389
}
