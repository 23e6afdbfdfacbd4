package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/transport"
)

// Join enrols a new cluster: it makes the data directory and the identity, and asks the fleet, through an address
// of the token, to let the member in. Interrupted or refused, it can be repeated with the same directory: the same
// identity asks again, and the same token with the same identity gets the same answer.
func Join(ctx context.Context, o JoinOptions) (JoinResult, error) {
	token, err := transport.ParseToken(strings.TrimSpace(o.Token))
	if err != nil {
		return JoinResult{}, err
	}
	me := self{Fleet: token.Fleet, Cluster: o.Cluster, Region: o.Region, Zone: o.Zone, Addresses: o.Addresses}
	reached, err := me.Addresses.completed()
	if err != nil {
		return JoinResult{}, err
	}
	key, err := o.Former.identity(me)
	if err != nil {
		return JoinResult{}, err
	}
	dir, identity, release, err := newMember(o.DataDir, o.DataIdentity, &me)
	if err != nil {
		return JoinResult{}, err
	}
	defer release()
	recipient, err := dir.keep(key)
	switch {
	case err != nil:
		return JoinResult{}, err
	case o.KeysLost && recipient != "":
		return JoinResult{}, fmt.Errorf("data directory %s has a copy of the key, from an earlier try with --keys-from, so it is not lost; join without --keys-lost, or with another --data-dir", dir)
	}
	answer, err := ask(ctx, token, identity, transport.JoinRequest{
		Region: o.Region, Zone: o.Zone, Version: o.Version, Addresses: reached.Advertise, Server: reached.server(),
		Applies: max(o.Applies, store.Version), Recipient: recipient, KeysLost: o.KeysLost,
	}, transport.JoinOptions{Conn: o.Conn})
	switch {
	case err != nil && key != nil: // it may be in all the same, with that key
		return JoinResult{}, fmt.Errorf("%w; a copy of the key is in %s now, for another try", err, dir.path(fileKey))
	case err != nil:
		return JoinResult{}, err
	}
	if answer.Cluster != me.Cluster {
		return JoinResult{}, fmt.Errorf("the token joined this data directory as %s already; join again with --cluster %s, or with another --data-dir", answer.Cluster, answer.Cluster)
	}
	me.Region, me.Zone = answer.Region, answer.Zone
	if err := errors.Join(dir.write(filePeers, answer.Members), dir.write(fileMember, me)); err != nil {
		return JoinResult{}, err
	}
	return JoinResult{Fleet: me.Fleet, Cluster: me.Cluster, Region: me.Region, Members: len(answer.Members) - 1, Kept: recipient != ""}, nil
}

// busyPause is how long a joiner waits, give or take half, before it asks again a member that serves others.
const busyPause = 200 * time.Millisecond

// ask asks until ctx ends while all members that answer are busy with other joiners.
func ask(ctx context.Context, token transport.Token, id transport.Identity, r transport.JoinRequest, o transport.JoinOptions) (transport.JoinAnswer, error) {
	for {
		answer, err := transport.Join(ctx, token, id, r, o)
		if !errors.Is(err, transport.ErrBusy) || !pause.For(ctx, busyPause/2+rand.N(busyPause)) {
			return answer, err
		}
	}
}

// kindEnrol is the stream on which a member passes a request to join on to the leader:
//
//	→ transport.JoinRequest, JSON, then end of stream
//	← transport.JoinAnswer, JSON, then end of stream
const kindEnrol = "enrol"

// Bounds of passing a request to join on.
const (
	maxEnrolment = 64 << 10
	maxAnswer    = 4 << 20
	enrolTimeout = 20 * time.Second
	passOnPause  = 200 * time.Millisecond
)

// serveJoin answers a request to join, here or at the leader. It is called by transport.
func (c *Core) serveJoin(ctx context.Context, _ transport.Pin, r transport.JoinRequest) transport.JoinAnswer {
	if !c.opened() {
		return transport.JoinAnswer{Error: c.self.Cluster + " is still starting", Temporary: true}
	}
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	answer, err := c.passOn(ctx, r)
	if err == nil {
		return answer
	}
	var told epoch.Refusal
	if errors.As(err, &told) {
		return transport.JoinAnswer{Error: told.Error()}
	}
	c.log.Warn("could not let a member in", "cluster", r.Cluster, "err", err)
	return transport.JoinAnswer{Error: fmt.Sprintf("%s could not let the member in: %v", c.self.Cluster, err), Temporary: true}
}

// passOn tries until ctx ends, because the leader may change while a member joins.
func (c *Core) passOn(ctx context.Context, r transport.JoinRequest) (answer transport.JoinAnswer, err error) {
	for {
		leader, term, ok := c.node.Leader()
		switch {
		case !ok:
			err = errors.New("the fleet has no leader")
		case leader == c.id():
			answer, err = c.admit(ctx, term, r)
		default:
			answer, err = c.askLeader(ctx, transport.MemberID(leader), r)
		}
		var told epoch.Refusal
		final := err == nil && !answer.Temporary || errors.As(err, &told)
		if final || !pause.For(ctx, passOnPause) {
			return answer, err
		}
	}
}

func (c *Core) askLeader(ctx context.Context, leader transport.MemberID, r transport.JoinRequest) (answer transport.JoinAnswer, err error) {
	conn, err := c.endpoint.Open(ctx, leader, transport.Control, kindEnrol)
	if err != nil {
		return answer, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(enrolTimeout))
	if err := json.NewEncoder(conn).Encode(r); err != nil {
		return answer, fmt.Errorf("ask leader: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(conn, maxAnswer)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("ask leader: %w", err)
	}
	return answer, nil
}

// serveEnrol is the leader's side of askLeader.
func (c *Core) serveEnrol(peer transport.MemberID, conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(enrolTimeout))
	var r transport.JoinRequest
	if err := json.NewDecoder(io.LimitReader(conn, maxEnrolment)).Decode(&r); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), enrolTimeout)
	defer cancel()
	answer := c.admitAsLeader(ctx, r)
	if err := json.NewEncoder(conn).Encode(answer); err != nil {
		c.log.Debug("answer to a request to join was not heard", "peer", peer, "err", err)
	}
}

func (c *Core) admitAsLeader(ctx context.Context, r transport.JoinRequest) transport.JoinAnswer {
	if !c.opened() {
		return transport.JoinAnswer{Error: c.self.Cluster + " is still starting", Temporary: true}
	}
	leader, term, ok := c.node.Leader()
	if !ok || leader != c.id() {
		return transport.JoinAnswer{Error: "the leader changed", Temporary: true}
	}
	answer, err := c.admit(ctx, term, r)
	if err != nil {
		var told epoch.Refusal
		return transport.JoinAnswer{Error: err.Error(), Temporary: !errors.As(err, &told)}
	}
	return answer
}
