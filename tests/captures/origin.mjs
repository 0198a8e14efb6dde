// The HTTP/2 origins of the recorded world, and the pages that make a browser behave like a person
// at work.
//   node origin.mjs DIRECTORY_OF_CERTIFICATES
// A page draws its pauses and sizes from a fixed seed, so that two recordings show the same plan.
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { createSecureContext } from "node:tls";

const certificates = process.argv[2];
const words = "Thank you for the report, a colleague of the second line looks and writes back. ";

const dice = `let s=SEED;const roll=()=>{s=(s*1664525+1013904223)>>>0;return s/4294967296};
const sleep=t=>new Promise(r=>setTimeout(r,t));
const text=n=>"customer wrote again ".repeat(60).slice(0,n);`;

// A person in a console: a click or a saved note every 0.4 to 2 seconds (compose stretches the
// pauses to minutes).
const consolePage = (seed, seconds, api, assets) => `<!doctype html><title>Console</title>
${assets}<script>${dice.replace("SEED", seed)}
(async()=>{const end=Date.now()+${seconds}*1000;let n=4711;while(Date.now()<end){
await sleep(400+roll()*1600);const size=120+Math.floor(roll()*300);
await fetch("${api}/"+(n++)+"?size="+size,{method:"POST",body:text(350+Math.floor(roll()*450))})}
document.title="done"})()</script>`;

// A reader: four articles, with the theme from the vendor's CDN.
const helpCentre = `<!doctype html><title>Help centre</title>
<link rel="stylesheet" href="https://static.zdassets.com/hc/assets/application.css?size=900">
<script>${dice.replace("SEED", "7")}
(async()=>{for(const n of [1,2,3]){await sleep(900+roll()*900);
await fetch("/hc/en-us/articles/"+n+"?size=1800")}
document.title="done"})()</script>`;

// A shop with a chat bubble: the widget's code and settings once, then a question every half
// second.
const shop = (seconds) => `<!doctype html><title>Shop</title><h1>Shoes</h1>
<script src="https://static.zdassets.com/web_widget/latest.js?size=1900"></script>
<script src="https://widget.intercom.io/widget/abc123?size=1200"></script><script>
const quiet={mode:"no-cors"},sleep=t=>new Promise(r=>setTimeout(r,t));
(async()=>{await fetch("https://ekr.zdassets.com/compose/5b2f?size=500",quiet);
await fetch("https://shopexample.zendesk.com/embeddable_blip?size=90",quiet);
const end=Date.now()+${seconds}*1000;while(Date.now()<end){await sleep(500);
await fetch("https://ekr.zdassets.com/poll?size=24",quiet)}document.title="done"})()</script>`;

const article = `<!doctype html><title>Article</title><p>${words}</p>
<img src="https://upload.wikimedia.org/commons/a.png?size=1400">`;

const pages = {
  "acme.zendesk.com/agent": consolePage(11, 45, "/api/v2/tickets",
    `<script src="https://static.zdassets.com/agent/app.js?size=1700"></script>
<iframe src="https://107212.apps.zdusercontent.com/107212/assets/iframe.html?size=800"></iframe>`),
  "other.kustomerapp.com/app": consolePage(23, 45, "/v1/conversations",
    '<script src="https://cdn.kustomerapp.com/app.js?size=1500"></script>'),
  "supplier.zendesk.com/hc/en-us": helpCentre,
  "shop.example/": shop(55),
  "www.wikipedia.org/wiki/Shoe": article,
};

function answer(request, response) {
  const host = request.authority ?? request.headers[":authority"] ?? request.headers.host;
  const url = new URL(request.url, `https://${host}`);
  const page = pages[host + url.pathname];
  request.resume();
  request.on("end", () => {
    const size = Number(url.searchParams.get("size") ?? 300);
    const suffix = page ? "html" : url.pathname.split(".").pop();
    const kinds = { html: "text/html", css: "text/css" };
    response.setHeader("content-type", kinds[suffix] ?? "text/javascript");
    response.end(page ?? `/*${words.repeat(1 + size / words.length)}`.slice(0, size - 2) + "*/");
  });
}

const rows = readFileSync(new URL("hosts.tsv", import.meta.url), "utf8").split("\n")
  .filter((row) => row && !row.startsWith("#")).map((row) => row.split("\t"));
const contexts = new Map(rows.map(([name]) => {
  const pem = readFileSync(`${certificates}/${name}.pem`);
  return [name, { key: pem, cert: pem }];
}));
for (const [name, number, kind] of rows) {
  if (kind !== "h2") continue;
  // Vanity names lead here by CNAME, so the certificate is chosen by the name that the client asks
  // for.
  const SNICallback = (asked, done) =>
    done(null, createSecureContext(contexts.get(asked) ?? contexts.get(name)));
  for (const address of [`198.18.1.${number}`, `2001:db8::1:${number}`]) {
    createSecureServer({ ...contexts.get(name), SNICallback, allowHTTP1: true }, answer)
      .listen(443, address);
  }
}
console.log("ready");
