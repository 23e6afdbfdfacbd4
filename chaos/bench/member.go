package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // served on MemberConfig.Debug
	"os"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// MemberConfig is what a member's process reads at its start. Its identity lies in Dir.
type MemberConfig struct {
	ID  consensus.MemberID
	Dir string
	// Listen is where the others reach it (UDP), API where clients do (TCP), Debug where its profiles are.
	Listen, API, Debug string
	// Timeout is the election timeout and the lease.
	Timeout time.Duration
	// Founder makes the fleet of all Members.
	Founder bool
	Members []Companion
}

// Companion is a member as the others know it.
type Companion struct {
	ID        consensus.MemberID
	Pin       store.Pin
	Addresses []string
	Eligible  bool
}

// RunMember is the whole life of a member's process: it reads the config, runs until ctx ends and closes.
func RunMember(ctx context.Context, config string) error {
	data, err := os.ReadFile(config)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	var c MemberConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("read config %q: %w", config, err)
	}
	identity, err := transport.LoadIdentity(c.Dir, nil)
	if err != nil {
		return err
	}
	m, err := openMember(c, identity, nil, nil)
	if err != nil {
		return err
	}
	http.HandleFunc("/inside", m.serveInside)
	go http.ListenAndServe(c.Debug, nil) // ends with the process
	listener, err := net.Listen("tcp", c.API)
	if err != nil {
		return errors.Join(err, m.close())
	}
	server := grpc.NewServer()
	(&api{node: m.node, store: m.store, self: c.ID, ids: ids(c.Members)}).register(server)
	defer context.AfterFunc(ctx, server.Stop)()
	return errors.Join(server.Serve(listener), m.close())
}

func ids(members []Companion) []consensus.MemberID {
	var out []consensus.MemberID
	for _, m := range members {
		out = append(out, m.ID)
	}
	return out
}

// member is a member of ours: the store, replicated over the product's own transport.
type member struct {
	node     *consensus.Node
	store    *store.Store
	endpoint *transport.Endpoint
}

// openMember starts a member on the files in its directory, or on the stores. Whoever has one that was a daemon's holds it to the law.
func openMember(c MemberConfig, identity transport.Identity, stores *consensus.Stores, auth store.Authorizer) (*member, error) {
	address, err := net.ResolveUDPAddr("udp", c.Listen)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", address)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	endpoint, err := transport.Listen(transport.Config{Identity: identity, Directory: directory(c.Members), Conn: conn, Logger: log})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	timing := consensus.DefaultTiming().WithTimeout(c.Timeout)
	timing.Stable = 500 * time.Millisecond // the fleet is of full strength sooner; nothing is measured until it is
	m := &member{store: store.New(auth), endpoint: endpoint}
	m.node, err = consensus.Open(consensus.Config{
		ID: c.ID, Dir: filepath.Join(c.Dir, "raft"), Stores: stores, Store: m.store, Network: network{endpoint},
		Timing: timing, Logger: log, Seeds: func() []consensus.MemberID { return ids(c.Members[:3]) },
	})
	if err != nil {
		return nil, errors.Join(err, endpoint.Close())
	}
	if c.Founder {
		if err := m.node.Bootstrap(); err != nil {
			return nil, errors.Join(err, m.close())
		}
		go m.found(c.Members)
	}
	return m, nil
}

// found writes the membership, at the first start: the first three, and once they vote all others.
func (m *member) found(members []Companion) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := m.node.Read(ctx); err != nil || len(m.store.View().Members()) > 0 {
		return
	}
	m.enrol(ctx, members[:3], 0)
	for ctx.Err() == nil && len(m.node.Status().Voters) < 3 {
		_ = rest(ctx, 100*time.Millisecond)
	}
	m.enrol(ctx, members[3:], 3)
}

// enrol makes members; whoever waits for the fleet sees it when that fails.
func (m *member) enrol(ctx context.Context, members []Companion, before int) {
	var ops []store.Op
	for i, c := range members {
		ops = append(ops, store.PutMember(store.Member{
			ID: c.ID, Cluster: string(c.ID), Region: "r" + strconv.Itoa((before+i)%3), Eligible: c.Eligible, Pin: c.Pin, Addresses: c.Addresses,
		}))
	}
	if len(ops) > 0 {
		_, _ = m.node.Propose(ctx, consensus.Proposal{Txn: store.Txn{Then: ops}})
	}
}

func (m *member) close() error { return errors.Join(m.node.Close(), m.endpoint.Close()) }

// directory is a transport.Directory that never changes.
type directory []Companion

// Lookup implements transport.Directory.
func (d directory) Lookup(pin transport.Pin) (transport.MemberID, transport.Standing) {
	for _, c := range d {
		if transport.Pin(c.Pin) == pin {
			return transport.MemberID(c.ID), transport.Current
		}
	}
	return "", transport.Unknown
}

// Find implements transport.Directory.
func (d directory) Find(id transport.MemberID) (transport.Peer, bool) {
	for _, c := range d {
		if c.ID == consensus.MemberID(id) {
			return transport.Peer{Pin: transport.Pin(c.Pin), Addresses: c.Addresses}, true
		}
	}
	return transport.Peer{}, false
}

// network lets consensus speak through transport, as the agent's does.
type network struct{ *transport.Endpoint }

func (n network) Open(ctx context.Context, to consensus.MemberID, class consensus.Class, kind string) (net.Conn, error) {
	c := transport.Control
	if class == consensus.Data {
		c = transport.Data
	}
	return n.Endpoint.Open(ctx, transport.MemberID(to), c, kind)
}

func (n network) Handle(kind string, h func(from consensus.MemberID, conn net.Conn)) {
	n.Endpoint.Handle(kind, func(peer transport.MemberID, conn net.Conn) { h(consensus.MemberID(peer), conn) })
}
