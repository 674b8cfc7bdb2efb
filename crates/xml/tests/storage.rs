// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Storage pools and volumes as people write them: what is filled in, what is refused and in which words.

use virtus_xml::pool::PoolType;
use virtus_xml::{
    Document, FormatFlags, ParseFlags, PoolSources, StoragePool, Volume, VolumeFlags,
};

const UUID: &str = "<uuid>5d1c6a6e-3d0b-4e43-8f53-4f1f1a4c2a10</uuid>";

fn pool(text: &str) -> Result<String, String> {
    let text = text.replacen("<name>", &format!("{UUID}<name>"), 1);
    let parsed = StoragePool::parse(&text, ParseFlags::empty()).map_err(|e| e.to_string())?;
    assert_eq!(parsed.warnings, [], "{text}");
    Ok(parsed.value.format(FormatFlags::empty()))
}

fn refusal(text: &str) -> String {
    pool(text).err().unwrap_or_default()
}

#[test]
fn a_pool_gets_what_its_type_implies() {
    let written = pool(
        "<pool type='netfs'><name>share</name><available unit='GiB'>7</available>\
         <target><path>/srv//share/</path><permissions><owner>-1</owner><mode>755</mode></permissions></target>\
         <refresh><volume allocation='capacity'/></refresh>\
         <source><dir path='export'/><host name='nas' port='0'/></source></pool>",
    );
    let expected = "<pool type='netfs'>
  <name>share</name>
  <uuid>5d1c6a6e-3d0b-4e43-8f53-4f1f1a4c2a10</uuid>
  <capacity unit='bytes'>0</capacity>
  <allocation unit='bytes'>0</allocation>
  <available unit='bytes'>0</available>
  <source>
    <host name='nas'/>
    <dir path='export'/>
    <format type='auto'/>
  </source>
  <target>
    <path>/srv/share</path>
    <permissions>
      <mode>0755</mode>
    </permissions>
  </target>
  <refresh>
    <volume allocation='capacity'/>
  </refresh>
</pool>
";
    assert_eq!(written.as_deref(), Ok(expected));
    assert_eq!(pool(&expected.replace(UUID, "")).as_deref(), Ok(expected));
}

#[test]
fn names_of_groups_become_paths() {
    let written = pool("<pool type='zfs'><name>tank</name></pool>").unwrap();
    assert!(written.contains("<path>/dev/zvol/tank</path>"), "{written}");
    assert!(written.contains("<source>\n    <name>tank</name>\n  </source>"), "{written}");
}

#[test]
fn a_pool_without_what_it_needs_is_refused() {
    let target = "<target><path>/mnt</path></target>";
    for (text, why) in [
        ("<pool><name>a</name></pool>".to_owned(), "attribute 'type'"),
        ("<pool type='dri'><name>a</name></pool>".to_owned(), "allowed: dir, fs"),
        (format!("<pool type='dir'>{target}</pool>"), "missing pool source name"),
        (format!("<pool type='dir'><name>a/b</name>{target}</pool>"), "cannot contain '/'"),
        ("<pool type='dir'><name>a</name></pool>".to_owned(), "missing storage pool target path"),
        (format!("<pool type='fs'><name>a</name>{target}</pool>"), "source device name"),
        (format!("<pool type='scsi'><name>a</name>{target}</pool>"), "source adapter"),
        (format!("<pool type='netfs'><name>a</name>{target}</pool>"), "source host name"),
        (
            format!(
                "<pool type='fs'><name>a</name><source><format type='btrfs'/></source>{target}</pool>"
            ),
            "unknown pool format type btrfs\nhint: a pool of type 'fs' allows auto, ext2",
        ),
        (
            format!(
                "<pool type='mpath'><name>a</name><features><cow state='no'/></features>{target}</pool>"
            ),
            "cow feature",
        ),
        (
            "<pool type='iscsi-direct'><name>a</name><source><host name='h'/></source></pool>"
                .to_owned(),
            "missing initiator IQN",
        ),
        (
            "<pool type='rbd'><name>a</name><source><name>r</name><host name='h'/>\
             <auth username='u' type='ceph'/></source></pool>"
                .to_owned(),
            "Missing <secret>",
        ),
        (
            format!(
                "<pool type='scsi'><name>a</name><source><adapter type='fc_host' wwnn='1' wwpn='2'/></source>{target}</pool>"
            ),
            "Malformed wwn: 1",
        ),
    ] {
        assert!(refusal(&text).contains(why), "{text}: {}", refusal(&text));
    }
}

#[test]
fn options_of_librbd_keep_their_values() {
    let text = "<pool type='rbd' xmlns:rbd='http://libvirt.org/schemas/storagepool/rbd/1.0'><name>a</name>\
                <source><name>r</name><host name='h'/></source>\
                <rbd:config_opts><rbd:option name='x' value='1'/></rbd:config_opts></pool>";
    let written = pool(text).unwrap();
    assert!(written.contains("    <rbd:option name='x' value='1'/>\n"), "{written}");
    assert!(refusal(&text.replace(" value='1'", "")).contains("'value'"));
}

#[test]
fn a_volume_is_written_with_all_that_counts() {
    let text = "<volume><name>disk</name><capacity unit='GB'>1</capacity><allocation>0</allocation>\
                <target><format type='qcow2'/><nocow/><features><extended_l2/><lazy_refcounts/></features>\
                <clusterSize unit='KiB'>64</clusterSize></target>\
                <backingStore><path>/base</path></backingStore></volume>";
    let volume = Volume::parse_in(PoolType::Dir, text, VolumeFlags::empty()).unwrap().value;
    assert!(volume.target.nocow.0);
    assert_eq!(
        volume.format(FormatFlags::empty()),
        "<volume type='file'>
  <name>disk</name>
  <capacity unit='bytes'>1000000000</capacity>
  <allocation unit='bytes'>0</allocation>
  <target>
    <format type='qcow2'/>
    <compat>1.1</compat>
    <clusterSize unit='B'>65536</clusterSize>
    <features>
      <lazy_refcounts/>
      <extended_l2/>
    </features>
  </target>
  <backingStore>
    <path>/base</path>
    <format type='raw'/>
  </backingStore>
</volume>
"
    );
}

#[test]
fn a_volume_must_fit_its_pool() {
    let text = "<volume><name>part</name><capacity>1</capacity><target><format type='qcow2'/></target></volume>";
    let parse = |text: &str, pool| {
        Volume::parse_in(pool, text, VolumeFlags::empty()).map_err(|e| e.to_string())
    };
    assert!(parse(text, PoolType::Dir).is_ok());
    let refused = parse(text, PoolType::Disk).err().unwrap_or_default();
    assert!(refused.contains("unknown volume format type qcow2"), "{refused}");
    let logical = parse(text, PoolType::Logical).unwrap().value;
    assert!(!logical.format(FormatFlags::empty()).contains("format type"));
    for (from, to) in [
        ("<capacity>1</capacity>", ""),
        (">1<", ">9223372036854775808<"),
        ("<name>part</name>", ""),
        ("qcow2", "none"),
        ("</target>", "<compat>1,1</compat></target>"),
        ("</target>", "<features><fast/></features></target>"),
        ("</target>", "<permissions><mode>1777</mode></permissions></target>"),
        ("</target>", "<encryption format='luks'><ivgen name='plain64'/></encryption></target>"),
    ] {
        assert!(parse(&text.replace(from, to), PoolType::Dir).is_err(), "{to}");
    }
}

#[test]
fn sources_are_read_as_they_are_written() {
    let listing = "<cliOutput><opRet>0</opRet><volInfo><volumes><volume><name>v&amp;w</name></volume>\
                   </volumes></volInfo></cliOutput>";
    let sources = PoolSources::of_gluster(listing, "h", PoolType::Gluster).unwrap();
    let written = sources.format(FormatFlags::empty());
    let again = PoolSources::parse(&written, ParseFlags::empty()).unwrap().value;
    assert_eq!(again, sources, "{written}");
    let none = PoolSources::default().format(FormatFlags::empty());
    assert_eq!(none, "<sources>\n</sources>\n");
    assert!(PoolSources::of_gluster(listing, "h", PoolType::Dir).is_err());
}
