# HTTP/2 without TLS by clients that know their server. Sourced by `record`.

SCENES+=(http2-plain)
SERVERS[http2-plain]=serve_plain_http2

# A page, and a call as gRPC makes it.
scene_http2-plain() {
  at_client curl -s --http2-prior-knowledge http://tickets-api.acme.example:8080/tickets/17
  at_client node --input-type=module -e '
    import http2 from "node:http2";
    const session = http2.connect("http://tickets-api.acme.example:8080");
    const call = session.request({ ":method": "POST", ":path": "/tickets.v1.Tickets/Watch",
      "content-type": "application/grpc", te: "trailers" });
    call.on("response", () => call.resume());
    call.on("end", () => session.close());
    call.end(Buffer.from([0, 0, 0, 0, 0]));'
}

serve_plain_http2() {
  at_server http2.log node --input-type=module -e '
    import http2 from "node:http2";
    const server = http2.createServer((request, response) => {
      request.resume();
      request.on("end", () => response.end("a ticket\n"));
    });
    server.listen(8080, "198.18.1.57");'
  listens 198.18.1.57:8080
}
