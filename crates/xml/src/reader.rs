// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Walks a parsed tree on behalf of typed elements and knows where everything stands.
//!
//! Every error speaks libvirt's words of element, attribute and value; its hint has line, column and what is
//! allowed. What no element asks for is
//! reported as a [`Warning`]; with [`ParseFlags::VALIDATE`] it is an error. At most [`MAX_WARNINGS`] are kept.

use std::borrow::Cow;
use std::cell::RefCell;

use bitflags::bitflags;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::limits::{self, MAX_NODES};
use crate::malformed;
use crate::nearest::with_nearest;
use crate::schema::{self, Piece, Shape};
use crate::value::{Allowed, Value};

/// More than this are not kept: a document of one million unknown elements is one mistake, not a million.
pub const MAX_WARNINGS: usize = 64;

bitflags! {
    /// How a document is to be read.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct ParseFlags: u32 {
        /// A definition: what only a running guest has (aliases, vnetN, allocated ports, ptys) is dropped.
        const INACTIVE = 1;
        /// What is not known is an error, not a warning.
        const VALIDATE = 2;
        /// A status file: what libvirt keeps for itself is read too.
        const STATUS = 4;
        /// A new definition: defaults that change what the guest sees may be chosen afresh.
        const ABI_UPDATE = 16;
        /// Only what stands there: nothing is filled in ([`crate::Domain::settle`]).
        const RAW = 8;
        /// What contradicts itself is read all the same: definitions that were accepted before.
        const SKIP_VALIDATE = 32;
        /// A pattern to look for: what must be there otherwise may be missing.
        const PARTIAL = 64;
        /// An object that is to be made: what only one that exists has is neither read nor missed.
        const NEW = 128;
    }
}

/// Something in the document that has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub line: u32,
    pub column: u32,
    pub text: String,
}

/// A value and what was odd about its text.
#[derive(Debug, Clone)]
pub struct Parsed<T> {
    pub value: T,
    pub warnings: Vec<Warning>,
}

/// What is known of the document while it is read.
struct Context<'a> {
    tree: &'a roxmltree::Document<'a>,
    flags: ParseFlags,
    /// Which part of the system speaks in errors.
    domain: ErrorDomain,
    warnings: RefCell<Vec<Warning>>,
}

impl Context<'_> {
    /// Line and column of a byte.
    fn place(&self, offset: usize) -> (u32, u32) {
        let at = self.tree.text_pos_at(offset);
        (at.row, at.col)
    }
}

/// One element of the document.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    xml: roxmltree::Node<'a, 'a>,
    context: &'a Context<'a>,
}

/// One attribute, or the text of an element: what a [`Value`] is read from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    node: Node<'a>,
    /// The attribute's name; `None` for the element's text.
    attr: Option<&'a str>,
    text: &'a str,
    /// Where it stands in the document.
    offset: usize,
}

/// Reads `text` with `read`, which gets the root element. `what` names the document in errors, in libvirt's
/// way: `(domain_definition)`, or the path of its file.
pub fn parse<T>(
    text: &str,
    what: &str,
    flags: ParseFlags,
    read: impl FnOnce(Node<'_>) -> Result<T>,
) -> Result<Parsed<T>> {
    parse_for(ErrorDomain::Domain, text, what, flags, read)
}

/// The same for a part of the system that is not about domains: errors are in its error domain.
pub fn parse_for<T>(
    domain: ErrorDomain,
    text: &str,
    what: &str,
    flags: ParseFlags,
    read: impl FnOnce(Node<'_>) -> Result<T>,
) -> Result<Parsed<T>> {
    limits::check(text).map_err(|refused| malformed::refused(domain, what, text, refused))?;
    let options = roxmltree::ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..Default::default()
    };
    let tree = roxmltree::Document::parse_with_options(text, options)
        .map_err(|cause| malformed::error(domain, what, text, &cause))?;
    let context = Context { tree: &tree, flags, domain, warnings: RefCell::default() };
    let value = read(Node { xml: tree.root_element(), context: &context })?;
    let warnings = context.warnings.take();
    if flags.contains(ParseFlags::VALIDATE)
        && let Some(first) = warnings.first()
    {
        let text = format!("line {}, column {}: {}", first.line, first.column, first.text);
        return Err(Error::new(ErrorCode::XmlInvalidSchema, text)
            .in_domain(ErrorDomain::Xml)
            .hint("correct the name, or define the object without the validate flag"));
    }
    Ok(Parsed { value, warnings })
}

/// An element that knows how to read and write itself.
pub trait Element: Sized {
    /// What the schema allows in it. Stated with `shape!` where `read` is written by hand.
    const SHAPE: &'static Shape;
    fn read(node: Node<'_>) -> Result<Self>;
    fn write(&self, tag: &str, out: &mut crate::writer::Writer);
}

impl<T: Element> Element for Box<T> {
    const SHAPE: &'static Shape = T::SHAPE;
    fn read(node: Node<'_>) -> Result<Self> {
        T::read(node).map(Self::new)
    }
    fn write(&self, tag: &str, out: &mut crate::writer::Writer) {
        T::write(self, tag, out);
    }
}

/// What a struct contributes to the element that it stands for, or is a part of.
pub trait Part: Default {
    /// The names that [`Part::attr`] and [`Part::child`] take; for "did you mean".
    const ATTRS: &'static [&'static str];
    const CHILDREN: &'static [&'static str];
    /// What the schema allows in an element with this part.
    const PIECES: &'static [Piece];
    /// Takes an attribute, or answers `false`.
    fn attr(&mut self, name: &str, value: Source<'_>) -> Result<bool>;
    /// Takes a child element, or answers `false`.
    fn child(&mut self, name: &str, node: Node<'_>) -> Result<bool>;
    /// Takes the element's text, or answers `false`.
    fn text(&mut self, value: Source<'_>) -> Result<bool>;
    /// Called when all has been taken: what must be there is there?
    fn finish(&mut self, node: Node<'_>) -> Result<()>;
    fn write_attrs(&self, out: &mut crate::writer::Writer);
    fn write_body(&self, out: &mut crate::writer::Writer);
}

impl<'a> Node<'a> {
    /// The element's name without its prefix.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.xml.tag_name().name()
    }

    #[must_use]
    pub fn namespace(&self) -> Option<&'a str> {
        self.xml.tag_name().namespace()
    }

    #[must_use]
    pub fn flags(&self) -> ParseFlags {
        self.context.flags
    }

    /// Whether a definition is read, not the description of a running guest.
    #[must_use]
    pub fn inactive(&self) -> bool {
        self.context.flags.contains(ParseFlags::INACTIVE)
    }

    /// Whether the object is still to be made.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.context.flags.contains(ParseFlags::NEW)
    }

    /// Whether a status file is read.
    #[must_use]
    pub fn in_status(&self) -> bool {
        self.context.flags.contains(ParseFlags::STATUS)
    }

    /// The attribute `name`, without a namespace.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Source<'a>> {
        self.xml.attribute_node(name).map(|attr| self.source(attr))
    }

    /// All attributes without a namespace.
    pub fn attrs(&self) -> impl Iterator<Item = (&'a str, Source<'a>)> + use<'a> {
        let node = *self;
        let plain = self.xml.attributes().filter(|attr| attr.namespace().is_none());
        plain.map(move |attr| (attr.name(), node.source(attr)))
    }

    fn source(&self, attr: roxmltree::Attribute<'a, 'a>) -> Source<'a> {
        Source {
            node: *self,
            attr: Some(attr.name()),
            text: attr.value(),
            offset: attr.range().start,
        }
    }

    /// Gives `use_it` a text of this element as the source of a value.
    pub(crate) fn with_text<T>(&self, text: &str, use_it: impl FnOnce(Source<'_>) -> T) -> T {
        use_it(self.text_source(text))
    }

    fn text_source<'t>(&self, text: &'t str) -> Source<'t>
    where
        'a: 't,
    {
        Source { node: *self, attr: None, text, offset: self.xml.range().start }
    }

    /// The typed value of the attribute `name`, if it is there.
    pub fn get<T: Value>(&self, name: &str) -> Result<Option<T>> {
        self.attr(name).map(Source::value).transpose()
    }

    /// The typed value of the attribute `name`, which must be there.
    pub fn need<T: Value>(&self, name: &str) -> Result<T> {
        self.get(name)?.ok_or_else(|| self.missing_attr(name))
    }

    /// All child elements.
    pub fn children(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let context = self.context;
        self.xml
            .children()
            .filter(roxmltree::Node::is_element)
            .map(move |xml| Node { xml, context })
    }

    /// The first child element called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Node<'a>> {
        self.children().find(|child| child.name() == name)
    }

    /// The element's text: what stands directly in it.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        let mut pieces = self.xml.children().filter(roxmltree::Node::is_text);
        let first = pieces.next().and_then(|piece| piece.text()).unwrap_or_default();
        match pieces.next().and_then(|piece| piece.text()) {
            None => Cow::Borrowed(first),
            Some(second) => {
                let mut all = format!("{first}{second}");
                all.extend(pieces.filter_map(|piece| piece.text()));
                Cow::Owned(all)
            }
        }
    }

    /// The element's text as a value.
    pub fn text_value<T: Value>(&self) -> Result<T> {
        let text = self.text();
        self.text_source(&text).value()
    }

    /// Gives `part` all attributes, children and the text; reports what it does not take.
    pub fn fill<P: Part>(&self, part: &mut P) -> Result<()> {
        self.fill_beside(part, None)
    }

    /// The same for a part of an element whose attribute `type` has told that it is this part.
    pub fn fill_typed<P: Part>(&self, part: &mut P) -> Result<()> {
        self.fill_beside(part, Some("type"))
    }

    fn fill_beside<P: Part>(&self, part: &mut P, taken: Option<&str>) -> Result<()> {
        for (name, value) in self.attrs() {
            if Some(name) != taken && !part.attr(name, value)? {
                self.unknown_attr(name, P::ATTRS);
            }
        }
        let namespace = self.namespace();
        let mut has_children = false;
        for child in self.children() {
            has_children = true;
            let foreign = child.namespace() != namespace && child.namespace().is_some();
            if !foreign && !part.child(child.name(), child)? {
                child.unknown(P::CHILDREN);
            }
        }
        let text = self.text();
        if !has_children || !text.trim().is_empty() {
            part.text(self.text_source(&text))?;
        }
        part.finish(*self)
    }

    /// Line and column of the element.
    #[must_use]
    pub fn position(&self) -> (u32, u32) {
        self.context.place(self.xml.range().start)
    }

    /// The element as it stands in the document.
    #[must_use]
    pub fn source_text(&self) -> &'a str {
        self.context.tree.input_text().get(self.xml.range()).unwrap_or_default()
    }

    /// The element as a document of its own, with the namespaces that are declared further out.
    #[must_use]
    pub fn as_document(&self) -> String {
        let text = self.source_text();
        let name = text.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>')).unwrap_or(1);
        let further_out = self.xml.parent().into_iter().flat_map(|parent| parent.namespaces());
        let mut document = text[..name].to_owned();
        for namespace in further_out {
            let Some(prefix) = namespace.name().filter(|prefix| *prefix != "xml") else { continue };
            if !text.contains(&format!("xmlns:{prefix}=")) {
                document.push_str(&format!(" xmlns:{prefix}=\"{}\"", namespace.uri()));
            }
        }
        document.push_str(&text[name..]);
        document
    }

    pub(crate) fn raw(&self) -> roxmltree::Node<'a, 'a> {
        self.xml
    }

    /// Reports that this element is not known here.
    pub fn unknown(&self, known: &[&str]) {
        self.warn(|| {
            let parent = self.xml.parent_element().map_or("", |p| p.tag_name().name());
            with_nearest(
                format!("element <{}> is not known in <{parent}>", self.name()),
                self.name(),
                known,
            )
        });
    }

    /// Reports that an attribute of this element is not known.
    pub fn unknown_attr(&self, name: &str, known: &[&str]) {
        self.warn(|| {
            with_nearest(
                format!("attribute '{name}' of <{}> is not known", self.name()),
                name,
                known,
            )
        });
    }

    /// Reports a second element where one is read.
    pub fn duplicate(&self) {
        self.warn(|| format!("a second <{}> is ignored", self.name()));
    }

    /// Reports that the element has no effect, and `why`.
    pub fn ignored(&self, why: impl std::fmt::Display) {
        self.warn(|| format!("<{}> is ignored: {why}", self.name()));
    }

    fn warn(&self, text: impl FnOnce() -> String) {
        let mut warnings = self.context.warnings.borrow_mut();
        if warnings.len() < MAX_WARNINGS {
            let (line, column) = self.position();
            warnings.push(Warning { line, column, text: text() });
        }
    }

    /// An error about this element; the hint says where it stands.
    #[must_use]
    pub fn error(&self, text: impl std::fmt::Display) -> Error {
        self.error_at(self.xml.range().start, text)
    }

    fn error_at(&self, offset: usize, text: impl std::fmt::Display) -> Error {
        let (line, column) = self.context.place(offset);
        Error::new(ErrorCode::XmlError, text.to_string())
            .in_domain(self.context.domain)
            .hint(format!("see element <{}>, line {line}, column {column}", self.name()))
    }

    /// With the validate flag: errs at the first thing in this element that `shape` does not allow.
    pub fn conform(&self, shape: &'static Shape) -> Result<()> {
        if self.context.flags.contains(ParseFlags::VALIDATE) {
            return schema::check(*self, shape);
        }
        Ok(())
    }

    /// Errs if the element is not called `name`.
    pub fn expect(&self, name: &str) -> Result<()> {
        if self.name() == name {
            return Ok(());
        }
        let text = format_args!("expecting root element of '{name}', not '{}'", self.name());
        Err(self.error(text).in_domain(ErrorDomain::Xml))
    }

    /// The error for an attribute that must be there.
    #[must_use]
    pub fn missing_attr(&self, name: &str) -> Error {
        self.error(format_args!("Missing required attribute '{name}' in element '{}'", self.name()))
            .in_domain(ErrorDomain::Xml)
    }

    /// The error for a child that must be there.
    #[must_use]
    pub fn missing_child(&self, name: &str) -> Error {
        self.error(format_args!("Missing required element '{name}' in element '{}'", self.name()))
    }
}

impl<'a> Source<'a> {
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    #[must_use]
    pub fn node(&self) -> Node<'a> {
        self.node
    }

    /// The text as a `T`.
    pub fn value<T: Value>(self) -> Result<T> {
        T::parse(self.text).ok_or_else(|| self.invalid(&T::ALLOWED))
    }

    /// The error for a value that is not allowed here.
    #[must_use]
    pub fn invalid(&self, allowed: &Allowed) -> Error {
        let mut shown: String = self.text.chars().take(120).collect();
        if shown.len() < self.text.len() {
            shown.push('…');
        }
        let place = match self.attr {
            Some(attr) => format!("attribute '{attr}' in element '{}'", self.node.name()),
            None => format!("element '{}'", self.node.name()),
        };
        let expected = allowed.expected();
        let text = format_args!("Invalid value for {place}: '{shown}'.{expected}");
        let error = self.node.error_at(self.offset, text);
        error.in_domain(ErrorDomain::Xml).hint(format!("allowed: {allowed}"))
    }
}
