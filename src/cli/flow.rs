//! `saastap explain --flow ID FILE...`: what named one flow of a capture, and what followed from that, for a person.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::Failure;
use crate::config::Config;
use crate::export::Metrics;
use crate::export::web::Octets;
use crate::identity::{Ech, random_key};
use crate::pipeline::{FlowLine, InForce, Rules, collector, read_files, write_ascii};
use crate::time::Second;
use crate::usage::Activity;

/// Reads the captures whole: what names a flow may stand in another one, and before it.
///
/// # Errors
/// Captures that cannot be read, and an id that no flow has.
pub fn run(id: u64, files: &[PathBuf], config: Config, json: bool) -> Result<ExitCode, Failure> {
    let rules = Arc::new(InForce::new(Rules::load(&config)?));
    let metrics = Metrics::new(&config.metrics).map_err(io::Error::other)?;
    let key = random_key().map_err(io::Error::other)?;
    let collector = collector(&config, rules, &metrics, key, true)?;
    let mut lines: Vec<FlowLine> = Vec::new();
    let outcome = read_files(files, &config, collector, &mut |collector, _| {
        lines.extend(std::mem::take(&mut collector.lines).into_iter().filter(|l| l.id == id));
    })?;
    for notice in &outcome.notices {
        eprintln!("saastap: {notice}");
    }
    if lines.is_empty() {
        return Err(Failure::misuse(format!(
            "no flow {id} in this capture\n  mend: take the \"id\" of a line of `saastap read --flows`"
        )));
    }
    let mut out = io::stdout().lock();
    for line in &lines {
        if json { write_ascii(&mut out, line)? } else { person(line, &mut out)? }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn person(line: &FlowLine, out: &mut impl Write) -> io::Result<()> {
    let ends = [&line.client, &line.server];
    let [client, server] = ends.map(|end| std::net::SocketAddr::new(end.ip, end.port));
    writeln!(out, "flow {} {} {client} -> {server}", line.id, line.transport)?;
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    let mut row = |what: &str, text: String| match text.as_str() {
        "" => Ok(()),
        // Names come from the wire: control characters would reach the terminal.
        text => writeln!(out, "  {what:<11} {}", text.escape_debug()),
    };
    let begin = line.start.map_or_else(String::new, |start| format!("from {} ", Second(start)));
    row("seen", format!("{begin}until {}", Second(line.end)))?;
    let (sent, received) = (Octets(line.sent.bytes), Octets(line.received.bytes));
    row("octets", format!("{sent} sent, {received} received"))?;
    row("community", line.community_id.clone())?;
    row("through", line.tunnels.join(", "))?;
    for name in &line.names {
        row("name", format!("{} ({})", name.name, name.via.name()))?;
    }
    for message in &line.dns {
        let answers: Vec<String> =
            message.answers.iter().map(|a| format!("{} {}", a.rtype, a.data)).collect();
        let said = if message.response { answers.join(", ") } else { "asked".to_owned() };
        row("dns", format!("{} {}: {said}", message.question, message.qtype))?;
    }
    row("candidates", list(&line.candidates))?;
    row("alpn", list(&line.alpn))?;
    row("ech", word(line.ech.filter(|ech| *ech != Ech::None).map(Ech::name)))?;
    row("ja4", line.ja4.as_deref().unwrap_or_default().to_owned())?;
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    row("vendor", text(&line.vendor))?;
    row("tenant", text(&line.tenant))?;
    row("role", word(line.role))?;
    row("activity", word(line.activity.map(Activity::name)))?;
    row("by", word(line.via.map(|via| via.name())))?;
    // How DNS led from the name that was asked for to the one that the signature knows.
    row("chain", line.chain.join(" -> "))?;
    row("signature", text(&line.signature))?;
    row("file", text(&line.file))?;
    row("confidence", word(line.confidence.map(|confidence| confidence.name())))?;
    row("relation", word(line.relation))?;
    row("group", text(&line.group))?;
    row("state", word(line.state))?;
    row("visibility", word(line.visibility.map(|visibility| visibility.name())))
}

fn list(names: &[impl AsRef<str>]) -> String {
    names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}
