package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
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
	t, err := c.createToken(ctx, "", terms, defaultTokenTTL)
	return t.String(), err
}

// createToken writes a new token's record to the log and returns the token.
func (c *Core) createToken(ctx context.Context, person string, terms law.Terms, ttl time.Duration) (transport.Token, error) {
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
	_, err = c.node.Propose(ctx, consensus.Proposal{Person: person, Txn: store.Txn{If: []store.Condition{store.KeyAbsent(op.Key)}, Then: []store.Op{op}}})
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

// refusal is an error whose text is meant for the joiner.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// admit lets a new member in, in one transaction that spends the token. Only the leader calls it.
func (c *Core) admit(ctx context.Context, term uint64, r transport.JoinRequest) (transport.JoinAnswer, error) {
	if err := r.Verify(); err != nil {
		return transport.JoinAnswer{}, refuse("token: %w", err)
	}
	// The signature covers the pin: the member in between cannot put another in its place.
	from, err := r.Pin()
	if err != nil {
		return transport.JoinAnswer{}, refuse("certificate: %w", err)
	}
	if r.Fleet != c.self.Fleet {
		return transport.JoinAnswer{}, refuse("token is for fleet %s, this is fleet %s", r.Fleet, c.self.Fleet)
	}
	if _, err := c.node.Read(ctx); err != nil {
		return transport.JoinAnswer{}, err
	}
	v := c.store.View()
	key := law.KeyTokens + hex.EncodeToString(r.Key)
	kv, ok := v.Get(key)
	if !ok {
		return transport.JoinAnswer{}, refuse("token is not known to fleet %s: it was never made here, or ended long ago; make another on any member: hanse token create", c.self.Fleet)
	}
	var token law.Token
	if err := json.Unmarshal(kv.Value, &token); err != nil {
		return transport.JoinAnswer{}, fmt.Errorf("read %s: %w", key, err)
	}
	if _, removed, known := v.FindPin(store.Pin(from)); known && removed {
		return transport.JoinAnswer{}, refuse("this member was removed from the fleet; join with a fresh --data-dir")
	}
	if token.Spent != nil && token.Spent.Pin == from.String() {
		return c.joinAnswer(v, token.Spent.Cluster)
	}
	if can, need := max(r.Applies, 1), v.Version(); can < need {
		return transport.JoinAnswer{}, refuse("the fleet applies version %d of the log, this hanse up to %d; join with a newer hanse", need, can)
	}
	if err := token.Usable(c.now()); err != nil {
		return transport.JoinAnswer{}, refusal{err}
	}
	if err := c.replaceable(v, token, time.Now()); err != nil {
		return transport.JoinAnswer{}, err
	}
	fixed := token.Terms
	if token.Replace { // where a cluster is, only admins say
		fixed.Region, fixed.Zone = regionAndZone(v, token.Cluster)
	}
	terms, err := fixed.Settle(onRecord(v, token, law.Terms{Cluster: r.Cluster, Region: r.Region, Zone: r.Zone}))
	if err != nil {
		return transport.JoinAnswer{}, refusal{err}
	}
	if _, taken := v.Get(v1alpha1.KeyClusters + terms.Cluster); taken && !vacant(v, token, terms.Cluster) {
		return transport.JoinAnswer{}, refuse("the fleet has a cluster %s already; join under another --cluster, or, if the disk of its member is lost: hanse token create --cluster %s --replace", terms.Cluster, terms.Cluster)
	}
	token.Spent = &law.Spending{Cluster: terms.Cluster, Pin: from.String(), At: c.now().UTC()}
	txn, err := enlist(v, kv, token, terms, from, r)
	if err != nil {
		return transport.JoinAnswer{}, err
	}
	if _, err := c.node.Propose(ctx, consensus.Proposal{Term: term, Txn: txn}); err != nil {
		return transport.JoinAnswer{}, err
	}
	return c.joinAnswer(c.store.View(), terms.Cluster)
}

// enlist is the transaction that spends the token and writes the cluster and its member.
func enlist(v *store.View, kv store.KV, token law.Token, terms law.Terms, pin transport.Pin, r transport.JoinRequest) (store.Txn, error) {
	member := store.Member{
		ID: store.MemberID(r.Member), Cluster: terms.Cluster, Region: terms.Region, Eligible: terms.Voting == v1alpha1.VotingEligible,
		Certificate: r.Certificate, Pin: store.Pin(pin), Addresses: r.Addresses, Server: r.Server, Rights: string(terms.Rights),
		Applies: r.Applies,
	}
	cluster := newCluster(terms, member, r.Version)
	as, clusterOp, err := takeOver(v, cluster, &member)
	if err != nil {
		return store.Txn{}, err
	}
	tokenOp, err := law.Put(kv.Key, token)
	if err != nil {
		return store.Txn{}, err
	}
	txn := store.Txn{If: []store.Condition{
		store.KeyAt(kv.Key, kv.Modified), as,
		store.KeyAbsent(store.KeyMembers + string(member.ID)),
	}, Then: []store.Op{store.PutMember(member), clusterOp, tokenOp}}
	conditions, gone := replaced(v, terms.Cluster, token.Spent.At)
	txn.If, txn.Then = append(txn.If, conditions...), append(txn.Then, gone...)
	return txn, nil
}

func newCluster(terms law.Terms, m store.Member, version string) *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{
		TypeMeta:   v1alpha1.TypeOf("Cluster"),
		ObjectMeta: newMeta(terms.Cluster),
		Spec:       v1alpha1.ClusterSpec{Region: terms.Region, Zone: terms.Zone, Voting: terms.Voting, Rights: terms.Rights},
		Status:     v1alpha1.ClusterStatus{Incarnation: string(m.ID), Endpoints: m.Addresses, Server: m.Server, Version: version},
	}
	c.Labels = maps.Clone(terms.Labels)
	v1alpha1.MirrorTopology(c)
	return c
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
			_, a.Zone = regionAndZone(v, cluster)
		}
		a.Members = append(a.Members, transport.JoinPeer{ID: transport.MemberID(m.ID), Cluster: m.Cluster, Pin: transport.Pin(m.Pin), Addresses: m.Addresses, Certificate: m.Certificate})
	}
	return a, nil
}
