package bench

import (
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/hanse-fleet/hanse/chaos/relay"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// quickly reconnects to a process that was killed and is back.
var quickly = grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond}, MinConnectTimeout: time.Second}

// ours makes three members of ours, distance apart (one way), that run the program with the verb "member".
func ours(dir, program string, distance, timeout time.Duration) (*trio, error) {
	t := &trio{name: "ours"}
	var configs []MemberConfig
	var members []Companion
	var identities []transport.Identity
	for i := range 3 {
		c := MemberConfig{
			ID: consensus.MemberID(fmt.Sprintf("m%d", i+1)), Dir: filepath.Join(dir, fmt.Sprintf("m%d", i+1)), Founder: i == 0,
			Timeout: timeout, Listen: freeUDP(), API: freeTCP(), Debug: freeTCP(),
		}
		identity, err := transport.NewIdentity("bench", string(c.ID), transport.MemberID(c.ID))
		if err != nil {
			return t, err
		}
		identities = append(identities, identity)
		address := c.Listen
		if distance > 0 {
			r, err := relay.NewDatagrams("127.0.0.1", c.Listen, distance)
			if err != nil {
				return t, err
			}
			t.relays = append(t.relays, r)
			address = r.Address()
		}
		configs = append(configs, c)
		members = append(members, Companion{ID: c.ID, Pin: store.Pin(identity.Pin()), Addresses: []string{address}, Eligible: true})
	}
	for i, c := range configs {
		c.Members = members
		n, err := processOf(dir, program, c, identities[i])
		if err != nil {
			return t, err
		}
		t.nodes = append(t.nodes, n)
	}
	return t, nil
}
