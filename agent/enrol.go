package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// keyTokens is where the log keeps join tokens: /tokens/<token id> → tokenRecord.
const keyTokens = "/tokens/"

// Lives of a join token.
const (
	defaultTokenTTL = time.Hour
	maxTokenTTL     = 30 * 24 * time.Hour
	// spentTokenKept is how long after its end a token is remembered, to say why it no longer works.
	spentTokenKept = 24 * time.Hour
)

// TokenTerms are what an admin fixes about the cluster that a token lets in; what is empty, the joiner says.
type TokenTerms struct {
	Cluster string            `json:"cluster,omitempty"`
	Region  string            `json:"region,omitempty"`
	Zone    string            `json:"zone,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Voting  v1alpha1.Voting   `json:"voting,omitempty"`
	Rights  v1alpha1.Rights   `json:"rights,omitempty"`
}

// tokenRecord is a token in the log: never its seed, only the public key, which is its id.
type tokenRecord struct {
	TokenTerms
	Expires time.Time `json:"expires"`
	Spent   *spending `json:"spent,omitempty"`
}

// spending says whom a token let in.
type spending struct {
	Cluster string    `json:"cluster"`
	Pin     string    `json:"pin"`
	At      time.Time `json:"at"`
}

// check refuses terms that no cluster could have.
func (t TokenTerms) check() error {
	for field, name := range map[string]string{"cluster": t.Cluster, "region": t.Region, "zone": t.Zone} {
		if problems := validation.IsDNS1123Label(name); name != "" && len(problems) > 0 {
			return fmt.Errorf("%s %q: %s", field, name, problems[0])
		}
	}
	for k, v := range t.Labels {
		if problems := append(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)...); len(problems) > 0 {
			return fmt.Errorf("label %s=%s: %s", k, v, problems[0])
		}
	}
	switch t.Voting {
	case "", v1alpha1.VotingEligible, v1alpha1.VotingNever:
	default:
		return fmt.Errorf("voting %q: must be Eligible or Never", t.Voting)
	}
	switch t.Rights {
	case "", v1alpha1.RightsAdmin, v1alpha1.RightsOwnObjects, v1alpha1.RightsReadOnly:
	default:
		return fmt.Errorf("rights %q: must be Admin, OwnObjects or ReadOnly", t.Rights)
	}
	return nil
}

// settle fills what the token left open with what the joiner says; a joiner that contradicts the token is refused.
func (t TokenTerms) settle(r transport.JoinRequest) (TokenTerms, error) {
	for _, f := range []struct {
		name, asked, flag string
		fixed             *string
	}{
		{"cluster", r.Cluster, "--cluster", &t.Cluster},
		{"region", r.Region, "--region", &t.Region},
		{"zone", r.Zone, "--zone", &t.Zone},
	} {
		switch {
		case *f.fixed == "":
			*f.fixed = f.asked
		case f.asked != "" && f.asked != *f.fixed:
			return t, fmt.Errorf("the token is for %s %s, not %s; join with %s %s", f.name, *f.fixed, f.asked, f.flag, *f.fixed)
		}
	}
	if t.Cluster == "" || t.Region == "" {
		return t, errors.New("neither the token nor the joiner says cluster and region; join with --cluster and --region")
	}
	if t.Voting == "" {
		t.Voting = v1alpha1.VotingEligible
	}
	if t.Rights == "" {
		t.Rights = v1alpha1.RightsOwnObjects
		if t.Voting == v1alpha1.VotingEligible {
			t.Rights = v1alpha1.RightsAdmin
		}
	}
	return t, t.check()
}

// CreateToken makes a join token, for this member itself, that lives an hour.
func (c *Core) CreateToken(ctx context.Context, terms TokenTerms) (string, error) {
	t, err := c.createToken(ctx, "", terms, defaultTokenTTL)
	return t.String(), err
}

// createToken writes a new token's record to the log and returns the token.
func (c *Core) createToken(ctx context.Context, person string, terms TokenTerms, ttl time.Duration) (transport.Token, error) {
	if ttl == 0 {
		ttl = defaultTokenTTL
	}
	if ttl < 0 || ttl > maxTokenTTL {
		return transport.Token{}, fmt.Errorf("time to live %s: must be at most %s", ttl, maxTokenTTL)
	}
	if err := terms.check(); err != nil {
		return transport.Token{}, err
	}
	// A member that has just begun may not have the log yet, the founding of the fleet included.
	if err := c.store.WaitFor(ctx, 1); err != nil {
		return transport.Token{}, fmt.Errorf("%w: %s has not heard of the fleet's members yet", store.ErrNoQuorum, c.self.Cluster)
	}
	t := transport.Token{Fleet: c.self.Fleet, Expires: roundUp(time.Now().Add(ttl))}
	for _, m := range c.doorkeepers() {
		t.Addresses = append(t.Addresses, m.Addresses[:min(doorsAtMost, len(m.Addresses))]...)
		t.Pins = append(t.Pins, transport.Pin(m.Pin))
	}
	if _, err := rand.Read(t.Seed[:]); err != nil {
		return transport.Token{}, fmt.Errorf("make seed: %w", err)
	}
	op, err := putJSON(keyTokens+t.ID(), tokenRecord{TokenTerms: terms, Expires: t.Expires})
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
	key := keyTokens + hex.EncodeToString(r.Key)
	kv, ok := v.Get(key)
	if !ok {
		return transport.JoinAnswer{}, refuse("token is not known to fleet %s: it was never made here, or ended long ago; make another on any member: hanse token create", c.self.Fleet)
	}
	var token tokenRecord
	if err := json.Unmarshal(kv.Value, &token); err != nil {
		return transport.JoinAnswer{}, fmt.Errorf("read %s: %w", key, err)
	}
	if _, removed, known := v.FindPin(store.Pin(from)); known && removed {
		return transport.JoinAnswer{}, refuse("this member was removed from the fleet; join with a fresh --data-dir")
	}
	if token.Spent != nil && token.Spent.Pin == from.String() {
		return c.joinAnswer(v, token.Spent.Cluster)
	}
	if err := token.usable(time.Now()); err != nil {
		return transport.JoinAnswer{}, err
	}
	terms, err := token.settle(r)
	if err != nil {
		return transport.JoinAnswer{}, refusal{err}
	}
	if _, taken := v.Get(v1alpha1.KeyClusters + terms.Cluster); taken {
		return transport.JoinAnswer{}, refuse("the fleet has a cluster %s already; join under another --cluster, or remove that one first: hanse remove %s", terms.Cluster, terms.Cluster)
	}
	token.Spent = &spending{Cluster: terms.Cluster, Pin: from.String(), At: time.Now().UTC()}
	txn, err := enlist(v, kv, token, terms, from, r)
	if err != nil {
		return transport.JoinAnswer{}, err
	}
	if _, err := c.node.Propose(ctx, consensus.Proposal{Term: term, Txn: txn}); err != nil {
		return transport.JoinAnswer{}, err
	}
	return c.joinAnswer(c.store.View(), terms.Cluster)
}

func (t tokenRecord) usable(now time.Time) error {
	switch {
	case t.Spent != nil:
		return refuse("token spent: it joined %s %s ago; make another on any member: hanse token create", t.Spent.Cluster, span(now.Sub(t.Spent.At)))
	case now.After(t.Expires):
		return refuse("token expired %s ago; make another on any member: hanse token create", span(now.Sub(t.Expires)))
	}
	return nil
}

// span says a time roughly, for people.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d s", max(0, d/time.Second))
}

// enlist is the transaction that spends the token and writes the cluster and its member.
func enlist(v *store.View, kv store.KV, token tokenRecord, terms TokenTerms, pin transport.Pin, r transport.JoinRequest) (store.Txn, error) {
	member := store.Member{
		ID: store.MemberID(r.Member), Cluster: terms.Cluster, Region: terms.Region, Eligible: terms.Voting == v1alpha1.VotingEligible,
		Certificate: r.Certificate, Pin: store.Pin(pin), Addresses: r.Addresses, Server: r.Server, Rights: string(terms.Rights),
	}
	cluster := newCluster(terms, member, r.Version)
	txn := store.Txn{If: []store.Condition{
		store.KeyAt(kv.Key, kv.Modified),
		store.KeyAbsent(v1alpha1.KeyClusters + terms.Cluster),
		store.KeyAbsent(store.KeyMembers + string(member.ID)),
	}, Then: []store.Op{store.PutMember(member)}}
	for key, value := range map[string]any{
		kv.Key:                              token,
		v1alpha1.KeyClusters + cluster.Name: cluster,
	} {
		op, err := putJSON(key, value)
		if err != nil {
			return txn, err
		}
		txn.Then = append(txn.Then, op)
	}
	return txn, nil
}

func newCluster(terms TokenTerms, m store.Member, version string) *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{
		TypeMeta:   typeMeta("Cluster"),
		ObjectMeta: newMeta(terms.Cluster),
		Spec:       v1alpha1.ClusterSpec{Region: terms.Region, Zone: terms.Zone, Voting: terms.Voting, Rights: terms.Rights},
		Status:     v1alpha1.ClusterStatus{Incarnation: string(m.ID), Endpoints: m.Addresses, Server: m.Server, Version: version},
	}
	c.Labels = maps.Clone(terms.Labels)
	v1alpha1.MirrorTopology(c)
	return c
}

func newMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, UID: types.UID(uuid.NewString()), CreationTimestamp: metav1.Now(), Generation: 1}
}

// joinAnswer tells a new member whom it will speak with until it has the log.
func (c *Core) joinAnswer(v *store.View, cluster string) (transport.JoinAnswer, error) {
	a := transport.JoinAnswer{Cluster: cluster}
	for _, m := range v.Members() {
		if m.Cluster == cluster {
			a.Region, a.Eligible = m.Region, m.Eligible
			a.Zone = zoneOf(v, cluster)
		}
		a.Members = append(a.Members, transport.JoinPeer{ID: transport.MemberID(m.ID), Cluster: m.Cluster, Pin: transport.Pin(m.Pin), Addresses: m.Addresses, Certificate: m.Certificate})
	}
	return a, nil
}

func zoneOf(v *store.View, cluster string) string {
	kv, _ := v.Get(v1alpha1.KeyClusters + cluster)
	var c v1alpha1.Cluster
	if json.Unmarshal(kv.Value, &c) != nil {
		return ""
	}
	return c.Spec.Zone
}
