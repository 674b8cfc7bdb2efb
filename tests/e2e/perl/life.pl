#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Leads guests, networks, pools and volumes of a test driver through their lives with Sys::Virt, and checks what is told of
# them. The first argument is the URI. Given `ours`, it also asks for what libvirt's own test driver does not answer. Prints
# `all good` at the end.

use strict;
use warnings;

use Sys::Virt;
use Sys::Virt::Domain;
use Sys::Virt::Error;
use Sys::Virt::Event;
use Sys::Virt::Network;
use Sys::Virt::StoragePool;
use Sys::Virt::Stream;

my ($uri, $who) = @ARGV;
my @heard;

sub equal {
    my ($what, $found, $wanted) = @_;
    die "$what: '$found' instead of '$wanted'\n" unless $found eq $wanted;
}

# The call fails with this code and a text that says this much.
sub refused {
    my ($code, $text, $call) = @_;
    die "not refused: $text\n" if eval { $call->(); 1 };
    my $error = $@;
    die "no typed error: $error" unless ref $error eq 'Sys::Virt::Error';
    equal("code of '" . $error->message . "'", $error->code, $code);
    die "no '$text' in: " . $error->message . "\n" unless index($error->message, $text) >= 0;
}

# Exactly these events have come, in this order.
sub told {
    my @wanted = @_;
    for (1 .. 1000) {
        last if @heard >= @wanted;
        Sys::Virt::Event::run_default();
    }
    equal("events", join(", ", @heard), join(", ", @wanted));
    @heard = ();
}

sub host {
    my ($conn) = @_;
    equal("type", $conn->get_type, "TEST");
    equal("library version", $conn->get_library_version, 11003000);
    equal("host's CPUs", $conn->get_node_info->{cpus}, 16);
    equal("alive", $conn->is_alive, 1);
    equal("guest", join(" ", map { $_->get_name } $conn->list_all_domains), "test");
    equal("networks", join(" ", map { $_->get_name } $conn->list_all_networks), "default");
    equal("pools", join(" ", map { $_->get_name } $conn->list_all_storage_pools), "default-pool");
    equal("interfaces", join(" ", map { $_->get_name } $conn->list_all_interfaces), "eth1");
}

sub domains {
    my ($conn) = @_;
    my $xml = "<domain type='test'><name>perl</name><uuid>7e57ab1e-0000-4000-8000-00000000be01</uuid>"
        . "<memory>8192</memory><os><type>hvm</type></os></domain>";
    my $any = $conn->domain_event_register_any(
        undef, Sys::Virt::Domain::EVENT_ID_LIFECYCLE,
        sub { my ($c, $dom, $event, $detail) = @_; push @heard, $dom->get_name . " $event $detail" });
    my $test = $conn->get_domain_by_name("test");
    my $one = $conn->domain_event_register_any(
        $test, Sys::Virt::Domain::EVENT_ID_LIFECYCLE,
        sub { my ($c, $dom, $event) = @_; push @heard, "only " . $dom->get_name . " $event" });
    my $dom = $conn->define_domain($xml);
    told("perl 0 0");
    equal("UUID", $dom->get_uuid_string, "7e57ab1e-0000-4000-8000-00000000be01");
    $dom->create;
    told("perl 2 0");
    equal("state", ($dom->get_state)[0], Sys::Virt::Domain::STATE_RUNNING);
    equal("memory", $dom->get_info->{memory}, 8192);
    equal("in the document", $dom->get_xml_description =~ /<name>perl<\/name>/ ? 1 : 0, 1);
    $dom->suspend;
    $dom->resume;
    told("perl 3 0", "perl 4 0");
    $test->suspend;
    told("test 3 0", "only test 3");
    $conn->domain_event_deregister_any($one);
    $test->resume;
    told("test 4 0");
    my ($stats) = $conn->get_all_domain_stats(Sys::Virt::Domain::STATS_STATE, [$dom]);
    equal("state in the statistics", $stats->{data}->{"state.state"}, Sys::Virt::Domain::STATE_RUNNING);
    $dom->destroy;
    $dom->undefine;
    told("perl 5 1", "perl 1 0");
    refused(Sys::Virt::Error::ERR_NO_DOMAIN, "", sub { $dom->get_info });
    refused(Sys::Virt::Error::ERR_NO_DOMAIN, "Domain not found", sub { $conn->get_domain_by_name("nobody") });
    refused(Sys::Virt::Error::ERR_NO_NAME, "missing name", sub { $conn->define_domain("<domain type='test'/>") });
    $conn->domain_event_deregister_any($any);
    $conn->define_domain($xml)->undefine;
    told();
}

sub networks {
    my ($conn) = @_;
    my $id = $conn->network_event_register_any(
        undef, Sys::Virt::Network::EVENT_ID_LIFECYCLE,
        sub { my ($c, $net, $event) = @_; push @heard, $net->get_name . " $event" });
    my $net = $conn->define_network("<network><name>perl</name><bridge name='virbr9'/></network>");
    $net->create;
    $net->destroy;
    $net->undefine;
    told(map { "perl $_" } 0, 2, 3, 1);
    $conn->network_event_deregister_any($id);
}

sub receive {
    my ($stream) = @_;
    my ($data, $part) = ("", "");
    $data .= $part while $stream->recv($part, 65536) > 0;
    $stream->finish;
    return $data;
}

sub streams {
    my ($conn) = @_;
    my $stream = $conn->new_stream;
    equal("kind of picture", $conn->get_domain_by_name("test")->screenshot($stream, 0), "image/png");
    equal("a picture's first bytes", substr(receive($stream), 1, 3), "PNG");
    my $pool = $conn->get_storage_pool_by_name("default-pool");
    my $vol = $pool->create_volume("<volume><name>perl</name><capacity>3000000</capacity></volume>");
    my $data = join "", map { chr($_ * 31 % 251) } 1 .. 3000000;
    $stream = $conn->new_stream;
    $vol->upload($stream, 0, 0);
    for (my $at = 0; $at < length $data;) {
        # As an argument, the result of substr would be taken for an empty text.
        my $part = substr $data, $at, 200000;
        $at += $stream->send($part, length $part);
    }
    $stream->finish;
    $stream = $conn->new_stream;
    $vol->download($stream, 0, 0);
    equal("what was uploaded comes back", receive($stream) eq $data ? 1 : 0, 1);
    $stream = $conn->new_stream;
    $vol->download($stream, 0, 0);
    $stream->abort;
    $vol->delete;
    refused(Sys::Virt::Error::ERR_NO_STORAGE_VOL, "'perl'", sub { $pool->get_volume_by_name("perl") });
}

Sys::Virt::Event::register_default();
# Wakes the loop when no event comes.
Sys::Virt::Event::add_timeout(50, sub { });
refused(Sys::Virt::Error::ERR_SYSTEM_ERROR, "No such file", sub { Sys::Virt->new(uri => $uri =~ s/default/no-such-world/r) });
my $conn = Sys::Virt->new(uri => $uri);
host($conn);
domains($conn);
networks($conn);
streams($conn) if $who eq "ours";
undef $conn;
my $reader = Sys::Virt->new(uri => $uri, readonly => 1);
equal("domains of a reader", scalar(my @all = $reader->list_all_domains), 1);
refused(Sys::Virt::Error::ERR_OPERATIONED_DENIED, "read only", sub { $reader->get_domain_by_name("test")->destroy });
print "all good\n";
