// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The two forms in which elements and their words are declared: `element!` and `spellings!`.
//!
//! ```text
//! element! {
//!     /// What it is.
//!     pub struct Target {
//!         required dev: String = "dev",           // attribute that must be there
//!         attr bus: Option<Bus> = "bus",          // attribute; without Option: always written, default if absent
//!         child source: Option<Source> = "source" // element; Vec: any number; bare: written unless default
//!         leaf serial: Option<String> = "serial"  // element with only a text; Vec: any number
//!         needed path: String = "path"            // leaf that must be there and not be empty
//!         block kvm: Option<Kvm> = "kvm"          // like child (Option, Vec), but never <kvm/>: always start and end tag
//!         frame devices: Devices = "devices"      // like block, and always there
//!         custom consoles: Vec<C> = "console"     // read like child; a method of the same name writes it
//!         flag readonly: bool = "readonly"        // <readonly/>
//!         text path: String                       // the element's own text
//!         status private: Option<Tree> = "privateData" // like child, in status files only; status_attr: the same for attr
//!         part device: Device                     // another declaration whose pieces stand in this element
//!     }
//!     then Self::check                            // optional: settles what was read, refuses what contradicts itself
//! }
//! ```
//! The order of the fields is the order in which they are written. A declaration may end with `schema { … }`
//! (before `then`): what is allowed with the validate flag is then narrower than what the fields can hold;
//! `describe.rs` has its words.

/// A set of words: an enum that is written in exactly one way each. `also "old" = Variant;` reads an old word, too.
macro_rules! spellings {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $first:ident = $first_word:literal $(, $variant:ident = $word:literal)* $(,)? }
        $(also $alias:literal = $meant:ident;)*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
        pub enum $name { #[default] $first $(, $variant)* }

        impl $name {
            /// All spellings, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$first_word $(, $word)*];
            /// All values.
            pub const ALL: &'static [Self] = &[Self::$first $(, Self::$variant)*];

            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { Self::$first => $first_word $(, Self::$variant => $word)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::value::Value for $name {
            const ALLOWED: $crate::value::Allowed = $crate::value::Allowed::OneOf(Self::WORDS);
            fn parse(text: &str) -> Option<Self> {
                match text { $first_word => Some(Self::$first), $($word => Some(Self::$variant),)* $($alias => Some(Self::$meant),)* _ => None }
            }
            fn write(&self, out: &mut $crate::writer::Escaped<'_>) {
                out.put(self.as_str());
            }
        }
    };
}

/// An element: its struct, its reader, its writer and its schema.
macro_rules! element {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$fmeta:meta])* $kind:ident $field:ident : $ty:ty $(= $tag:literal)? ),* $(,)?
        }
        $(schema { $($schema:tt)* })?
        $(then $check:path)?
    ) => {
        part! {
            $(#[$meta])*
            pub struct $name { $( $(#[$fmeta])* $kind $field : $ty $(= $tag)? ),* }
            $(schema { $($schema)* })?
        }

        impl $crate::reader::Element for $name {
            const SHAPE: &'static $crate::schema::Shape = &$crate::schema::Shape {
                name: concat!(module_path!(), "::", stringify!($name)),
                pieces: <$name as $crate::reader::Part>::PIECES,
            };
            fn read(node: $crate::reader::Node<'_>) -> virtus_api::Result<Self> {
                let mut value = Self::default();
                node.fill(&mut value)?;
                $( $check(&mut value, node)?; )?
                Ok(value)
            }
            fn write(&self, tag: &str, out: &mut $crate::writer::Writer) {
                out.start(tag);
                $crate::reader::Part::write_attrs(self, out);
                $crate::reader::Part::write_body(self, out);
                out.end(tag);
            }
        }
    };
}

/// Pieces that stand in several elements, or in one whose frame is written by hand.
macro_rules! part {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$fmeta:meta])* $kind:ident $field:ident : $ty:ty $(= $tag:literal)? ),* $(,)?
        }
        $(schema { $($schema:tt)* })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name { $( $(#[$fmeta])* pub $field: $ty, )* }

        impl $crate::reader::Part for $name {
            const ATTRS: &'static [&'static str] = &[$( $( field_name!(attrs $kind $tag) ,)? )*];
            const CHILDREN: &'static [&'static str] = &[$( $( field_name!(children $kind $tag) ,)? )*];
            const PIECES: &'static [$crate::schema::Piece] = &[
                $( $crate::schema::Piece::Part(pieces!($($schema)*)), )?
                $( field_piece!($kind $ty $(, $tag)?), )*
            ];

            fn attr(&mut self, name: &str, value: $crate::reader::Source<'_>) -> virtus_api::Result<bool> {
                let _ = (name, &value);
                $( field_attr!($kind self.$field, name, value $(, $tag)?); )*
                Ok(false)
            }
            fn child(&mut self, name: &str, node: $crate::reader::Node<'_>) -> virtus_api::Result<bool> {
                let _ = (name, &node);
                $( field_child!($kind self.$field, name, node $(, $tag)?); )*
                Ok(false)
            }
            fn text(&mut self, value: $crate::reader::Source<'_>) -> virtus_api::Result<bool> {
                let _ = &value;
                let taken = false;
                $( let taken = taken || field_text!($kind self.$field, value); )*
                Ok(taken)
            }
            fn finish(&mut self, node: $crate::reader::Node<'_>) -> virtus_api::Result<()> {
                let _ = &node;
                $( field_finish!($kind self.$field, node $(, $tag)?); )*
                Ok(())
            }
            fn write_attrs(&self, out: &mut $crate::writer::Writer) {
                let _ = &out;
                $( field_write_attr!($kind self.$field, out $(, $tag)?); )*
            }
            fn write_body(&self, out: &mut $crate::writer::Writer) {
                let _ = &out;
                $( field_write_body!($kind self.$field, out $(, $tag)?); )*
            }
        }
    };
}

macro_rules! field_name {
    (attrs attr $tag:literal) => {
        $tag
    };
    (attrs required $tag:literal) => {
        $tag
    };
    (children child $tag:literal) => {
        $tag
    };
    (children leaf $tag:literal) => {
        $tag
    };
    (children needed $tag:literal) => {
        $tag
    };
    (children flag $tag:literal) => {
        $tag
    };
    ($which:ident $kind:ident $tag:literal) => {
        ""
    };
}

macro_rules! field_attr {
    (attr $self:ident . $field:ident, $name:ident, $value:ident, $tag:literal) => {
        if $name == $tag {
            $crate::slot::AttrSlot::set(&mut $self.$field, $value)?;
            return Ok(true);
        }
    };
    (required $self:ident . $field:ident, $name:ident, $value:ident, $tag:literal) => {
        if $name == $tag {
            $crate::slot::AttrSlot::set(&mut $self.$field, $value)?;
            return Ok(true);
        }
    };
    (status_attr $self:ident . $field:ident, $name:ident, $value:ident, $tag:literal) => {
        if $name == $tag && $value.node().in_status() {
            $crate::slot::AttrSlot::set(&mut $self.$field, $value)?;
            return Ok(true);
        }
    };
    (part $self:ident . $field:ident, $name:ident, $value:ident) => {
        if $crate::reader::Part::attr(&mut $self.$field, $name, $value)? {
            return Ok(true);
        }
    };
    ($kind:ident $($rest:tt)*) => {};
}

macro_rules! field_child {
    (child $self:ident . $field:ident, $name:ident, $node:ident, $tag:literal) => {
        if $name == $tag {
            $crate::slot::ChildSlot::set(&mut $self.$field, $node)?;
            return Ok(true);
        }
    };
    (block $self:ident . $field:ident, $name:ident, $node:ident, $tag:literal) => {
        if $name == $tag {
            $crate::slot::ChildSlot::set(&mut $self.$field, $node)?;
            return Ok(true);
        }
    };
    (frame $self:ident . $field:ident, $name:ident, $node:ident, $tag:literal) => {
        if $name == $tag {
            $crate::slot::ChildSlot::set(&mut $self.$field, $node)?;
            return Ok(true);
        }
    };
    (custom $self:ident . $field:ident, $name:ident, $node:ident, $tag:literal) => {
        if $name == $tag {
            $crate::slot::ChildSlot::set(&mut $self.$field, $node)?;
            return Ok(true);
        }
    };
    (status $self:ident . $field:ident, $name:ident, $node:ident, $tag:literal) => {
        if $name == $tag && $node.in_status() {
            $crate::slot::ChildSlot::set(&mut $self.$field, $node)?;
            return Ok(true);
        }
    };
    (leaf $self:ident . $field:ident, $name:ident, $node:ident, $tag:literal) => {
        if $name == $tag {
            $crate::slot::LeafSlot::set(&mut $self.$field, $node)?;
            return Ok(true);
        }
    };
    (needed $self:ident . $field:ident, $name:ident, $node:ident, $tag:literal) => {
        if $name == $tag {
            $crate::slot::LeafSlot::set(&mut $self.$field, $node)?;
            return Ok(true);
        }
    };
    (flag $self:ident . $field:ident, $name:ident, $node:ident, $tag:literal) => {
        if $name == $tag {
            $self.$field = true;
            return Ok(true);
        }
    };
    (part $self:ident . $field:ident, $name:ident, $node:ident) => {
        if $crate::reader::Part::child(&mut $self.$field, $name, $node)? {
            return Ok(true);
        }
    };
    ($kind:ident $($rest:tt)*) => {};
}

macro_rules! field_text {
    (text $self:ident . $field:ident, $value:ident) => {{
        $crate::slot::AttrSlot::set(&mut $self.$field, $value)?;
        true
    }};
    (part $self:ident . $field:ident, $value:ident) => {
        $crate::reader::Part::text(&mut $self.$field, $value)?
    };
    ($kind:ident $self:ident . $field:ident, $value:ident) => {{
        let _ = &$value;
        false
    }};
}

macro_rules! field_finish {
    (required $self:ident . $field:ident, $node:ident, $tag:literal) => {
        if $node.attr($tag).is_none() {
            return Err($node.missing_attr($tag));
        }
    };
    (needed $self:ident . $field:ident, $node:ident, $tag:literal) => {
        if $node.find($tag).is_none_or(|child| child.text().trim_ascii().is_empty()) {
            return Err($node.missing_child($tag));
        }
    };
    (part $self:ident . $field:ident, $node:ident) => {
        $crate::reader::Part::finish(&mut $self.$field, $node)?;
    };
    ($kind:ident $($rest:tt)*) => {};
}

macro_rules! field_write_attr {
    (attr $self:ident . $field:ident, $out:ident, $tag:literal) => {
        $crate::slot::AttrSlot::write(&$self.$field, $tag, $out);
    };
    (required $self:ident . $field:ident, $out:ident, $tag:literal) => {
        $crate::slot::AttrSlot::write(&$self.$field, $tag, $out);
    };
    (status_attr $self:ident . $field:ident, $out:ident, $tag:literal) => {
        if $out.in_status() {
            $crate::slot::AttrSlot::write(&$self.$field, $tag, $out);
        }
    };
    (part $self:ident . $field:ident, $out:ident) => {
        $crate::reader::Part::write_attrs(&$self.$field, $out);
    };
    ($kind:ident $($rest:tt)*) => {};
}

macro_rules! field_write_body {
    (child $self:ident . $field:ident, $out:ident, $tag:literal) => {
        $crate::slot::ChildSlot::write(&$self.$field, $tag, $out);
    };
    (block $self:ident . $field:ident, $out:ident, $tag:literal) => {
        for value in $self.$field.iter() {
            $out.as_block();
            $crate::reader::Element::write(value, $tag, $out);
        }
    };
    (frame $self:ident . $field:ident, $out:ident, $tag:literal) => {
        $out.as_block();
        $crate::reader::Element::write(&$self.$field, $tag, $out);
    };
    (custom $self:ident . $field:ident, $out:ident, $tag:literal) => {
        $self.$field($tag, $out);
    };
    (status $self:ident . $field:ident, $out:ident, $tag:literal) => {
        if $out.in_status() {
            $crate::slot::ChildSlot::write(&$self.$field, $tag, $out);
        }
    };
    (leaf $self:ident . $field:ident, $out:ident, $tag:literal) => {
        $crate::slot::LeafSlot::write(&$self.$field, $tag, $out);
    };
    (needed $self:ident . $field:ident, $out:ident, $tag:literal) => {
        $crate::slot::LeafSlot::write(&$self.$field, $tag, $out);
    };
    (flag $self:ident . $field:ident, $out:ident, $tag:literal) => {
        if $self.$field {
            $out.empty($tag);
        }
    };
    (text $self:ident . $field:ident, $out:ident) => {
        $crate::slot::AttrSlot::write_text(&$self.$field, $out);
    };
    (part $self:ident . $field:ident, $out:ident) => {
        $crate::reader::Part::write_body(&$self.$field, $out);
    };
    ($kind:ident $($rest:tt)*) => {};
}
