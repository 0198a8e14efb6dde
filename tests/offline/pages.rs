//! Products on premise by what their pages say, where the configuration has the program look.

use serde_json::Value;

use crate::activity::{SECOND, Talk, capture};
use crate::program::saastap_fed;

const INSIDE: [u8; 4] = [10, 1, 2, 3];

/// Vendor and deployment of each flow.
fn told(config: &str) -> Vec<(Value, Value)> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html><html><head>";
    let pages: [&[u8]; 3] = [
        b"<meta property=\"glpi:csrf_token\" content=\"x\">",
        b"<title>3CX Phone System Management Console</title>",
        b"<title>The 3CX Phone System Management Console and us</title>",
    ];
    let talks = pages.iter().zip(41_001..).map(|(page, port)| {
        let mut talk = Talk::tcp(port, INSIDE, 80);
        talk.say(SECOND, true, b"GET / HTTP/1.1\r\nHost: 10.1.2.3\r\n\r\n");
        // The page in a segment of its own.
        talk.say(2 * SECOND, false, head);
        talk.say(2 * SECOND + 1_000, false, page);
        talk
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saastap.toml");
    std::fs::write(&file, config).unwrap();
    let args = ["read", "--config", file.to_str().unwrap(), "--flows", "-"];
    let bytes = capture(talks.collect());
    let mut flows = saastap_fed(&args, |stdin| stdin.write_all(&bytes).unwrap()).lines();
    flows.sort_by_key(|flow| flow["client"]["port"].as_u64());
    flows.iter().map(|flow| (flow["vendor"].clone(), flow["deployment"].clone())).collect()
}

#[test]
fn pages_tell_the_product_where_they_are_asked_and_are_left_alone_otherwise() {
    let on = told("[signatures]\npage_marks = true\n");
    let product = |id: &str| (Value::from(id), Value::from("on-premise"));
    let nobody = (Value::Null, Value::Null);
    assert_eq!(on, [product("glpi"), product("3cx"), nobody.clone()]);
    assert_eq!(told(""), [nobody.clone(), nobody.clone(), nobody]);
}
