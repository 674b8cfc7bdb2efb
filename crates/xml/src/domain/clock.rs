// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<clock>`: what time it is in the guest, and by which timers.

use virtus_api::Result;

use crate::reader::{Element, Node, Part};
use crate::schema::{Data, Shape};
use crate::value::{Allowed, Value, YesNo};
use crate::writer::{Escaped, Writer};

/// `<clock>`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clock {
    pub offset: ClockOffset,
    /// The difference from the offset's time, or `reset` at each start.
    pub adjustment: Option<Adjustment>,
    /// Of which time `variable` is a difference.
    pub basis: Option<ClockBasis>,
    pub timezone: Option<String>,
    /// Seconds since the epoch at which `absolute` starts.
    pub start: Option<u64>,
    pub body: Timers,
}

part! {
    /// The `<timer>`s of a clock.
    pub struct Timers { child timers: Vec<Timer> = "timer" }
}

spellings! {
    /// What the clock is relative to.
    pub enum ClockOffset {
        Utc = "utc", Localtime = "localtime", Variable = "variable", Timezone = "timezone", Absolute = "absolute",
    }
}

spellings! {
    /// The basis of a variable offset.
    pub enum ClockBasis { Utc = "utc", Localtime = "localtime" }
}

/// `adjustment='reset'` or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjustment {
    Reset,
    Seconds(i64),
}

impl Value for Adjustment {
    const ALLOWED: Allowed = Allowed::A("'reset' or a number of seconds");
    const DATA: Data = Data::Pattern("reset|[+-]?[0-9]+");
    fn parse(text: &str) -> Option<Self> {
        if text == "reset" { Some(Self::Reset) } else { i64::parse(text).map(Self::Seconds) }
    }
    fn write(&self, out: &mut Escaped<'_>) {
        match self {
            Self::Reset => out.put("reset"),
            Self::Seconds(seconds) => out.put(seconds),
        }
    }
}

element! {
    /// `<timer>`.
    pub struct Timer {
        required name: TimerName = "name",
        attr present: Option<YesNo> = "present",
        attr tickpolicy: Option<TickPolicy> = "tickpolicy",
        attr track: Option<Track> = "track",
        attr frequency: Option<u64> = "frequency",
        attr mode: Option<TscMode> = "mode",
        child catchup: Option<Catchup> = "catchup"
    }
}

spellings! {
    /// The timers that a guest can have.
    pub enum TimerName {
        Platform = "platform", Pit = "pit", Rtc = "rtc", Hpet = "hpet", Tsc = "tsc", Kvmclock = "kvmclock",
        Hypervclock = "hypervclock", Armvtimer = "armvtimer",
    }
}

spellings! {
    /// What becomes of ticks that the guest missed.
    pub enum TickPolicy { Delay = "delay", Catchup = "catchup", Merge = "merge", Discard = "discard" }
}

spellings! {
    /// What a timer follows.
    pub enum Track { Boot = "boot", Guest = "guest", Wall = "wall", Realtime = "realtime" }
}

spellings! {
    /// How the time stamp counter is provided.
    pub enum TscMode {
        Auto = "auto", Native = "native", Emulate = "emulate", Paravirt = "paravirt", Smpsafe = "smpsafe",
    }
}

element! {
    /// `<catchup>`.
    pub struct Catchup {
        attr threshold: Option<u64> = "threshold",
        attr slew: Option<u64> = "slew",
        attr limit: Option<u64> = "limit"
    }
}

impl Element for Clock {
    const SHAPE: &'static Shape = shape!(Clock:
        required ClockOffset = "offset",
        case "offset" ["utc" "localtime"] { attr Adjustment = "adjustment" },
        case "offset" ["variable"] { attr Adjustment = "adjustment", attr ClockBasis = "basis" },
        case "offset" ["timezone"] { attr String = "timezone" },
        case "offset" ["absolute"] { attr u64 = "start" },
        part Timers
    );
    fn read(node: Node<'_>) -> Result<Self> {
        let mut clock = Self { offset: node.get("offset")?.unwrap_or_default(), ..Self::default() };
        match clock.offset {
            ClockOffset::Utc | ClockOffset::Localtime => {
                clock.adjustment = node.get("adjustment")?;
                if matches!(clock.adjustment, Some(Adjustment::Seconds(_))) {
                    // Whoever keeps a difference has a variable clock.
                    clock.basis = Some(match clock.offset {
                        ClockOffset::Localtime => ClockBasis::Localtime,
                        _ => ClockBasis::Utc,
                    });
                    clock.offset = ClockOffset::Variable;
                }
            }
            ClockOffset::Variable => {
                clock.adjustment = Some(node.get("adjustment")?.unwrap_or(Adjustment::Seconds(0)));
                clock.basis = Some(node.get("basis")?.unwrap_or_default());
            }
            ClockOffset::Timezone => clock.timezone = Some(node.need("timezone")?),
            ClockOffset::Absolute => clock.start = Some(node.need("start")?),
        }
        for child in node.children() {
            if !clock.body.child(child.name(), child)? {
                child.unknown(Timers::CHILDREN);
            }
        }
        Ok(clock)
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr("offset", &self.offset);
        out.opt("adjustment", self.adjustment.as_ref());
        out.opt("basis", self.basis.as_ref());
        out.opt("timezone", self.timezone.as_ref());
        out.opt("start", self.start.as_ref());
        self.body.write_body(out);
        out.end(tag);
    }
}
