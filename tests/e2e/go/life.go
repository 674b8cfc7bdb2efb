// SPDX-License-Identifier: Apache-2.0 OR MIT

// Leads guests, pools and volumes of a test driver through their lives with the client that is written in Go alone, and
// checks what is told of them. The argument is the daemon's socket. Given `ours` as well, it also asks for what libvirt's own
// test driver does not answer. Prints `all good` at the end.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	libvirt "github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
)

const (
	world    = libvirt.ConnectURI("test:///default")
	deadline = 30 * time.Second
	guest    = `<domain type='test'><name>%s</name><memory>8192</memory><os><type>hvm</type></os></domain>`
)

func main() {
	// Nothing may hang.
	time.AfterFunc(2*deadline, func() { fail("no end after %v", 2*deadline) })
	socket := os.Args[1]
	virt := connect(socket)
	host(virt)
	life(virt)
	refusals(virt)
	if len(os.Args) > 2 && os.Args[2] == "ours" {
		streams(virt)
	}
	manyAtOnce(virt)
	goodbye(virt)
	again := connect(socket)
	goodbye(again)
	fmt.Println("all good")
}

func fail(format string, words ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", words...)
	os.Exit(1)
}

func good(what string, err error) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func equal(what string, found, wanted interface{}) {
	if found != wanted {
		fail("%s: %v instead of %v", what, found, wanted)
	}
}

func connect(socket string) *libvirt.Libvirt {
	virt := libvirt.NewWithDialer(dialers.NewLocal(dialers.WithSocket(socket)))
	good("connect", virt.ConnectToURI(world))
	return virt
}

// After the connection was closed, calls fail and the client knows it.
func goodbye(virt *libvirt.Libvirt) {
	good("disconnect", virt.Disconnect())
	equal("connected", virt.IsConnected(), false)
	if _, err := virt.ConnectGetHostname(); err == nil {
		fail("a call after the end was answered")
	}
}

func host(virt *libvirt.Libvirt) {
	kind, err := virt.ConnectGetType()
	good("type", err)
	equal("type", kind, "TEST")
	version, err := virt.ConnectGetLibVersion()
	good("version", err)
	equal("version", version, uint64(11003000))
	domains, count, err := virt.ConnectListAllDomains(1, 0)
	good("domains", err)
	equal("domains", count, uint32(1))
	equal("domain", domains[0].Name, "test")
	networks, _, err := virt.ConnectListAllNetworks(1, 0)
	good("networks", err)
	equal("network", networks[0].Name, "default")
	pools, err := virt.StoragePools(libvirt.ConnectListStoragePoolsActive)
	good("pools", err)
	equal("pool", pools[0].Name, "default-pool")
}

// Two listen; the one who stops hears nothing more.
func life(virt *libvirt.Libvirt) {
	ctx, stop := context.WithCancel(context.Background())
	events, err := virt.LifecycleEvents(ctx)
	good("events", err)
	other, leave := context.WithCancel(context.Background())
	notes, err := virt.SubscribeEvents(other, libvirt.DomainEventIDMetadataChange, nil)
	good("metadata", err)

	dom, err := virt.DomainDefineXML(fmt.Sprintf(guest, "go"))
	good("define", err)
	good("start", virt.DomainCreate(dom))
	good("suspend", virt.DomainSuspend(dom))
	state, _, err := virt.DomainGetState(dom, 0)
	good("state", err)
	equal("state", state, int32(libvirt.DomainPaused))
	good("resume", virt.DomainResume(dom))
	title, onPaper := libvirt.OptString{"a title"}, libvirt.DomainModificationImpact(libvirt.DomainAffectConfig)
	good("title", virt.DomainSetMetadata(dom, int32(libvirt.DomainMetadataTitle), title, nil, nil, onPaper))
	good("destroy", virt.DomainDestroy(dom))
	good("undefine", virt.DomainUndefine(dom))
	for _, wanted := range []libvirt.DomainEventType{
		libvirt.DomainEventDefined, libvirt.DomainEventStarted, libvirt.DomainEventSuspended,
		libvirt.DomainEventResumed, libvirt.DomainEventStopped, libvirt.DomainEventUndefined,
	} {
		select {
		case event := <-events:
			equal("event of", event.Dom.Name, "go")
			equal("event", libvirt.DomainEventType(event.Event), wanted)
		case <-time.After(deadline):
			fail("no event %v", wanted)
		}
	}
	select {
	case event := <-notes:
		change := event.(*libvirt.DomainEventCallbackMetadataChangeMsg)
		equal("metadata of", change.Dom.Name, "go")
		equal("metadata", change.Type, int32(libvirt.DomainMetadataTitle))
	case <-time.After(deadline):
		fail("no change of metadata is told of")
	}
	stop()
	leave()
	for range events {
		fail("an event after the end")
	}
	for range notes {
		fail("a note after the end")
	}
}

// What is refused is a typed error with libvirt's code.
func refusals(virt *libvirt.Libvirt) {
	code := func(what string, err error, wanted libvirt.ErrorNumber) {
		var typed libvirt.Error
		if !errors.As(err, &typed) {
			fail("%s: %v is no typed error", what, err)
		}
		equal(what, libvirt.ErrorNumber(typed.Code), wanted)
	}
	_, err := virt.DomainLookupByName("nobody")
	equal("not found", libvirt.IsNotFound(err), true)
	_, err = virt.NetworkLookupByName("nobody")
	code("network", err, libvirt.ErrNoNetwork)
	_, err = virt.StoragePoolLookupByName("nobody")
	code("pool", err, libvirt.ErrNoStoragePool)
	_, err = virt.DomainDefineXML("<domain type='test'/>")
	code("definition", err, libvirt.ErrNoName)
	_, err = virt.DomainDefineXML("<domain")
	code("no document", err, libvirt.ErrXMLDetail)
}

func streams(virt *libvirt.Libvirt) {
	pool, err := virt.StoragePoolLookupByName("default-pool")
	good("pool", err)
	vol, err := virt.StorageVolCreateXML(pool, "<volume><name>go</name><capacity>3000000</capacity></volume>", 0)
	good("volume", err)
	data := make([]byte, 3000000)
	for at := range data {
		data[at] = byte(at * 31 % 251)
	}
	good("upload", virt.StorageVolUpload(vol, bytes.NewReader(data), 0, 0, 0))
	var back bytes.Buffer
	good("download", virt.StorageVolDownload(vol, &back, 0, 0, 0))
	equal("what was uploaded comes back", bytes.Equal(back.Bytes(), data), true)
	good("delete", virt.StorageVolDelete(vol, 0))
}

// Many goroutines share one connection.
func manyAtOnce(virt *libvirt.Libvirt) {
	var all sync.WaitGroup
	for number := 0; number < 16; number++ {
		all.Add(1)
		go func(number int) {
			defer all.Done()
			for round := 0; round < 20; round++ {
				name := fmt.Sprintf("go-%d-%d", number, round)
				dom, err := virt.DomainCreateXML(fmt.Sprintf(guest, name), 0)
				good("create", err)
				found, err := virt.DomainLookupByName(name)
				good("look up", err)
				equal("name", found.Name, name)
				good("destroy", virt.DomainDestroy(dom))
			}
		}(number)
	}
	all.Wait()
}
