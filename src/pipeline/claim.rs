//! What the catalogue says of evidence that is no host name: certificates, ALPN, patterns of bytes, native protocols, mail.

use std::sync::Arc;

use super::name::{Name, Via};
use crate::signature::{Catalog, Confidence, Verdict};
use crate::sniff::{Evidence, PatternId};

/// The claims on a flow that evidence as a whole makes, with what the line of the flow shows of it. `port` is the server's.
pub fn claims(catalog: &Catalog, evidence: &Evidence, port: u16) -> Vec<(Name, Verdict)> {
    let met = |via, ids: &[PatternId]| {
        let verdicts = ids.iter().filter_map(|id| catalog.pattern(*id, port));
        verdicts.map(|verdict| shown(via, &verdict.signature.clone(), verdict)).collect()
    };
    match evidence {
        Evidence::Tls(hello) => {
            let offered = hello.alpn.iter().map(AsRef::as_ref);
            let claim = |alpn: &str| Some(shown(Via::Alpn, alpn, catalog.alpn(alpn)?));
            let asked = catalog.asks_for_ja4();
            let print = hello.ja4.as_ref().filter(|_| asked).and_then(|print| {
                let print = print.text();
                let verdict = catalog.ja4(&print)?;
                let ambiguous = verdict.ambiguous || verdict.confidence == Confidence::Low;
                Some(shown(Via::Ja4, &print, Verdict { ambiguous, ..verdict }))
            });
            offered.filter_map(claim).take(1).chain(print).collect()
        }
        Evidence::Certificate(certificate) => {
            let verdict = catalog.certificate(certificate, port);
            let name = certificate.subject.as_ref().or(certificate.names.first());
            let name = name.or(certificate.issuer.as_ref()).or(certificate.organisation.as_ref());
            let both = verdict.zip(name);
            both.map(|(verdict, name)| shown(Via::Certificate, name, verdict)).into_iter().collect()
        }
        Evidence::HttpResponse(response) => met(Via::HttpResponse, &response.patterns),
        Evidence::Payload(ids) => met(Via::Payload, ids),
        _ => Vec::new(),
    }
}

/// What the catalogue says of a name that is no host name; the outer `None` for those that are.
pub fn verdict(catalog: &Catalog, name: &Name, port: u16) -> Option<Option<Verdict>> {
    match name.via {
        Via::Native => Some(catalog.protocol(&name.name, port)),
        Via::Smtp => Some(catalog.mail(&name.name)),
        // One name of many: the certificate decides as a whole.
        Via::Certificate => Some(None),
        _ => None,
    }
}

fn shown(via: Via, name: &str, verdict: Verdict) -> (Name, Verdict) {
    (Name { via, name: Arc::from(name) }, verdict)
}
