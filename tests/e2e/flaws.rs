// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The classes of flaws that libvirt's daemons had to be mended for: each is looked for in ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use virtus_api::{
    CallId, ConnectDomainXmlFromNative, ConnectListAllDomains, ConnectListDefinedDomains,
    DomainDefineXml, DomainEventLifecycle, DomainGetState, DomainGetVcpuPinInfo, DomainGetVcpus,
    DomainLookupByName, DomainRef, DomainUndefine, Program,
};
use virtus_client::blocking::Wait;
use virtus_client::{Connection, Notice};
use virtus_tests::{Backend, DEADLINE, Guest, Options, Outcome, Raw, Testbed};
use virtus_wire::codec::{decode_any_reply, request_shape};
use virtus_wire::xdr::Shape;

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("cve_2024_2494_no_count_of_a_client_is_believed", counts),
    ("cve_2024_2494_nor_by_the_test_driver", counts_of_test),
    ("cve_2024_1441_cve_2024_8235_lists_may_change_while_they_are_read", changing_lists),
    ("cve_2022_0897_so_may_lists_of_every_kind", all_lists),
    ("cve_2021_3667_a_refused_call_leaves_nothing_locked", refusals),
    ("cve_2025_12748_huge_documents_cost_little_and_readers_nothing", documents),
    ("cve_2025_13193_no_file_of_the_daemon_is_for_everybody", files),
    ("cve_2024_4418_threads_share_a_client_until_one_closes_it", threads),
];

/// The stock daemon has flaws of these classes, or mends them in other ways.
fn ours_only() -> Outcome {
    if Backend::chosen()? == Backend::Ours {
        Ok(())
    } else {
        Err(Skip("ours only".to_owned()).into())
    }
}

fn read_only_socket(bed: &Testbed) -> PathBuf {
    bed.socket().with_file_name("virtqemud-sock-ro")
}

/// A running guest, for calls that would end early without one.
fn with_guest() -> Outcome<(Testbed, DomainRef)> {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("vm"))?;
    bed.virsh("start vm")?;
    let dom = Raw::open(&bed.socket())?.ask(&DomainLookupByName { name: "vm".to_owned() })?;
    Ok((bed, dom))
}

/// The most memory that the daemon has used so far, in KiB.
fn peak(bed: &Testbed) -> Outcome<u64> {
    bed.daemon_memory("VmHWM")
}

/// The numbers that a count must not be taken for: the smallest, the greatest, one below nothing, and
/// one above every limit.
const HOSTILE: [u32; 4] = [0x8000_0000, 0x7fff_ffff, 0xffff_ffff, 0x0101_0101];

/// A body of plain values about one domain, but for the number at one place.
struct Body<'a> {
    dom: &'a DomainRef,
    /// Numbers and lengths so far.
    numbers: usize,
    hostile: (usize, u32),
    bytes: Vec<u8>,
}

impl Body<'_> {
    fn number(&mut self, wide: bool) {
        let (place, value) = self.hostile;
        let value = if self.numbers == place { value } else { 0 };
        self.numbers += 1;
        if wide {
            self.bytes.extend(i64::from(value.cast_signed()).to_be_bytes());
        } else {
            self.bytes.extend(value.to_be_bytes());
        }
    }

    fn put(&mut self, shape: &Shape) {
        match shape {
            Shape::Void => {}
            Shape::Hyper | Shape::UHyper | Shape::Double => self.number(true),
            Shape::Uuid => self.bytes.extend(self.dom.uuid.as_bytes()),
            Shape::String(_) => {
                let name = self.dom.name.as_bytes();
                self.bytes.extend(u32::try_from(name.len()).unwrap_or(0).to_be_bytes());
                self.bytes.extend(name);
                self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
            }
            Shape::Optional(_) => self.bytes.extend([0; 4]),
            Shape::Fixed(of, length) => (0..*length).for_each(|_| self.put(of)),
            Shape::Struct(_, fields) => fields.iter().for_each(|field| self.put(&field.shape)),
            // Every other value is one word; of a list it is the length.
            _ => self.number(false),
        }
    }
}

/// CVE-2024-2494: counts from a client's call, negative or huge, were taken for sizes of memory, also of
/// clients that may only read.
fn counts() -> Outcome {
    ours_only()?;
    let (bed, dom) = with_guest()?;
    let mut raw = Raw::open(&read_only_socket(&bed))?;
    hostile_counts(&bed, &mut raw, &dom, |_| true)?;
    equal("state", bed.virsh("domstate vm")?, "running".to_owned())
}

/// The same where everything may be asked, because nothing of it is real.
fn counts_of_test() -> Outcome {
    ours_only()?;
    let bed = Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let open = || -> Outcome<Raw> {
        let mut raw = Raw::connect(&bed.socket())?;
        raw.greet("test:///default")?;
        Ok(raw)
    };
    let mut raw = open()?;
    let dom = raw.ask(&DomainLookupByName { name: "test".to_owned() })?;
    // The domain has to be there for the calls that follow.
    let stays = |call: CallId| {
        let name = call.meta().name;
        !["Undefine", "Destroy", "Shutdown", "Save"].iter().any(|end| name.contains(end))
    };
    hostile_counts(&bed, &mut raw, &dom, stays)?;
    // Of these, two counts make the size of an answer.
    let maplen = i32::MAX;
    let told = [
        raw.try_ask(&DomainGetVcpus { dom: dom.clone(), maxinfo: 2, maplen })?,
        raw.try_ask(&DomainGetVcpuPinInfo { dom, ncpumaps: 2, maplen, flags: 0 })?,
    ];
    for answer in told {
        contains(&answer.error(), "more than the 8388608 bytes")?;
    }
    open()?.ask(&DomainLookupByName { name: "test".to_owned() }).map(drop)
}

/// Every call that is `wanted`, with each of its numbers hostile in turn.
fn hostile_counts(
    bed: &Testbed,
    raw: &mut Raw,
    dom: &DomainRef,
    wanted: impl Fn(CallId) -> bool,
) -> Outcome {
    let before = peak(bed)?;
    let mut made = 0;
    for call in CallId::ALL.iter().copied() {
        let meta = call.meta();
        // Those before the open end a connection that is open.
        let ends = call == CallId::ConnectClose || !meta.needs_auth;
        if ends
            || !wanted(call)
            || !matches!(meta.program, Program::Remote | Program::Qemu | Program::Lxc)
        {
            continue;
        }
        let mut place = 0;
        loop {
            let mut numbers = 0;
            for value in HOSTILE {
                let mut body = Body { dom, numbers: 0, hostile: (place, value), bytes: Vec::new() };
                body.put(&request_shape(call));
                numbers = body.numbers;
                raw.send_body(call, &body.bytes)?;
                let answer = raw.answer().map_err(|error| {
                    format!("{} with {value:#x} as number {place}: {error}", meta.name)
                })?;
                if answer.ok {
                    decode_any_reply(call, &answer.body)?;
                }
                made += 1;
            }
            place += 1;
            if place >= numbers {
                break;
            }
        }
    }
    equal(&format!("{made} calls, more than two thousand"), made > 2000, true)?;
    let grown = peak(bed)?.saturating_sub(before);
    equal(&format!("grown by {grown} KiB, less than 32 MiB"), grown < 32 * 1024, true)
}

fn definition(number: usize) -> DomainDefineXml {
    let xml = format!(
        "<domain type='qemu'><name>many{number}</name>\
         <uuid>00000000-0000-4000-8000-00000000000{number}</uuid><memory>8192</memory><os><type arch='x86_64'>hvm</type></os>\
         </domain>"
    );
    DomainDefineXml { xml }
}

/// CVE-2024-1441, CVE-2024-8235: a list that grew while it was read was written past its end.
/// CVE-2022-0897: a list and the end of an object on it at the same time.
fn changing_lists() -> Outcome {
    const ROUNDS: usize = 150;
    ours_only()?;
    let bed = Testbed::new()?;
    let socket = bed.socket();
    let change = |offset: usize| -> Outcome {
        let mut raw = Raw::open(&socket)?;
        for round in 0..ROUNDS {
            // Two change the same ten objects.
            let dom = raw.ask(&definition((round + offset) % 10))?;
            // The other one may have been faster.
            raw.try_ask(&DomainUndefine { dom })?;
        }
        Ok(())
    };
    let read = || -> Outcome {
        let mut raw = Raw::open(&socket)?;
        for round in 0..ROUNDS {
            let maxnames = i32::try_from(round % 4)?;
            let names = raw.ask(&ConnectListDefinedDomains { maxnames })?;
            equal("at most as many as asked for", names.len() <= round % 4, true)?;
            let all = raw.ask(&ConnectListAllDomains { need_results: 1, flags: 0 })?;
            equal("the count", usize::try_from(all.ret)?, all.domains.len())?;
            for dom in all.domains {
                let answer = raw.try_ask(&DomainGetState { dom, flags: 0 })?;
                if !answer.ok {
                    contains(&answer.error(), "Domain not found")?;
                }
            }
        }
        Ok(())
    };
    let text = |outcome: Outcome| outcome.map_err(|error| error.to_string());
    thread::scope(|scope| {
        let parts = [
            scope.spawn(|| text(change(0))),
            scope.spawn(|| text(change(5))),
            scope.spawn(|| text(read())),
            scope.spawn(|| text(read())),
        ];
        parts
            .into_iter()
            .try_for_each(|part| part.join().map_err(|_| "a part panicked".to_owned())?)
    })?;
    bed.virsh("list --all").map(drop)
}

/// The same of domains, snapshots, networks, ports, pools, volumes, interfaces, devices and secrets, by a client that
/// counts first and then asks for as many names.
fn all_lists() -> Outcome {
    ours_only()?;
    let bed = Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let (test, qemu) = (bed.uri_of("test", "/default"), bed.uri());
    contains(&bed.python_done("changing_lists.py", &[&test, &qemu])?, "all lists agree")
}

/// CVE-2021-3667, CVE-2023-3750 (see also the tests of access control): a lookup that access control refused kept its object locked for ever.
fn refusals() -> Outcome {
    ours_only()?;
    let (bed, dom) = with_guest()?;
    let mut reader = Raw::open(&read_only_socket(&bed))?;
    let mut refused = 0;
    for call in CallId::ALL.iter().copied() {
        let meta = call.meta();
        if meta.program != Program::Remote || meta.read_only || !meta.needs_auth {
            continue;
        }
        let mut body = Body { dom: &dom, numbers: 0, hostile: (usize::MAX, 0), bytes: Vec::new() };
        body.put(&request_shape(call));
        reader.send_body(call, &body.bytes)?;
        refused += usize::from(!reader.answer()?.ok);
    }
    equal("more than a hundred refusals", refused > 100, true)?;
    for name in ["none", "vm"] {
        reader.try_ask(&DomainLookupByName { name: name.to_owned() })?;
    }
    // Everything can still be done, by the one who may.
    for line in ["suspend vm", "resume vm", "dominfo vm", "destroy vm", "undefine vm"] {
        bed.virsh(line)?;
    }
    bed.define(&Guest::firmware("vm")).map(drop)
}

/// CVE-2025-12748: a document was read in full, and grew, before it was asked who sends it.
fn documents() -> Outcome {
    ours_only()?;
    let bed = Testbed::new()?;
    let before = peak(&bed)?;
    const SIZE: usize = 4_000_000;
    let deep = "<domain>".repeat(SIZE / 8);
    let wide = format!("<domain type='qemu'><name>w</name>{}</domain>", "<x/>".repeat(SIZE / 4));
    let entities = format!(
        "<!DOCTYPE d [<!ENTITY a '{}'>]><domain type='qemu'><name>{}</name></domain>",
        "a".repeat(1000),
        "&a;".repeat(SIZE / 8)
    );
    let socket = bed.socket();
    for xml in [&deep, &wide, &entities] {
        let define = DomainDefineXml { xml: xml.clone() };
        let answer = Raw::open(&read_only_socket(&bed))?.try_ask(&define)?;
        equal("success of a reader", answer.ok, false)?;
        contains(&answer.error(), "read only access prevents")?;
    }
    // A frame, the request in it, and nothing else.
    let grown = peak(&bed)?.saturating_sub(before);
    equal(&format!("grown by {grown} KiB, less than 32 MiB"), grown < 32 * 1024, true)?;
    for xml in [deep, wide, entities] {
        let native = ConnectDomainXmlFromNative {
            native_format: "qemu-argv".to_owned(),
            native_config: xml.clone(),
            flags: 0,
        };
        for answer in [
            Raw::open(&socket)?.try_ask(&DomainDefineXml { xml })?,
            Raw::open(&socket)?.try_ask(&native)?,
        ] {
            equal("success", answer.ok, false)?;
        }
    }
    let grown = peak(&bed)?.saturating_sub(before);
    equal(&format!("grown by {grown} KiB, less than 256 MiB"), grown < 256 * 1024, true)?;
    bed.virsh("list").map(drop)
}

/// Regular files at the daemon's places, and their modes.
fn regular_files(bed: &Testbed) -> Outcome<Vec<(PathBuf, u32)>> {
    let mut found = Vec::new();
    let mut folders = ["etc/libvirt", "run", "var"].map(|place| bed.path(place)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push((entry.path(), entry.metadata()?.permissions().mode()));
            }
        }
    }
    Ok(found)
}

/// CVE-2025-13193: images and state that a daemon wrote could be read by every user of the host.
fn files() -> Outcome {
    ours_only()?;
    let mut bed =
        Testbed::without_daemon(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let before = regular_files(&bed)?;
    bed.start()?;
    let efi = Guest::firmware("vm").memory(128).xml().replace("<os>", "<os firmware='efi'>");
    bed.virsh(&format!("define {}", bed.write("vm.xml", &efi)?))?;
    bed.virsh("start vm")?;
    bed.virsh("autostart vm")?;
    let secret = "<secret><usage type='ceph'><name>s</name></usage></secret>";
    bed.virsh(&format!("secret-define {}", bed.write("secret.xml", secret)?))?;
    // A guest and its memory, where a client wants them.
    let [saved, dumped] = ["saved", "dumped"].map(|name| bed.path("var").join(name));
    let (saved, dumped) = (saved.display(), dumped.display());
    let lines = format!("save test {saved}; restore {saved}; dump test {dumped}");
    bed.virsh(&format!("-c {} '{lines}'", bed.uri_of("test", "/default")))?;
    let mut found = regular_files(&bed)?;
    found.retain(|file| !before.contains(file));
    equal("several files", found.len() > 9, true)?;
    let open: Vec<_> = found
        .iter()
        // What process a daemon is, everybody sees in /proc.
        .filter(|(path, mode)| mode & 0o007 != 0 && path.extension().is_none_or(|end| end != "pid"))
        .collect();
    equal("files for everybody", format!("{open:?}"), "[]".to_owned())
}

/// CVE-2024-4418: the client's loop went on with a list of descriptors that another thread had replaced while it
/// called out. Threads share one of our clients: they call, give up waiting, listen, and call while they listen, until one of
/// them closes it from there. Each gets its own answers, and none hangs.
fn threads() -> Outcome {
    const CALLERS: usize = 6;
    const LISTENERS: usize = 3;
    let bed = Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let connection = Connection::open(&bed.uri_of("test", "/default")).wait()?;
    let (ended, ends) = channel();
    let begin = |name: String, part: fn(&Connection, &str) -> Outcome| {
        let (connection, ended) = (connection.clone(), ended.clone());
        thread::spawn(move || {
            let outcome = part(&connection, &name).map_err(|error| format!("{name}: {error}"));
            // Nobody waits any more if another has failed.
            let _nobody = ended.send(outcome);
        });
    };
    (0..LISTENERS).for_each(|number| begin(format!("listener{number}"), listen_and_call));
    (0..CALLERS).for_each(|number| begin(format!("caller{number}"), call_and_give_up));
    drop(ended);
    for _ in 0..CALLERS + LISTENERS {
        match ends.recv_timeout(2 * DEADLINE) {
            Ok(outcome) => outcome?,
            Err(RecvTimeoutError::Timeout) => return Err("a thread hangs".into()),
            Err(RecvTimeoutError::Disconnected) => return Err("a thread panicked".into()),
        }
    }
    let error = connection.hostname().wait().err().ok_or("a closed connection answers")?;
    contains(&error.to_string(), "closed")?;
    Connection::open(&bed.uri_of("test", "/default")).wait()?.hostname().wait().map(drop)?;
    Ok(())
}

/// Calls until the connection is over. Every other call is given up, at any moment of its life.
fn call_and_give_up(connection: &Connection, name: &str) -> Outcome {
    let xml = format!(
        "<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>"
    );
    let domain = connection.domain_define_xml(&xml).wait()?;
    for round in 0.. {
        let limit = Duration::from_micros(round % 40 * 50);
        let _given_up = connection.domain_by_name("test").within(limit).wait();
        let found = match connection.domain_by_name(name).wait() {
            Ok(_) if round % 2 == 0 => domain.create().wait().map(|()| domain.clone()),
            Ok(found) => domain.destroy().wait().map(|()| found),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => equal("whose answer", found.name(), name)?,
            Err(_) if connection.ended().is_some() => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Calls for every event, registers anew now and then, and closes the connection after many of them.
fn listen_and_call(connection: &Connection, _: &str) -> Outcome {
    let mut heard = 0;
    loop {
        let mut events = match connection.events::<DomainEventLifecycle>().wait() {
            Ok(events) => events,
            Err(_) if connection.ended().is_some() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for _ in 0..20 {
            let Some(notice) = events.next().wait() else { return Ok(()) };
            let Notice::Event(event) = notice else { continue };
            heard += 1;
            if heard == 300 {
                connection.close().wait();
            }
            match connection.domain_by_name(&event.dom.name).wait() {
                Ok(found) => equal("whose answer", found.name(), event.dom.name.as_str())?,
                Err(_) if connection.ended().is_some() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
