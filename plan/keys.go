package plan

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// GroupAtRisk says why nobody may be able to open what is sealed for a group, now or after one more loss, and what to do; "" when
// nothing is to be said. present are the clusters that are there now.
func GroupAtRisk(g *v1alpha1.RecipientGroup, clusters []*v1alpha1.Cluster, present func(cluster string) bool) string {
	holders, here := 0, 0
	selector, err := metav1.LabelSelectorAsSelector(g.Spec.ClusterSelector)
	if err != nil {
		return "the selector of group " + g.Name + " cannot be read: " + err.Error()
	}
	for _, c := range clusters { // who is picked no more wraps the key for nobody
		if !g.Holds(c.Name, c.Status.Recipient) || !selector.Matches(labels.Set(c.Labels)) {
			continue
		}
		if holders++; present(c.Name) {
			here++
		}
	}
	edit := "kubectl edit recipientgroups." + v1alpha1.GroupName + " " + g.Name
	switch {
	case g.Status.Epoch == 0:
		return "group " + g.Name + " has no key yet, and nothing can be sealed for it: a cluster that its selector picks makes one; " + edit
	case here == 0 && len(g.Spec.RecoveryRecipients) == 0:
		return "no cluster that holds the key of group " + g.Name + " is there, and nobody else can open what is sealed for it; bring one back"
	case here == 0:
		return "no cluster that holds the key of group " + g.Name + " is there; bring one back, or open what is sealed for it with a recovery key, and seal it for another group"
	case holders == 1 && len(g.Spec.RecoveryRecipients) == 0:
		return "only one cluster holds the key of group " + g.Name + ", and with it what is sealed for the group is lost; name a recovery recipient: " + edit
	}
	return ""
}

// KeyDuty is what one member is to do about the key of a group.
type KeyDuty struct {
	// Make says that the group is to have a key, and this member makes it: the first one when Why is empty, else another one.
	Make bool
	Why  string
	// Wrap are the clusters that the key is to be wrapped for, this member's own among them when it makes the key, and their recipients.
	Wrap []KeyReader
	// Prove says that nobody has opened the present key yet but who made it, and this member is to.
	Prove bool
	// Waits says that there is something to do, and that it is another member's turn, or not time yet: when that one falls silent, it is a
	// third one's.
	Waits bool
}

// KeyReader is a cluster that is to hold a key, or, without a cluster, a recovery recipient.
type KeyReader struct{ Cluster, Recipient string }

// readers are who may have a group's key: first the people, then the clusters by name.
type readers []KeyReader

func readersOf(g *v1alpha1.RecipientGroup, clusters []*v1alpha1.Cluster) (all readers, err error) {
	selector, err := metav1.LabelSelectorAsSelector(g.Spec.ClusterSelector)
	if err != nil {
		return nil, err
	}
	for _, recipient := range g.Spec.RecoveryRecipients {
		all = append(all, KeyReader{Recipient: recipient})
	}
	for _, c := range clusters {
		if c.Status.Recipient != "" && selector.Matches(labels.Set(c.Labels)) {
			all = append(all, KeyReader{c.Name, c.Status.Recipient})
		}
	}
	return all, nil
}

func (all readers) reads(cluster, key string) bool {
	return slices.ContainsFunc(all, func(r KeyReader) bool { return r.Cluster == cluster && v1alpha1.KeyID(r.Recipient) == key })
}

// holders are the clusters that hold the present key and may.
func (all readers) holders(g *v1alpha1.RecipientGroup) (names []string) {
	for _, r := range all {
		if r.Cluster != "" && g.Holds(r.Cluster, r.Recipient) {
			names = append(names, r.Cluster)
		}
	}
	return names
}

// turn is the first of some clusters that is there.
func turn(of []string, self string, there func(cluster string) bool) string {
	for _, name := range of {
		if name == self || there(name) {
			return name
		}
	}
	return ""
}

// witnesses are those of the holders who may say that what one of them did is right: the others, or that one when there are none.
func witnesses(holders []string, than string) []string {
	others := slices.DeleteFunc(slices.Clone(holders), func(name string) bool { return name == than })
	if len(others) == 0 {
		return holders
	}
	return others
}

// Keys says what a cluster's member is to do about the key of a group. Of those that could do it, the first by name that is there does;
// that two do at once is seen in the log, where only one of them is in time. The clusters are in the order of their names.
func Keys(g *v1alpha1.RecipientGroup, clusters []*v1alpha1.Cluster, self string, now time.Time, there func(cluster string) bool) (duty KeyDuty, err error) {
	all, err := readersOf(g, clusters)
	if err != nil {
		return KeyDuty{}, err
	}
	holders := all.holders(g)
	able, first := holders, g.Status.Epoch == 0
	why := g.AnotherKey(all.reads, now)
	for _, r := range all {
		if first && r.Cluster != "" {
			able = append(able, r.Cluster)
		}
		if why != "" || !g.Holds(r.Cluster, r.Recipient) {
			duty.Wrap = append(duty.Wrap, r)
		}
	}
	if why == "" && g.Status.Unproven() {
		duty.Prove = turn(witnesses(holders, g.Status.By), self, there) == self
		duty.Waits = !duty.Prove
	}
	switch {
	case len(duty.Wrap) == 0:
	case turn(able, self, there) != self:
		duty.Wrap, duty.Waits = nil, true
	default:
		duty.Make, duty.Why = first || why != "", why
	}
	duty.Waits = duty.Waits || g.Spec.RotateAfter != nil && len(holders) > 0
	return duty, nil
}

// SealWork is what is to be done about one revision of a secret.
type SealWork int

// What a member does: nothing; look how a revision is sealed, and seal it again if need be; open what another one sealed again; or nothing yet.
const (
	SealKept SealWork = iota
	SealAgain
	SealConfirm
	SealWaits
)

// Sealers are who keeps what is sealed for a group sealed to its present key.
type Sealers struct {
	epoch   int64
	holders []string
	// held up says that somebody holds the present key who may not read: nothing is sealed to that any more.
	heldUp bool
	self   string
	there  func(cluster string) bool
}

// SealersOf a group. The clusters are in the order of their names.
func SealersOf(g *v1alpha1.RecipientGroup, clusters []*v1alpha1.Cluster, self string, there func(cluster string) bool) (Sealers, error) {
	all, err := readersOf(g, clusters)
	if err != nil {
		return Sealers{}, err
	}
	return Sealers{epoch: g.Status.Epoch, holders: all.holders(g), heldUp: g.Lost(all.reads) != "", self: self, there: there}, nil
}

// Work is what the member is to do about a revision, by what is known of how that is sealed, nil for nothing. A group that has had one key
// only has nothing that is sealed to another.
func (s Sealers) Work(known *v1alpha1.Sealing) SealWork {
	var work SealWork
	var of []string
	switch {
	case s.epoch < 2:
		return SealKept
	case known == nil || known.Epoch < s.epoch:
		work, of = SealAgain, s.holders
	case known.Again() && known.Confirmed == "":
		work, of = SealConfirm, witnesses(s.holders, known.By)
	default:
		return SealKept
	}
	if s.heldUp || turn(of, s.self, s.there) != s.self {
		return SealWaits
	}
	return work
}
