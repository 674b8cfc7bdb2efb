// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The bridge from `tracing` to our sinks. Spans are accepted and not written: libvirt's line
//! format has no place for them.

use std::fmt::{self, Write};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::metadata::LevelFilter;
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Metadata};
use virtus_api::Result;

use super::sink::{Record, Sink};
use super::{Level, Settings, category};

/// The settings in force, with their opened outputs.
pub(super) struct Active(RwLock<Arc<Opened>>);

struct Opened {
    settings: Settings,
    sinks: Vec<Sink>,
}

impl Active {
    pub(super) fn open(settings: Settings) -> Result<Self> {
        Ok(Self(RwLock::new(Opened::open(settings)?)))
    }

    /// Changes what `change` changes. Nothing is held while outputs are opened; if somebody else
    /// has changed something meanwhile, it is done again on what holds now.
    pub(super) fn change(&self, change: impl Fn(&mut Settings)) -> Result<()> {
        loop {
            let before = self.opened();
            let mut settings = before.settings.clone();
            change(&mut settings);
            let opened = Opened::open(settings)?;
            let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&now, &before) {
                *now = opened;
                return Ok(());
            }
        }
    }

    pub(super) fn settings(&self) -> Settings {
        self.opened().settings.clone()
    }

    pub(super) fn subscriber(self: &Arc<Self>) -> Bridge {
        Bridge(self.clone())
    }

    fn opened(&self) -> Arc<Opened> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Opened {
    fn open(settings: Settings) -> Result<Arc<Self>> {
        let sinks = settings
            .outputs
            .iter()
            .map(|output| Sink::open(output, &settings.ident))
            .collect::<Result<Vec<_>>>()?;
        let uname = rustix::system::uname();
        let hostname = uname.nodename().to_string_lossy();
        sinks.iter().for_each(|sink| sink.introduce(&hostname));
        Ok(Arc::new(Self { settings, sinks }))
    }

    /// A filter may let through more than the default level; an output may take less.
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let level = Level::of(metadata);
        self.sinks.iter().any(|sink| level >= sink.level)
            && level >= self.settings.threshold(&category(metadata.target()))
    }

    fn lowest(&self) -> Level {
        let filters = self.settings.filters.iter().map(|filter| filter.level);
        filters.fold(self.settings.level, Level::min)
    }
}

/// What `tracing` calls.
pub(super) struct Bridge(Arc<Active>);

impl Subscriber for Bridge {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Asked once per place in the code, and again whenever the settings change.
        match metadata.is_event() && self.0.opened().wants(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.0.opened().wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.opened().lowest().filter())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        let category = category(metadata.target());
        let record = Record {
            level: Level::of(metadata),
            source: Some((&category, metadata.line().unwrap_or(0))),
            file: metadata.file(),
            text: &text.finish(),
        };
        for sink in &self.0.opened().sinks {
            if record.level >= sink.level {
                sink.write(&record);
            }
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &SpanRecord<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message, then ` name=value` for each further field.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        self.message + &self.fields
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _infallible = match field.name() {
            "message" => self.message.write_fmt(value),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}
