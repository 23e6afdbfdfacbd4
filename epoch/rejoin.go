package epoch

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// Refusal is an error whose text is meant for the one who wants to join: asking again does not help.
type Refusal struct{ error }

// Refuse makes a Refusal.
func Refuse(format string, args ...any) error { return Refusal{fmt.Errorf(format, args...)} }

// Entry is how a cluster comes in, with a new incarnation in each case:
//
//	new       the fleet has no record of it: the token and the joiner say what it is
//	vacant    it is on record, and has no member, as a new epoch leaves it: it is what the record says
//	replaced  it is on record, and its member's disk is lost: it is what the record says, and the old member goes
//
// To a cluster on record the token must be made out by name, so an admin has meant it. A member that an epoch left behind is
// in none of these: its pin is removed.
type Entry struct {
	// Terms are what the cluster is let in under.
	Terms law.Terms
	// record and old are what the fleet has on record; old is nil when the cluster is new.
	record store.KV
	old    *v1alpha1.Cluster
	// recipient is that of the key that it brings.
	recipient string
	// by are the prefixes from which it follows that no secret is lost with the key of the member before it.
	by []string
}

// Joiner is what one that wants to join says of itself.
type Joiner struct {
	// Terms are cluster, region and zone.
	law.Terms
	// Recipient is that of the key which its cluster's member before it had, and which it brings; "" when it has another one.
	Recipient string
	// KeysLost says that the key is gone which the member before it had.
	KeysLost bool
}

// Enter says how a cluster comes in with a token that is valid, or why it does not.
func Enter(v *store.View, token law.Token, joiner Joiner) (Entry, error) {
	name := cmp.Or(token.Cluster, joiner.Cluster)
	old, kv, err := OnRecord(v, name)
	switch {
	case err != nil:
		return Entry{}, err
	case old == nil && token.Replace:
		return Entry{}, Refuse("the fleet has no cluster %s whose member could be replaced; make a token without --replace", name)
	case old == nil && joiner.Recipient != "":
		return Entry{}, Refuse("the fleet has no cluster %s on record, and so no key that it could keep; join with another --data-dir, without --keys-from", name)
	case old == nil:
		terms, err := token.Settle(joiner.Terms)
		if err != nil {
			return Entry{}, Refuse("%w", err)
		}
		if err := law.Anew(v, v1alpha1.KeyClusters+terms.Cluster); err != nil {
			return Entry{}, err // asking again helps
		}
		return Entry{Terms: terms}, reading(v, token.Terms, terms)
	case joiner.Cluster != "" && joiner.Cluster != name:
		_, err := token.Settle(joiner.Terms)
		return Entry{}, Refuse("%w", err)
	case token.Cluster == "" && len(membersOf(v, name)) == 0:
		return Entry{}, Refuse("%s is on record and has no member, so it takes a token of its own: hanse token create --cluster %s", name, name)
	case token.Cluster == "" || len(membersOf(v, name)) > 0 && !token.Replace:
		return Entry{}, Refuse("the fleet has a cluster %s already; join under another --cluster, or, if the disk of its member is lost: hanse token create --cluster %s --replace", name, name)
	}
	if err := AgreesWithRecord(v, token.Terms); err != nil {
		return Entry{}, err
	}
	if err := agrees(old, law.Terms{Region: joiner.Region, Zone: joiner.Zone}, "join without it"); err != nil {
		return Entry{}, err
	}
	e := Entry{Terms: termsOf(old), record: kv, old: old, recipient: joiner.Recipient}
	if err := e.keepsKey(v, token, joiner); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// keepsKey refuses one with a key of its own in the place of the only one that opens a secret, and keeps from what that follows that it is not.
func (e *Entry) keepsKey(v *store.View, token law.Token, joiner Joiner) error {
	had := e.old.Status.Recipient
	if had == "" || had == joiner.Recipient || joiner.KeysLost && !token.Replace {
		return nil
	}
	e.by = law.OnlyOpenerBy(v, e.old.Name)
	if token.Replace {
		return Strands(v, token.Terms)
	}
	secret, group := law.OnlyOpener(v, e.old.Name)
	if secret == "" {
		return nil
	}
	return Refuse("only the member that %s had holds the key of group %s, in age.key of its data directory, and no recovery recipient does: secret %s would be lost with it; join with --keys-from and that directory, or, if it is gone, with --keys-lost",
		e.old.Name, group, secret)
}

// AgreesWithRecord refuses the terms of a token that say of a cluster on record what the record does not say. What they
// leave out agrees; so do terms of a new cluster, or of any.
func AgreesWithRecord(v *store.View, t law.Terms) error {
	old, _, err := OnRecord(v, t.Cluster)
	if old == nil || err != nil {
		return err
	}
	next := "make a token that does not say it: hanse token create --cluster " + t.Cluster
	if t.Replace {
		next += " --replace"
	}
	return agrees(old, t, next)
}

// Strands refuses a new incarnation that has a key of its own the place of the only one that opens a secret. Of the terms of a token it says so before
// anybody knows which key comes with it.
func Strands(v *store.View, t law.Terms) error {
	if !t.Replace {
		return nil
	}
	secret, group := law.OnlyOpener(v, t.Cluster)
	if secret == "" {
		return nil
	}
	return Refuse("only the member of %s holds the key of group %s, in age.key on its disk, and no recovery recipient does: secret %s would be lost with it; join with --keys-from and its former data directory, or, if age.key is gone, seal the value from its source for a group that another cluster reads and let that go through, or delete the secret",
		t.Cluster, group, secret)
}

// agrees says whether terms say of a cluster only what its record says. What a cluster is, only admins change, in the record.
func agrees(c *v1alpha1.Cluster, t law.Terms, next string) error {
	differs := func(what, said, recorded string) error {
		return Refuse("%s is on record with %s %q, not %q; %s, or change the record first: kubectl edit cluster %s", c.Name, what, recorded, said, next, c.Name)
	}
	is := termsOf(c)
	for _, f := range []struct{ what, said, recorded string }{
		{"region", t.Region, is.Region}, {"zone", t.Zone, is.Zone}, {"voting", string(t.Voting), string(is.Voting)}, {"rights", string(t.Rights), string(is.Rights)},
	} {
		if f.said != "" && f.said != f.recorded {
			return differs(f.what, f.said, f.recorded)
		}
	}
	for key, said := range t.Labels {
		if recorded, there := c.Labels[key]; !there || recorded != said {
			return differs("label", key+"="+said, key+"="+recorded)
		}
	}
	return nil
}

// termsOf is what a cluster on record was let in under, as admins have changed it since.
func termsOf(c *v1alpha1.Cluster) law.Terms {
	return law.Terms{Cluster: c.Name, Region: c.Spec.Region, Zone: c.Spec.Zone, Labels: c.Labels, Voting: c.Spec.Voting, Rights: c.Spec.Rights}
}

// Newcomer is the member that comes in.
type Newcomer struct {
	// Member says who it is and where; what it may is added to it.
	Member store.Member
	// Version of hanse that it runs.
	Version string
	// Meta is of its cluster, should that be new.
	Meta metav1.ObjectMeta
	// At is when it is let in.
	At time.Time
}

// Ops let the member in, and what must still hold then: it is in, its cluster is on record, and who was there before is out.
func (e Entry) Ops(v *store.View, n Newcomer) (conditions []store.Condition, ops []store.Op, err error) {
	m := n.Member
	m.Cluster, m.Region = e.Terms.Cluster, e.Terms.Region
	m.Eligible, m.Rights = e.Terms.Voting == v1alpha1.VotingEligible, string(e.Terms.Rights)
	c := NewCluster(n.Meta, e.Terms, m, n.Version)
	c.Status.Recipient = e.recipient // the member signs it once it runs
	as, op, err := e.write(c)
	if err != nil {
		return nil, nil, err
	}
	conditions = []store.Condition{as, store.KeyAbsent(store.KeyMembers + string(m.ID))}
	ops = []store.Op{store.PutMember(m), op}
	if looking := Looking(v); e.old == nil && len(looking) > 0 {
		// The fleet may have had it, after the state that the epoch began from.
		looks, err := law.Put(v1alpha1.KeyObserving+m.Cluster, newest(looking))
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, looks)
	}
	for _, gone := range membersOf(v, m.Cluster) {
		conditions = append(conditions, store.PrefixUnchanged(store.KeyMembers, v.Revision()))
		ops = append(ops, store.RemoveMember(gone, n.At)...)
	}
	for _, prefix := range e.by {
		conditions = append(conditions, store.PrefixUnchanged(prefix, v.Revision()))
	}
	return conditions, ops, nil
}

// write puts the cluster on record, or what its new member says of itself into the record that is there.
func (e Entry) write(c *v1alpha1.Cluster) (store.Condition, store.Op, error) {
	key := v1alpha1.KeyClusters + c.Name
	if e.old == nil {
		op, err := law.Put(key, c)
		return store.KeyAbsent(key), op, err
	}
	c.ObjectMeta, c.Spec = e.old.ObjectMeta, e.old.Spec
	op, err := law.Amend(e.record, e.old, c)
	return store.KeyAt(key, e.record.Modified), op, err
}

// ReplaceGrace is how long a member must have been silent before another incarnation takes its place: a restart is
// shorter.
const ReplaceGrace = 10 * time.Second

// Sign is the last sign of life of a member, as the leader heard it.
type Sign struct {
	// Heard is when; or, if it was never heard, since when the leader listens.
	Heard time.Time
	// Alive says that this is recent enough to count as now.
	Alive bool
}

// Replaceable says why a token may not put a new incarnation in the place of a cluster's member now, or nil. Only the
// leader asks: it hears every member that is alive, or has not led for long.
func Replaceable(v *store.View, token law.Token, leader store.MemberID, now time.Time, last func(store.MemberID) Sign) error {
	if !token.Replace {
		return nil
	}
	for _, m := range membersOf(v, token.Cluster) {
		if m.ID == leader {
			return Refuse("the member of %s is alive, and leads; stop it first, or join under another --cluster", m.Cluster)
		}
		s := last(m.ID)
		silent := now.Sub(s.Heard)
		if s.Alive {
			return Refuse("the member of %s is alive: it was heard %s ago; stop it first, or join under another --cluster", m.Cluster, silent.Round(time.Millisecond))
		}
		if silent < ReplaceGrace {
			return fmt.Errorf("the member of %s may only be restarting: it is silent since %s, and is replaced after %s; try again", m.Cluster, silent.Round(time.Second), ReplaceGrace)
		}
	}
	return nil
}

// NewCluster is the record of a cluster that comes in under terms, with its first member.
func NewCluster(meta metav1.ObjectMeta, terms law.Terms, m store.Member, version string) *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{
		TypeMeta:   v1alpha1.TypeOf("Cluster"),
		ObjectMeta: meta,
		Spec:       v1alpha1.ClusterSpec{Region: terms.Region, Zone: terms.Zone, Voting: terms.Voting, Rights: terms.Rights},
		Status:     v1alpha1.ClusterStatus{Incarnation: string(m.ID), Endpoints: m.Addresses, Server: m.Server, Version: version},
	}
	c.Name = terms.Cluster
	c.Labels = maps.Clone(terms.Labels)
	v1alpha1.MirrorTopology(c)
	return c
}

// OnRecord is what the fleet has on record of a cluster, nil for nothing.
func OnRecord(v *store.View, cluster string) (*v1alpha1.Cluster, store.KV, error) {
	kv, there := v.Get(v1alpha1.KeyClusters + cluster)
	if !there {
		return nil, kv, nil
	}
	var c v1alpha1.Cluster
	if err := json.Unmarshal(kv.Value, &c); err != nil {
		return nil, kv, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
	}
	return &c, kv, nil
}

// RegionAndZone are those that a cluster has on record.
func RegionAndZone(v *store.View, cluster string) (region, zone string) {
	c, _, err := OnRecord(v, cluster)
	if c == nil || err != nil {
		return "", ""
	}
	return c.Spec.Region, c.Spec.Zone
}

func membersOf(v *store.View, cluster string) (all []store.Member) {
	for _, m := range v.Members() {
		if m.Cluster == cluster {
			all = append(all, m)
		}
	}
	return all
}
