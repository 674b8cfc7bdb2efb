// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Input that nobody means well errs: at once, without a panic, without eating the machine.

use std::time::Duration;

use virtus_xml::{
    Checkpoint, Document, Domain, FormatFlags, Network, Nwfilter, ParseFlags, Status, parse_any,
};

use crate::effort::Effort;

const GUEST: &str = "<domain type='kvm'><name>g</name><memory>1024</memory>\
    <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\
    <disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>\
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>\
    <graphics type='vnc' port='5900' autoport='no'/><console type='pty'/></devices></domain>";

/// A deterministic stream of numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides.max(1)
    }
}

#[test]
fn damaged_documents_err_or_are_read_again_the_same() {
    let mut dice = Dice(42);
    let pieces: [&[u8]; 12] = [
        b"<",
        b">",
        b"'",
        b"&#0;",
        b"\0",
        b"\xff",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"&b;",
        b"99999999999999999999",
        b"-1",
        b"<disk/>",
        b"<![CDATA[",
    ];
    let start = Effort::begin();
    for _ in 0..4000 {
        let mut bytes = GUEST.as_bytes().to_vec();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(bytes.len());
            match dice.roll(4) {
                0 => {
                    bytes.remove(at);
                }
                1 => bytes[at] = u8::try_from(dice.roll(256)).unwrap_or_default(),
                2 => {
                    let piece = pieces[dice.roll(pieces.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
                _ => {
                    let end = (at + dice.roll(60)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        let _ = parse_any(&bytes);
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        if let Ok(parsed) = Domain::parse(text, ParseFlags::INACTIVE) {
            let once = parsed.value.format(FormatFlags::INACTIVE);
            let again = Domain::parse(&once, ParseFlags::INACTIVE)
                .map(|p| p.value.format(FormatFlags::INACTIVE));
            assert_eq!(again.as_deref().ok(), Some(once.as_str()), "from {text}");
        }
    }
    assert!(start.spent() < Duration::from_secs(60));
}

#[test]
fn bombs_are_refused() {
    let deep = format!("<domain type='kvm'>{}", "<backingStore>".repeat(100_000));
    let wide = format!("<domain type='kvm' {}/>", "a='b' ".repeat(1_000));
    let large = format!("<domain type='kvm'><name>{}</name></domain>", "x".repeat(11 << 20));
    let laughs = "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><domain type='kvm'><name>&b;</name></domain>";
    let entity = "<domain type='kvm'><name>&nosuch;</name></domain>";
    let nul = "<domain type='kvm'><name>a\0b</name></domain>";
    for text in [&deep, &wide, &large, laughs, entity, nul, "", "<", "<a"] {
        let start = Effort::begin();
        assert!(parse_any(text.as_bytes()).is_err());
        assert!(start.spent() < Duration::from_secs(2));
    }
    assert!(parse_any(b"<domain>\xff\xfe</domain>").is_err());
}

#[test]
fn many_unknown_elements_are_one_mistake() {
    let text = GUEST.replace("<devices>", &format!("<devices>{}", "<dsk/>".repeat(100_000)));
    let start = Effort::begin();
    let parsed = Domain::parse(&text, ParseFlags::INACTIVE).unwrap();
    assert_eq!(parsed.warnings.len(), virtus_xml::reader::MAX_WARNINGS);
    assert!(parsed.warnings[0].text.contains("did you mean 'disk'"));
    assert!(Domain::parse(&text, ParseFlags::INACTIVE | ParseFlags::VALIDATE).is_err());
    assert!(start.spent() < Duration::from_secs(10));
}

#[test]
fn numbers_do_not_overflow() {
    for (from, to) in [
        ("<memory>1024", "<memory>18446744073709551615"),
        ("<memory>1024", "<memory unit='EiB'>18446744073709551615"),
        ("<memory>1024", "<memory unit='furlong'>1"),
        ("<memory>1024", "<memory>0"),
        ("port='5900'", "port='99999999999'"),
        ("52:54:00:00:00:01", "52:54:00:00:00:001"),
        ("dev='vda'", "dev='hdaxxxxxxxxxx'"),
        ("<os>", "<vcpu>0</vcpu><os>"),
        ("<os>", "<vcpu current='9'>2</vcpu><os>"),
        ("<os>", "<vcpu cpuset='0-99999'>2</vcpu><os>"),
    ] {
        let text = GUEST.replace(from, to).replace("bus='virtio'", "bus='ide'");
        assert!(Domain::parse(&text, ParseFlags::INACTIVE).is_err(), "{to}");
    }
}

#[test]
fn a_status_file_needs_its_domain() {
    assert!(Status::parse("<domstatus state='running' reason='booted' pid='1'/>").is_err());
    assert!(Status::parse("<domstatus/>").is_err());
}

/// Makes the n-th repetition of a flood.
type Piece<'a> = &'a dyn Fn(usize) -> String;

#[test]
fn a_flood_costs_its_length() {
    let host = "<hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>";
    let floods: [(&str, Piece<'_>); 7] = [
        ("<devices>", &|_| "<controller type='usb'/>".to_owned()),
        ("<devices>", &|n| {
            format!("<disk><target dev='n{n}' bus='sata'/><address type='drive'/></disk>")
        }),
        ("<devices>", &|n| host.replace("'1'", &format!("'{n}'"))),
        ("<os>", &|n| format!("<iothreadids><iothread id='{n}'/></iothreadids>")),
        ("<domain ", &|n| format!("a{n}='' ")),
        ("<memory>", &|_| " ".repeat(50)),
        ("<devices>", &|n| format!("<x xmlns:a{n}='u'/>")),
    ];
    for (at, piece) in floods {
        let mut text = String::new();
        for n in 0..10_000 {
            text.push_str(&piece(n));
        }
        let text = GUEST.replacen(at, &format!("{at}{text}"), 1);
        let start = Effort::begin();
        let _ = Domain::parse(&text, ParseFlags::INACTIVE);
        assert!(start.spent() < Duration::from_secs(5), "{at} {:?}", start.spent());
    }
    let scheds = "<vcpusched vcpus='0-16383' scheduler='fifo' priority='1'/>".repeat(10_000);
    let text = GUEST.replace("<os>", &format!("<vcpu>16384</vcpu><cputune>{scheds}</cputune><os>"));
    let start = Effort::begin();
    assert!(Domain::parse(&text, ParseFlags::INACTIVE).is_err());
    assert!(start.spent() < Duration::from_secs(5));
}

#[test]
fn a_flood_of_network_entries_costs_its_length() {
    let times = |piece: Piece<'_>| (0..20_000).map(piece).collect::<String>();
    let floods: [Piece<'_>; 4] = [
        &|n| format!("<ip address='10.{}.{}.1' prefix='24'/>", n / 250, n % 250),
        &|n| {
            format!(
                "<route address='10.{}.{}.0' prefix='24' gateway='10.0.0.2'/>",
                n / 250,
                n % 250
            )
        },
        &|n| format!("<portgroup name='{n}'/>"),
        &|n| {
            format!(
                "<ip address='10.0.0.1' prefix='8'><dhcp><host name='h{n}' ip='10.0.0.9'/></dhcp></ip>"
            )
        },
    ];
    let inside: String = floods.iter().map(|piece| times(piece)).collect();
    let text = format!("<network><name>n</name>{inside}</network>");
    let start = Effort::begin();
    let network = Network::parse(&text, ParseFlags::empty()).unwrap().value;
    assert!(network.check_supported().is_err());
    let rules = times(&|n| format!("<tcp dstportstart='{}' match='no'/>", n % 65536));
    let text =
        format!("<filter name='f'><rule action='drop' direction='in'>{rules}</rule></filter>");
    assert!(Nwfilter::parse(&text, ParseFlags::empty()).is_ok());
    assert!(start.spent() < Duration::from_secs(10), "{:?}", start.spent());
}

#[test]
fn floods_of_other_documents_cost_their_length() {
    let floods: [(&str, Piece<'_>, &str); 6] = [
        (
            "<pool type='rbd'><name>p</name><source><name>r</name>",
            &|n| format!("<host name='h{n}'/><device path='/d{n}'/><adapter/>"),
            "</source></pool>",
        ),
        (
            "<volume><name>v</name><capacity>1</capacity><target><features>",
            &|_| "<extended_l2/>".to_owned(),
            "</features></target></volume>",
        ),
        (
            "<device><name>d</name><capability type='net'><interface>e</interface>",
            &|_| "<feature name='rx'/><capability type='80203'/>".to_owned(),
            "</capability></device>",
        ),
        (
            "<device><name>d</name>",
            &|_| {
                "<capability type='scsi_host'><host>1</host><capability type='fc_host'/></capability>".to_owned()
            },
            "</device>",
        ),
        (
            "<domainsnapshot><name>s</name><state>running</state><creationTime>1</creationTime><disks>",
            &|n| format!("<disk name='vd{n}'><source file='/{n}'/></disk>"),
            "</disks></domainsnapshot>",
        ),
        (
            "<domainbackup mode='pull'><server name='h'/><disks>",
            &|n| format!("<disk name='vd{n}' type='file'><scratch file='/{n}'/></disk>"),
            "</disks></domainbackup>",
        ),
    ];
    for (start, piece, end) in floods {
        let middle: String = (0..10_000).map(piece).collect();
        let began = Effort::begin();
        assert!(parse_any(format!("{start}{middle}{end}").as_bytes()).is_ok(), "{start}");
        assert!(began.spent() < Duration::from_secs(5), "{start} {:?}", began.spent());
        let deep = format!("{start}{}", "<capability type='pci'>".repeat(10_000));
        assert!(parse_any(deep.as_bytes()).is_err(), "{start}");
    }
}

#[test]
fn a_flood_of_disks_is_brought_in_line_at_once() {
    let guests: String = (0..5_000)
        .map(|n| format!("<disk><source file='/{n}'/><target dev='n{n}' bus='virtio'/><address type='unassigned'/></disk>"))
        .collect();
    let text = GUEST.replace("<devices>", &format!("<devices>{guests}"));
    let guest = Domain::parse(&text, ParseFlags::INACTIVE | ParseFlags::RAW).unwrap().value;
    let named: String = (0..5_000).map(|n| format!("<disk name='/{n}'/>")).collect();
    let text = format!("<domaincheckpoint><name>c</name><disks>{named}</disks></domaincheckpoint>");
    let mut checkpoint = Checkpoint::parse(&text, ParseFlags::NEW).unwrap().value;
    let began = Effort::begin();
    assert!(checkpoint.align(&guest).is_ok());
    assert!(began.spent() < Duration::from_secs(5), "{:?}", began.spent());
}
