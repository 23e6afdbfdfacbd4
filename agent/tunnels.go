package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/peeked"
	"github.com/hanse-fleet/hanse/transport"
	"github.com/hanse-fleet/hanse/tunnel"
)

// maxRelays is how many members are asked at most to pass on to one that this member does not reach.
const maxRelays = 3

// tunnels makes the member's part in what carries people through members. Whoever asks for it closes it.
func (c *Core) tunnels() *tunnel.Hub {
	hub := tunnel.New(tunnel.Config{
		Self: string(c.id()), Limits: tunnel.DefaultLimits(), Relays: c.relays,
		Open: func(ctx context.Context, to string) (net.Conn, error) {
			conn, err := c.endpoint.Open(ctx, transport.MemberID(to), transport.Transit, tunnel.Kind)
			if errors.Is(err, transport.ErrBusy) {
				return nil, fmt.Errorf("%w: %w", tunnel.ErrBusy, err)
			}
			return conn, err
		},
	})
	c.endpoint.Handle(tunnel.Kind, func(peer transport.MemberID, conn net.Conn) { hub.Serve(string(peer), conn) })
	return hub
}

// relays are members that this one is connected to, voters first: whoever follows them is connected to them.
func (c *Core) relays(to string) (ids []string) {
	voters := map[transport.MemberID]bool{}
	for _, v := range c.knownVoters() {
		voters[v] = true
	}
	for _, votes := range []bool{true, false} {
		for _, p := range c.endpoint.Peers() {
			if string(p.ID) != to && voters[p.ID] == votes && len(ids) < maxRelays {
				ids = append(ids, string(p.ID))
			}
		}
	}
	return ids
}

func (c *Core) tunnelEndpoint(hub *tunnel.Hub) apiserver.Endpoint {
	return apiserver.Endpoint{Path: v1alpha1.PathTunnel, Role: v1alpha1.RoleViewer, Streams: true, Patience: peoplePatience, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { c.serveTunnel(hub, w, r) })}
}

// serveTunnel lets a person through to a cluster's member. Who they are there, that member finds out itself.
func (c *Core) serveTunnel(hub *tunnel.Hub, w http.ResponseWriter, r *http.Request) {
	cluster := strings.TrimPrefix(r.URL.Path, v1alpha1.PathTunnel)
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), v1alpha1.UpgradeTunnel) || r.ProtoMajor != 1 {
		fail(w, http.StatusBadRequest, errors.New("a tunnel is asked for by HTTP/1.1: GET with Upgrade: "+v1alpha1.UpgradeTunnel))
		return
	}
	to, ok := c.memberOf(cluster)
	if !ok {
		fail(w, http.StatusNotFound, fmt.Errorf("the fleet has no member of a cluster %q", cluster))
		return
	}
	way, err := hub.Begin(r.Context(), apiserver.Asking(r.Context()).Person, string(to))
	if err != nil {
		c.refuseTunnel(w, cluster, err)
		return
	}
	defer way.Close()
	conn, err := upgrade(w)
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	_ = way.Carry(r.Context(), conn) // both ends see how it ended
}

func (c *Core) refuseTunnel(w http.ResponseWriter, cluster string, err error) {
	if errors.Is(err, tunnel.ErrBusy) {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, err)
		return
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("nobody answers")
	}
	fail(w, http.StatusBadGateway, fmt.Errorf("%s does not reach %s, nor does a member that it asked: %w", c.self.Cluster, cluster, err))
}

// memberOf is the member of a cluster.
func (c *Core) memberOf(cluster string) (store.MemberID, bool) {
	for _, m := range c.store.View().Members() {
		if m.Cluster == cluster {
			return m.ID, true
		}
	}
	return "", false
}

// upgradeTime bounds the answer to who asks for a tunnel.
const upgradeTime = 10 * time.Second

// upgrade takes the connection over that a request came on, and says so.
func upgrade(w http.ResponseWriter) (net.Conn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over connection: %w", err)
	}
	conn.SetDeadline(time.Now().Add(upgradeTime))
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", v1alpha1.UpgradeTunnel)
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return peeked.Conn{Conn: conn, Ahead: buffered.Reader}, nil
}
