package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/transport"
)

// Lives of a join token.
const (
	defaultTokenTTL = time.Hour
	maxTokenTTL     = 30 * 24 * time.Hour
)

// CreateToken makes a join token, for this member itself, that lives an hour.
func (c *Core) CreateToken(ctx context.Context, terms law.Terms) (string, error) {
	t, err := c.createToken(ctx, apiserver.Asker{}, terms, defaultTokenTTL)
	return t.String(), err
}

// createToken writes a new token's record to the log and returns the token.
func (c *Core) createToken(ctx context.Context, asker apiserver.Asker, terms law.Terms, ttl time.Duration) (transport.Token, error) {
	if ttl == 0 {
		ttl = defaultTokenTTL
	}
	if ttl < 0 || ttl > maxTokenTTL {
		return transport.Token{}, fmt.Errorf("time to live %s: must be at most %s", ttl, maxTokenTTL)
	}
	if err := terms.Validate(); err != nil {
		return transport.Token{}, err
	}
	// A member that has just begun may not have the log yet, the founding of the fleet included.
	if err := c.store.WaitFor(ctx, 1); err != nil {
		return transport.Token{}, fmt.Errorf("%w: %s has not heard of the fleet's members yet", store.ErrNoQuorum, c.self.Cluster)
	}
	// One that was cut off has an old state, and its record of this would be of an old time, which the law refuses.
	if _, err := c.node.Read(ctx); err != nil {
		return transport.Token{}, err
	}
	// The leader asks again when the token is used; here the one who can put it right is still there.
	if err := epoch.AgreesWithRecord(c.store.View(), terms); err != nil {
		return transport.Token{}, err
	}
	t := transport.Token{Fleet: c.self.Fleet, Expires: roundUp(c.now().Add(ttl))}
	for _, m := range c.doorkeepers() {
		t.Addresses = append(t.Addresses, m.Addresses[:min(doorsAtMost, len(m.Addresses))]...)
		t.Pins = append(t.Pins, transport.Pin(m.Pin))
	}
	if _, err := rand.Read(t.Seed[:]); err != nil {
		return transport.Token{}, fmt.Errorf("make seed: %w", err)
	}
	op, err := law.Put(law.KeyTokens+t.ID(), law.Token{Terms: terms, Expires: t.Expires})
	if err != nil {
		return transport.Token{}, err
	}
	p, err := c.recorded(asker, store.Txn{Then: []store.Op{op}})
	if err != nil {
		return transport.Token{}, err
	}
	_, err = c.node.Propose(ctx, p)
	return t, err
}

// roundUp is the next full second: tokens tell no parts of one, and none is to live shorter than was asked.
func roundUp(t time.Time) time.Time {
	return t.Add(time.Second - time.Nanosecond).Truncate(time.Second)
}

// A token is a line of text, and a joiner needs one member that answers: so many members, and addresses of each, are
// named in one.
const (
	doorkeepersAtMost = 8
	doorsAtMost       = 2
)

// doorkeepers are the members that a token names: this one first, then voters, then others.
func (c *Core) doorkeepers() []store.Member {
	votes := c.node.Status().Voters
	rank := func(m store.Member) int {
		switch {
		case m.ID == c.id():
			return 0
		case slices.Contains(votes, m.ID):
			return 1
		}
		return 2
	}
	all := slices.Clone(c.store.View().Members())
	slices.SortStableFunc(all, func(a, b store.Member) int { return rank(a) - rank(b) })
	return all[:min(doorkeepersAtMost, len(all))]
}

// admit lets a new member in, in one transaction that spends the token. Only the leader calls it.
func (c *Core) admit(ctx context.Context, term uint64, r transport.JoinRequest) (transport.JoinAnswer, error) {
	if err := r.Verify(); err != nil {
		return transport.JoinAnswer{}, epoch.Refuse("token: %w", err)
	}
	// The signature covers the pin: the member in between cannot put another in its place.
	from, err := r.Pin()
	if err != nil {
		return transport.JoinAnswer{}, epoch.Refuse("certificate: %w", err)
	}
	if r.Fleet != c.self.Fleet {
		return transport.JoinAnswer{}, epoch.Refuse("token is for fleet %s, this is fleet %s", r.Fleet, c.self.Fleet)
	}
	if _, err := c.node.Read(ctx); err != nil {
		return transport.JoinAnswer{}, err
	}
	v := c.store.View()
	key := law.KeyTokens + hex.EncodeToString(r.Key)
	kv, ok := v.Get(key)
	if !ok {
		return transport.JoinAnswer{}, epoch.Refuse("token is not known to fleet %s: it was never made here, or ended long ago; make another on any member: hanse token create", c.self.Fleet)
	}
	var token law.Token
	if err := json.Unmarshal(kv.Value, &token); err != nil {
		return transport.JoinAnswer{}, fmt.Errorf("read %s: %w", law.Thing(key), err)
	}
	if _, removed, known := v.FindPin(store.Pin(from)); known && removed {
		return transport.JoinAnswer{}, epoch.Refuse("this member was removed from the fleet; join with a fresh --data-dir")
	}
	if token.Spent != nil && token.Spent.Pin == from.String() {
		return c.joinAnswer(v, token.Spent.Cluster)
	}
	if can, need := max(r.Applies, 1), v.Version(); can < need {
		return transport.JoinAnswer{}, epoch.Refuse("the fleet applies version %d of the log, this hanse up to %d; join with a newer hanse", need, can)
	}
	if err := token.Usable(c.now()); err != nil {
		return transport.JoinAnswer{}, epoch.Refuse("%w", err)
	}
	entry, err := epoch.Enter(v, token, epoch.Joiner{
		Terms: law.Terms{Cluster: r.Cluster, Region: r.Region, Zone: r.Zone}, Recipient: r.Recipient, KeysLost: r.KeysLost,
	})
	if err != nil {
		return transport.JoinAnswer{}, err
	}
	if err := epoch.Replaceable(v, token, c.id(), time.Now(), c.lastSign()); err != nil {
		return transport.JoinAnswer{}, err
	}
	terms := entry.Terms
	token.Spent = &law.Spending{Cluster: terms.Cluster, Pin: from.String(), At: c.now().UTC()}
	txn, err := enlist(v, kv, token, entry, from, r)
	if err != nil {
		return transport.JoinAnswer{}, err
	}
	if _, err := c.node.Propose(ctx, consensus.Proposal{Term: term, Txn: txn}); err != nil {
		return transport.JoinAnswer{}, err
	}
	return c.joinAnswer(c.store.View(), terms.Cluster)
}

// lastSign tells when each member was heard last.
func (c *Core) lastSign() func(store.MemberID) epoch.Sign {
	seen, _, _ := c.reports.Seen()
	return func(id store.MemberID) epoch.Sign {
		s := epoch.Sign{Heard: seen[id].At, Alive: seen[id].Fresh(time.Now())}
		if c.since.After(s.Heard) {
			s.Heard = c.since // before that nobody here listened
		}
		return s
	}
}

// enlist is the transaction that spends the token and lets the member in.
func enlist(v *store.View, kv store.KV, token law.Token, entry epoch.Entry, pin transport.Pin, r transport.JoinRequest) (store.Txn, error) {
	conditions, ops, err := entry.Ops(v, epoch.Newcomer{
		Member: store.Member{
			ID: store.MemberID(r.Member), Certificate: r.Certificate, Pin: store.Pin(pin), Addresses: r.Addresses, Server: r.Server, Applies: r.Applies,
		},
		Version: r.Version, Meta: joinedMeta(token.Terms, entry.Terms), At: token.Spent.At,
	})
	if err != nil {
		return store.Txn{}, err
	}
	spent, err := law.Put(kv.Key, token)
	if err != nil {
		return store.Txn{}, err
	}
	recorded, err := enrolment(v, ops, token, strings.TrimPrefix(kv.Key, law.KeyTokens))
	return store.Txn{If: append(conditions, store.KeyAt(kv.Key, kv.Modified)), Then: slices.Concat(ops, []store.Op{spent}, recorded)}, err
}

// enrolment is the record of the cluster that ops write.
func enrolment(v *store.View, ops []store.Op, token law.Token, id string) ([]store.Op, error) {
	key := v1alpha1.KeyClusters + token.Spent.Cluster
	written := slices.IndexFunc(ops, func(op store.Op) bool { return op.Key == key })
	change := law.Change{Key: key, After: ops[written].Value, At: token.Spent.At}
	if kv, there := v.Get(key); there {
		change.Before = kv.Value
	}
	return law.Enrolment(v, change, id)
}

// newMeta is of an object that no request made. It has an entry of managed fields that owns nothing but the existence of spec:
// without any, the first server-side apply would find every field owned, and conflict with what nobody decided.
func newMeta(name string) metav1.ObjectMeta {
	now := metav1.Now()
	return metav1.ObjectMeta{
		Name: name, UID: types.UID(uuid.NewString()), CreationTimestamp: now, Generation: 1,
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "hanse", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: v1alpha1.SchemeGroupVersion.String(), Time: &now,
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{".":{}}}`),
		}},
	}
}

// joinAnswer tells a new member whom it will speak with until it has the log.
func (c *Core) joinAnswer(v *store.View, cluster string) (transport.JoinAnswer, error) {
	a := transport.JoinAnswer{Cluster: cluster}
	for _, m := range v.Members() {
		if m.Cluster == cluster {
			a.Region, a.Eligible = m.Region, m.Eligible
			_, a.Zone = epoch.RegionAndZone(v, cluster)
		}
		a.Members = append(a.Members, transport.JoinPeer{
			ID: transport.MemberID(m.ID), Cluster: m.Cluster, Pin: transport.Pin(m.Pin), Addresses: m.Addresses, Certificate: m.Certificate,
		})
	}
	return a, nil
}
