package bench

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/chaos/relay"
)

// etcd makes three members of etcd, distance apart (one way). Its defaults stay but for what is said here; without
// TLS, which is its fastest.
func etcd(dir, program string, distance, election time.Duration) (*trio, error) {
	t := &trio{name: "etcd"}
	var peers, listens, all []string
	for i := range 3 {
		listen := freeTCP()
		peer := listen
		if distance > 0 {
			r, err := relay.NewStreams("127.0.0.1", listen, distance)
			if err != nil {
				return t, err
			}
			t.relays = append(t.relays, r)
			peer = r.Address()
		}
		listens, peers = append(listens, "http://"+listen), append(peers, "http://"+peer)
		all = append(all, fmt.Sprintf("e%d=http://%s", i+1, peer))
	}
	for i := range 3 {
		name, client := fmt.Sprintf("e%d", i+1), freeTCP()
		command := []string{
			program, "--name", name, "--data-dir", filepath.Join(dir, name), "--log-level", "error",
			"--listen-client-urls", "http://" + client, "--advertise-client-urls", "http://" + client,
			"--listen-peer-urls", listens[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(all, ","), "--initial-cluster-token", filepath.Base(dir),
		}
		if election > 0 {
			command = append(command, fmt.Sprintf("--election-timeout=%d", election.Milliseconds()), fmt.Sprintf("--heartbeat-interval=%d", election.Milliseconds()/10))
		}
		t.nodes = append(t.nodes, &node{name: name, api: client, log: filepath.Join(dir, name+".log"), command: command})
	}
	return t, nil
}
