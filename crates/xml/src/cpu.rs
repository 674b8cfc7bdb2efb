// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A `<cpu>` that stands alone: a guest's, or a host's, which is told by its `<arch>`.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::capabilities::HostCpu;
use crate::document::Document;
use crate::domain::cpu::{self, Cpu};
use crate::reader::{Element, Node, ParseFlags};
use crate::schema::Shape;
use crate::writer::Writer;

/// One of the two forms of `<cpu>`.
#[derive(Debug, Clone, PartialEq)]
pub enum CpuDocument {
    Host(Box<HostCpu>),
    Guest(Box<Cpu>),
}

impl Element for CpuDocument {
    /// A child decides which of the two it is, so that both are allowed.
    const SHAPE: &'static Shape =
        shape!(CpuDocument: pieces (Cpu::SHAPE.pieces), pieces (HostCpu::SHAPE.pieces));

    fn read(node: Node<'_>) -> Result<Self> {
        if node.find("arch").is_none() {
            return Cpu::read(node).map(|guest| Self::Guest(Box::new(guest)));
        }
        if node.attr("mode").is_some() {
            let text = "Attribute mode is only allowed for guest CPU";
            let error = Error::new(ErrorCode::ConfigUnsupported, text);
            return Err(error.in_domain(ErrorDomain::Cpu).hint("a <cpu> with <arch> is a host's"));
        }
        if node.attr("match").is_some() {
            return Err(node.error("'arch' cannot stand in a <cpu> that has 'match'"));
        }
        HostCpu::read(node).map(|host| Self::Host(Box::new(host)))
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        match self {
            Self::Host(host) => host.write(tag, out),
            Self::Guest(guest) => guest.write(tag, out),
        }
    }
}

impl Document for CpuDocument {
    const ROOT: &'static str = "cpu";
    const WHAT: &'static str = "(CPU_definition)";
    const DOMAIN: ErrorDomain = ErrorDomain::Cpu;

    fn settle(&mut self, _: ParseFlags) -> Result<()> {
        if let Self::Guest(guest) = self {
            cpu::settle(Some(guest));
        }
        Ok(())
    }
}
