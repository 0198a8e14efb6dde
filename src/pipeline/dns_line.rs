//! A DNS message in the line that `--flows` prints.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

use crate::sniff::dns::{DnsAnswer, DnsMessage, EchConfig, Section, Service, mnemonic};

#[derive(Debug, Serialize)]
pub struct DnsLine {
    pub question: Box<str>,
    #[serde(rename = "type")]
    pub qtype: Cow<'static, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    more_questions: Vec<QuestionLine>,
    pub response: bool,
    rcode: u8,
    pub answers: Vec<AnswerLine>,
}

#[derive(Debug, Serialize)]
struct QuestionLine {
    question: Box<str>,
    #[serde(rename = "type")]
    qtype: Cow<'static, str>,
}

#[derive(Debug, Serialize)]
pub struct AnswerLine {
    /// Left out in the answer section.
    #[serde(skip_serializing_if = "is_answer")]
    section: Section,
    name: Box<str>,
    #[serde(rename = "type")]
    pub rtype: Cow<'static, str>,
    ttl: u32,
    pub data: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServiceLine>,
}

/// What an HTTPS or SVCB record says beside priority and target.
#[derive(Debug, Serialize)]
struct ServiceLine {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alpn: Vec<Box<str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ech: Vec<EchConfig>,
}

impl From<DnsMessage> for DnsLine {
    fn from(message: DnsMessage) -> Self {
        let question = |(question, qtype)| QuestionLine { question, qtype: mnemonic(qtype) };
        Self {
            question: message.question,
            qtype: mnemonic(message.qtype),
            more_questions: message.more_questions.into_iter().map(question).collect(),
            response: message.response,
            rcode: message.rcode,
            answers: message.answers.into_iter().map(AnswerLine::from).collect(),
        }
    }
}

impl From<DnsAnswer> for AnswerLine {
    fn from(answer: DnsAnswer) -> Self {
        Self {
            section: answer.section,
            name: answer.name,
            rtype: mnemonic(answer.rtype),
            ttl: answer.ttl,
            data: answer.data,
            service: answer.service.map(|service| ServiceLine::from(*service)),
        }
    }
}

impl From<Service> for ServiceLine {
    fn from(service: Service) -> Self {
        Self { alpn: service.alpn, hints: service.hints, ech: service.ech }
    }
}

fn is_answer(section: &Section) -> bool {
    *section == Section::Answer
}
