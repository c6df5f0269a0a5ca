// A TURN server on pion, for tests: over UDP and TCP on 127.0.0.1, on free ports that it prints. A line
// on its standard input asks how many allocations there are; it ends with it.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"github.com/pion/turn/v2"
)

const address = "127.0.0.1"

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: turn-pion-server REALM USER PASSWORD")
	}
	realm, user, password := os.Args[1], os.Args[2], os.Args[3]
	datagrams, err := net.ListenPacket("udp4", address+":0")
	if err != nil {
		log.Fatal(err)
	}
	streams, err := net.Listen("tcp4", address+":0")
	if err != nil {
		log.Fatal(err)
	}
	relays := &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(address), Address: address}
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: realm,
		AuthHandler: func(name, of string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(name, of, password), name == user
		},
		ChannelBindTimeout: 10 * time.Minute,
		PacketConnConfigs:  []turn.PacketConnConfig{{PacketConn: datagrams, RelayAddressGenerator: relays}},
		ListenerConfigs:    []turn.ListenerConfig{{Listener: streams, RelayAddressGenerator: relays}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(datagrams.LocalAddr().(*net.UDPAddr).Port, streams.Addr().(*net.TCPAddr).Port)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(server.AllocationCount())
	}
	if err := server.Close(); err != nil {
		log.Fatal(err)
	}
}
