package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

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
	me := self{Fleet: token.Fleet, Cluster: o.Cluster, Region: o.Region, Zone: o.Zone, Token: token.ID()}
	dir, identity, release, err := joiner(o, &me)
	if err != nil {
		return JoinResult{}, err
	}
	defer release()
	answer, err := transport.Join(ctx, token, identity, transport.JoinRequest{
		Region: o.Region, Zone: o.Zone, Version: o.Version, Addresses: me.Addresses.Advertise, Server: me.Addresses.server(),
	}, transport.JoinOptions{Conn: o.Conn})
	if err != nil {
		return JoinResult{}, err
	}
	me.Region, me.Zone = answer.Region, answer.Zone
	if err := errors.Join(dir.write(filePeers, answer.Members), dir.write(fileMember, me)); err != nil {
		return JoinResult{}, err
	}
	return JoinResult{Fleet: me.Fleet, Cluster: me.Cluster, Region: me.Region, Members: len(answer.Members) - 1}, nil
}

// fileJoining is who asks to join, until the fleet has said yes.
const fileJoining = "joining.json"

// joiner claims the data directory, and takes up the identity of an earlier try with the same token.
func joiner(o JoinOptions, me *self) (dir dataDir, identity transport.Identity, release func(), err error) {
	dir = dataDir(o.DataDir)
	var earlier self
	if dir.read(fileJoining, &earlier) == nil && earlier.Token == me.Token {
		if release, err = dir.claim(me.Fleet); err != nil {
			return dir, identity, nil, err
		}
		if identity, err = transport.LoadIdentity(string(dir)); err == nil && identity.ID() == earlier.Incarnation {
			me.Incarnation = earlier.Incarnation
			me.Addresses, err = o.Addresses.completed()
			return dir, identity, release, err
		}
		release()
	}
	dir, release, err = newMember(o.DataDir, me, o.Addresses)
	if err != nil {
		return dir, identity, nil, err
	}
	identity, err = transport.LoadIdentity(string(dir))
	if err = errors.Join(err, dir.write(fileJoining, me)); err != nil {
		release()
	}
	return dir, identity, release, err
}

// kindEnrol is the stream on which a member passes a request to join on to the leader:
//
//	→ enrolment, JSON, then end of stream
//	← transport.JoinAnswer, JSON, then end of stream
const kindEnrol = "enrol"

// Bounds of passing a request to join on.
const (
	maxEnrolment = 64 << 10
	maxAnswer    = 4 << 20
	enrolTimeout = 20 * time.Second
	passOnPause  = 200 * time.Millisecond
)

// enrolment is a request to join, and the pin that the member in between saw on its connection. The request is
// signed together with the pin, so that member can change neither.
type enrolment struct {
	From    transport.Pin         `json:"from"`
	Request transport.JoinRequest `json:"request"`
}

// serveJoin answers a request to join, here or at the leader. It is called by transport.
func (c *Core) serveJoin(ctx context.Context, from transport.Pin, r transport.JoinRequest) transport.JoinAnswer {
	if !c.opened() {
		return transport.JoinAnswer{Error: c.self.Cluster + " is still starting", Temporary: true}
	}
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	answer, err := c.passOn(ctx, enrolment{From: from, Request: r})
	if err == nil {
		return answer
	}
	var told refusal
	if errors.As(err, &told) {
		return transport.JoinAnswer{Error: told.Error()}
	}
	c.log.Warn("could not let a member in", "cluster", r.Cluster, "err", err)
	return transport.JoinAnswer{Error: fmt.Sprintf("%s could not let the member in: %v", c.self.Cluster, err), Temporary: true}
}

// passOn tries until ctx ends, because the leader may change while a member joins.
func (c *Core) passOn(ctx context.Context, e enrolment) (answer transport.JoinAnswer, err error) {
	for {
		leader, term, ok := c.node.Leader()
		switch {
		case !ok:
			err = errors.New("the fleet has no leader")
		case leader == c.id():
			answer, err = c.admit(ctx, term, e.From, e.Request)
		default:
			answer, err = c.askLeader(ctx, transport.MemberID(leader), e)
		}
		var told refusal
		final := err == nil && !answer.Temporary || errors.As(err, &told)
		if final || !sleep(ctx, passOnPause) {
			return answer, err
		}
	}
}

func (c *Core) askLeader(ctx context.Context, leader transport.MemberID, e enrolment) (answer transport.JoinAnswer, err error) {
	conn, err := c.endpoint.Open(ctx, leader, transport.Control, kindEnrol)
	if err != nil {
		return answer, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(enrolTimeout))
	if err := json.NewEncoder(conn).Encode(e); err != nil {
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
	var e enrolment
	if err := json.NewDecoder(io.LimitReader(conn, maxEnrolment)).Decode(&e); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), enrolTimeout)
	defer cancel()
	answer := c.admitAsLeader(ctx, e)
	if err := json.NewEncoder(conn).Encode(answer); err != nil {
		c.log.Debug("answer to a request to join was not heard", "peer", peer, "err", err)
	}
}

func (c *Core) admitAsLeader(ctx context.Context, e enrolment) transport.JoinAnswer {
	if !c.opened() {
		return transport.JoinAnswer{Error: c.self.Cluster + " is still starting", Temporary: true}
	}
	leader, term, ok := c.node.Leader()
	if !ok || leader != c.id() {
		return transport.JoinAnswer{Error: "the leader changed", Temporary: true}
	}
	answer, err := c.admit(ctx, term, e.From, e.Request)
	if err != nil {
		var told refusal
		return transport.JoinAnswer{Error: err.Error(), Temporary: !errors.As(err, &told)}
	}
	return answer
}
