// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events as messages. One event value becomes the modern message for a callback id or the legacy
//! message without one, whichever the client registered for.

use virtus_api::{Event, Family};

use crate::generated::events::EVENTS;
use crate::program::{Address, number, version};
use crate::xdr::{DecodeError, Decoder, EncodeError, Encoder, Shape, Xdr};

/// The message that a client registered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With the callback id that the registration answered. Families without callback ids
    /// (the closing of a connection) leave it out.
    Modern(i32),
    /// Without one: domain events 0 to 15.
    Legacy,
}

/// The row of one event.
pub(crate) struct EventCodec {
    pub(crate) family: Family,
    pub(crate) id: i32,
    pub(crate) program: virtus_api::Program,
    pub(crate) modern: i32,
    pub(crate) has_callback: bool,
    pub(crate) legacy: Option<i32>,
    pub(crate) put: fn(&Event, &mut Encoder<'_>),
    pub(crate) take: fn(&mut Decoder<'_>) -> Result<Event, DecodeError>,
    pub(crate) put_legacy: fn(&Event, &mut Encoder<'_>),
    pub(crate) take_legacy: fn(&mut Decoder<'_>) -> Result<Event, DecodeError>,
    pub(crate) shape: Shape,
    /// The fields that the legacy message has; empty: all.
    pub(crate) legacy_fields: &'static [&'static str],
}

/// One row: `Family::Variant(Type), Program, procedure, has callback id, legacy procedure`, and the
/// fields that the legacy message keeps and drops if it does not have all.
macro_rules! events {
    ($($family:ident :: $variant:ident($name:ident, $events:ident), $program:ident, $modern:literal,
        $callback:literal, $legacy:expr $(, keeps($($kept:ident),*), drops($($dropped:ident),*))?;)*) => {
        &[$($crate::events::EventCodec {
            family: virtus_api::Family::$family,
            id: <virtus_api::$name as virtus_api::EventMessage>::ID,
            program: virtus_api::Program::$program,
            modern: $modern,
            has_callback: $callback,
            legacy: $legacy,
            put: |event, out| {
                if let virtus_api::Event::$family(virtus_api::$events::$variant(event)) = event {
                    $crate::xdr::Xdr::put(event, out);
                }
            },
            take: |input| Ok(<virtus_api::$name as $crate::xdr::Xdr>::take(input)?.into()),
            put_legacy: $crate::events::put_legacy!(
                $family, $events, $variant $(, $($kept),*)?
            ),
            take_legacy: $crate::events::take_legacy!(
                $name $(, keeps($($kept),*), drops($($dropped),*))?
            ),
            shape: <virtus_api::$name as $crate::xdr::Xdr>::SHAPE,
            legacy_fields: &[$($(stringify!($kept)),*)?],
        }),*]
    };
}

macro_rules! put_legacy {
    ($family:ident, $events:ident, $variant:ident $(, $kept:ident)*) => {
        |event, out| {
            if let virtus_api::Event::$family(virtus_api::$events::$variant(event)) = event {
                $crate::events::put_fields!(event, out $(, $kept)*);
            }
        }
    };
}

macro_rules! put_fields {
    ($event:expr, $out:expr) => {
        $crate::xdr::Xdr::put($event, $out)
    };
    ($event:expr, $out:expr $(, $kept:ident)+) => {{ $($crate::xdr::Xdr::put(&$event.$kept, $out);)+ }};
}

macro_rules! take_legacy {
    ($name:ident) => {
        |input| Ok(<virtus_api::$name as $crate::xdr::Xdr>::take(input)?.into())
    };
    ($name:ident, keeps($($kept:ident),*), drops($($dropped:ident),*)) => {
        |input| {
            Ok(virtus_api::$name {
                $($kept: $crate::xdr::Xdr::take(input)?,)*
                $($dropped: Default::default(),)*
            }
            .into())
        }
    };
}
pub(crate) use {events, put_fields, put_legacy, take_legacy};

fn row(event: &Event) -> &'static EventCodec {
    let (family, id) = (event.family(), event.id());
    match EVENTS.iter().find(|row| row.family == family && row.id == id) {
        Some(row) => row,
        None => unreachable!("the table of events has every event"),
    }
}

/// Where the message goes; `None` if the event has no message of this form.
#[must_use]
pub fn address(event: &Event, form: Form) -> Option<Address> {
    let row = row(event);
    let procedure = match form {
        Form::Modern(_) => row.modern,
        Form::Legacy => row.legacy?,
    };
    Some(Address { program: number(row.program), version: version(row.program), procedure })
}

/// Appends the body of the message.
pub fn encode(event: &Event, form: Form, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let row = row(event);
    let before = out.len();
    let mut encoder = Encoder::new(out);
    match form {
        Form::Modern(callback) => {
            if row.has_callback {
                callback.put(&mut encoder);
            }
            (row.put)(event, &mut encoder);
        }
        Form::Legacy if row.legacy.is_some() => (row.put_legacy)(event, &mut encoder),
        Form::Legacy => encoder.fail(EncodeError::NoSuchMessage),
    }
    let done = encoder.finish();
    if done.is_err() {
        out.truncate(before);
    }
    done
}

/// A received event and the form of its message.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The callback id, if the message has one.
    pub callback: Option<i32>,
    pub event: Event,
}

/// Reads a message; `None` if it is no event that we know (a client ignores those).
#[must_use]
pub fn decode(program: u32, procedure: i32, body: &[u8]) -> Option<Result<Received, DecodeError>> {
    let of_program = || EVENTS.iter().filter(|row| number(row.program) == program);
    let mut input = Decoder::new(body);
    if let Some(row) = of_program().find(|row| row.modern == procedure) {
        return Some(modern(row, &mut input));
    }
    let row = of_program().find(|row| row.legacy == Some(procedure))?;
    Some((row.take_legacy)(&mut input).map(|event| Received { callback: None, event }))
}

fn modern(row: &EventCodec, input: &mut Decoder<'_>) -> Result<Received, DecodeError> {
    let callback = if row.has_callback { Some(i32::take(input)?) } else { None };
    Ok(Received { callback, event: (row.take)(input)? })
}

/// A message that carries an event, as data.
#[derive(Debug, Clone, Copy)]
pub struct EventShape {
    pub family: Family,
    pub id: i32,
    pub program: u32,
    pub procedure: i32,
    /// Whether a callback id (an `int`) stands before the fields.
    pub has_callback: bool,
    pub shape: Shape,
    /// The only fields of `shape` that the message has; empty: all.
    pub fields: &'static [&'static str],
}

/// Every message that carries an event.
pub fn shapes() -> impl Iterator<Item = EventShape> {
    EVENTS.iter().flat_map(|row| {
        let modern = EventShape {
            family: row.family,
            id: row.id,
            program: number(row.program),
            procedure: row.modern,
            has_callback: row.has_callback,
            shape: row.shape,
            fields: &[],
        };
        let legacy = row.legacy.map(|procedure| EventShape {
            procedure,
            has_callback: false,
            fields: row.legacy_fields,
            ..modern
        });
        [Some(modern), legacy].into_iter().flatten()
    })
}
