//! Signatures that the tests of this stage share.

/// In the form of the design's example.
pub const ZENDESK: &str = r#"id = "zendesk"
name = "Zendesk"
categories = ["helpdesk", "customer-service"]
deployment = "cloud"
homepage = "https://www.zendesk.com"

[[match]]
domain = "zendesk.com"
role = "either"
ambiguous = true
tenant = "label"
reserved = ["ekr"]
source = "vendor's manual"

[[match]]
domain = "zdassets.com"
role = "widget"
source = "csp"

[[match]]
cname = "zendesk.com"
tenant = "label"
source = "vendor's manual"

[[example]]
host = "acme.zendesk.com"
expect = { role = "either", tenant = "acme" }

[[example]]
host = "www.zendesk.com"
expect = { role = "marketing", ambiguous = false }

[[example]]
host = "zendesk.com.login.example"
expect = "none"
"#;

/// A small sheet of one domain.
pub fn sheet(id: &str, domain: &str) -> String {
    format!(
        r#"id = "{id}"
name = "{id}"
categories = ["helpdesk"]
deployment = "cloud"
homepage = "https://{domain}"
[[match]]
domain = "{domain}"
role = "console"
source = "here"
[[example]]
host = "a.{domain}"
expect = {{ role = "console" }}
[[example]]
host = "{domain}.example"
expect = "none"
"#
    )
}
