// A data channel of pion: one end of a connection, as ../main.cpp is for the other libraries, with
// the same options, events and exchange of candidates.
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v3"
)

const (
	// So many bytes may wait in the channel, as with webrtcbin.
	bufferedBytes = 1 << 18
	// What its receivers have room for.
	maxMessageBytes = 65535
	warmupPings     = 200
	patience        = 20 * time.Second
	tick            = 100 * time.Millisecond
)

var (
	exchangePath = flag.String("exchange", "", "socket of the exchange")
	offering     = flag.Bool("offer", false, "listen there, and offer")
	messageBytes = flag.Int("bytes", 65536, "size of a message")
	seconds      = flag.Float64("seconds", 3, "receive: for how long")
	mbit         = flag.Float64("mbit", 0, "send: no faster than that")
	count        = flag.Int("count", 10000, "ping: how many")
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The clock of the other programs; Go shows its own only as differences.
func nowUs() int64 {
	return monotonicNs() / 1000
}

func say(event string, fields map[string]interface{}) {
	line := map[string]interface{}{"at_us": nowUs()}
	for key, value := range fields {
		line[key] = value
	}
	text, err := json.Marshal(line)
	check(err)
	fmt.Printf("{\"event\":%q,%s\n", event, text[1:])
}

type exchange struct{ net.Conn }

func openExchange() exchange {
	if *offering {
		listener, err := net.Listen("unix", *exchangePath)
		check(err)
		conn, err := listener.Accept()
		check(err)
		return exchange{conn}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		conn, err := net.Dial("unix", *exchangePath)
		if err == nil {
			return exchange{conn}
		}
		if time.Now().After(deadline) {
			check(err)
		}
	}
}

func (e exchange) send(text []byte) {
	check(binary.Write(e, binary.LittleEndian, uint64(len(text))))
	_, err := e.Write(text)
	check(err)
}

func (e exchange) receive() []byte {
	var size uint64
	check(binary.Read(e, binary.LittleEndian, &size))
	text := make([]byte, size)
	_, err := io.ReadFull(e, text)
	check(err)
	return text
}

// Offers or answers, with all candidates in the description.
func connect(peer *webrtc.PeerConnection, e exchange) {
	describe := func(make func() (webrtc.SessionDescription, error)) {
		description, err := make()
		check(err)
		gathered := webrtc.GatheringCompletePromise(peer)
		check(peer.SetLocalDescription(description))
		<-gathered
		text, err := json.Marshal(peer.LocalDescription())
		check(err)
		e.send(text)
	}
	accept := func() {
		var description webrtc.SessionDescription
		check(json.Unmarshal(e.receive(), &description))
		say("knows", nil)
		check(peer.SetRemoteDescription(description))
	}
	if *offering {
		describe(func() (webrtc.SessionDescription, error) { return peer.CreateOffer(nil) })
		accept()
	} else {
		accept()
		describe(func() (webrtc.SessionDescription, error) { return peer.CreateAnswer(nil) })
	}
}

func send(channel *webrtc.DataChannel) {
	payload := make([]byte, *messageBytes)
	room := make(chan struct{}, 1)
	channel.SetBufferedAmountLowThreshold(bufferedBytes / 2)
	channel.OnBufferedAmountLow(func() {
		select {
		case room <- struct{}{}:
		default:
		}
	})
	started, sent := time.Now(), 0.0
	for {
		if *mbit > 0 {
			due := started.Add(time.Duration(sent * 8 / *mbit * float64(time.Microsecond)))
			time.Sleep(time.Until(due))
			sent += float64(*messageBytes)
		}
		check(channel.Send(payload))
		if channel.BufferedAmount() >= bufferedBytes {
			<-room
		}
	}
}

// As ../meter.hpp.
func receive(channel *webrtc.DataChannel) {
	var bytes uint64
	first := make(chan struct{})
	begun := false
	channel.OnMessage(func(message webrtc.DataChannelMessage) {
		if begun {
			atomic.AddUint64(&bytes, uint64(len(message.Data)))
		} else {
			begun = true
			close(first)
		}
	})
	go func() {
		<-first
		started := time.Now()
		say("first", nil)
		window := time.Duration(*seconds * float64(time.Second))
		for due := tick; ; due += tick {
			event := "tick"
			if due >= window {
				due, event = window, "end"
			}
			time.Sleep(time.Until(started.Add(due)))
			say(event, map[string]interface{}{"bytes": atomic.LoadUint64(&bytes),
				"seconds": time.Since(started).Seconds()})
			if event == "end" {
				return
			}
		}
	}()
}

func echo(channel *webrtc.DataChannel, pinging bool) {
	payload := make([]byte, *messageBytes)
	var times []float64
	var begun time.Time
	seen := 0
	channel.OnMessage(func(webrtc.DataChannelMessage) {
		if pinging {
			if seen++; seen > warmupPings {
				times = append(times, float64(time.Since(begun).Nanoseconds())/1000)
			}
			if len(times) == *count {
				sort.Float64s(times)
				last := float64(len(times) - 1)
				say("pings", map[string]interface{}{"count": len(times), "min_us": times[0],
					"p50_us": times[int(0.5*last)], "p99_us": times[int(0.99*last)]})
				return
			}
			begun = time.Now()
		}
		check(channel.Send(payload))
	})
	if pinging {
		begun = time.Now()
		check(channel.Send(payload))
	}
}

func main() {
	// The work comes first, as with the other programs.
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "Usage: bench-pion send|receive|ping|pong --exchange PATH [OPTION...]")
		os.Exit(2)
	}
	work := os.Args[1]
	check(flag.CommandLine.Parse(os.Args[2:]))
	if *messageBytes == maxMessageBytes+1 {
		*messageBytes = maxMessageBytes
	}
	say("start", nil)
	e := openExchange()
	peer, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	check(err)
	negotiated, id := true, uint16(0)
	channel, err := peer.CreateDataChannel("bench",
		&webrtc.DataChannelInit{Negotiated: &negotiated, ID: &id})
	check(err)
	if work == "receive" {
		receive(channel)
	} else if work == "pong" {
		echo(channel, false)
	}
	channel.OnOpen(func() {
		say("open", nil)
		if work == "send" {
			go send(channel)
		} else if work == "ping" {
			echo(channel, true)
		}
	})
	connect(peer, e)
	select {}
}
