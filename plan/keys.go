package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// GroupAtRisk says why nobody may be able to open what is sealed for a group, now or after one more loss, and what to do; "" when
// nothing is to be said. present are the clusters that are there now.
func GroupAtRisk(g *v1alpha1.RecipientGroup, of Candidates, now time.Time, present func(cluster string) bool) string {
	all, err := readersOf(g, of)
	if err != nil {
		return "the selector of group " + g.Name + " cannot be read: " + err.Error()
	}
	vacant, live := of.vacant(all.holders(g)) // who is picked no more wraps the key for nobody
	here := slices.ContainsFunc(live, present)
	edit := "kubectl edit recipientgroups." + v1alpha1.GroupName + " " + g.Name
	switch {
	case g.Status.Epoch == 0:
		return "group " + g.Name + " has no key yet, and nothing can be sealed for it: a cluster that its selector picks makes one; " + edit
	case !here && !all.recovers(g):
		return "no cluster that holds the key of group " + g.Name + " is there, and nobody else can open what is sealed for it; bring one back, or, if none can be, seal the values from their source for another group, and delete this one once it may go: hanse delete recipientgroup " + g.Name
	case !here:
		return "no cluster that holds the key of group " + g.Name + " is there; bring one back, or open what is sealed for it with a recovery key, and seal it for another group"
	case g.Lost(all.reads) != "":
		return "group " + g.Name + " is to get another key, as " + g.Lost(all.reads) + "; the member of cluster " + turn(live, "", present) + " makes it, and if it does nothing for a minute the next one: seal nothing for the group until then"
	case g.Status.Unproven() && g.Status.Begun != nil && now.Sub(g.Status.Begun.Time) > provenWithin:
		if vacant := all.vacantWitnesses(g, of); len(vacant) > 0 {
			return fmt.Sprintf("key %d of group %s, which cluster %s made, was opened by no second cluster for %s, and those that could have no member now: %s; let one join again with its key (hanse join --keys-from DIR), or take out those that do not come back: hanse remove CLUSTER",
				g.Status.Epoch, g.Name, g.Status.By, provenWithin, fewNames(vacant))
		}
		return fmt.Sprintf("key %d of group %s, which cluster %s made, was opened by no second cluster for %s, so a key before it may be lost to who joins from now on: the log of a member that holds it says why; seal what is sealed for the group anew",
			g.Status.Epoch, g.Name, g.Status.By, provenWithin)
	case len(live) == 1 && len(vacant) > 0 && len(g.Spec.Recovery(&of.Fleet)) == 0:
		return fmt.Sprintf("only cluster %s is left to open what is sealed for group %s, as those that hold its key beside it have no member now: %s; let one join again with its key (hanse join --keys-from DIR), or name a recovery recipient: %s",
			live[0], g.Name, fewNames(vacant), edit)
	case len(live) == 1 && len(g.Spec.Recovery(&of.Fleet)) == 0:
		return "only one cluster holds the key of group " + g.Name + ", and with it what is sealed for the group is lost; name a recovery recipient: " + edit
	}
	return ""
}

// Readership is a group, and of whom its spec says which may have its key.
type Readership struct {
	Group *v1alpha1.RecipientGroup
	Of    Candidates
}

// LeftToSilence are the clusters that alone would hold the key of a group after a change of who may read, when none of them is heard now, and another one
// or a recovery recipient held it before; nil when somebody is left who opens what is sealed, or nobody is: that the law refuses.
func LeftToSilence(before, after Readership, heard func(cluster string) bool) []string {
	g := before.Group
	was, err := readersOf(g, before.Of)
	is, wrong := readersOf(after.Group, after.Of)
	if err != nil || wrong != nil || is.recovers(g) {
		return nil
	}
	left := is.holders(g)
	if len(left) == len(was.holders(g)) && !was.recovers(g) || slices.ContainsFunc(left, heard) {
		return nil
	}
	return left
}

// LeftToSilenceText says of a group that only clusters that nobody hears are left to open some secrets.
func LeftToSilenceText(group string, silent, secrets []string) string {
	return fmt.Sprintf("nobody holds the key of group %s then but %s, which nobody hears, and no recovery recipient: should that not come back, these secrets are lost: %s",
		group, fewNames(slices.Clone(silent)), fewNames(slices.Clone(secrets)))
}

// provenWithin is how soon a second cluster has opened another key, and each before it with that: who is to do so is passed over after a minute.
const provenWithin = 10 * time.Minute

// KeyDue says why a group is to get another key by now; "" when it is not.
func KeyDue(g *v1alpha1.RecipientGroup, of Candidates, now time.Time) string {
	all, err := readersOf(g, of)
	if err != nil {
		return ""
	}
	return g.AnotherKey(all.reads, now)
}

// Candidates are those of whom a group's spec says which may have its key.
type Candidates struct {
	// Fleet has the recovery recipients of all groups.
	Fleet v1alpha1.FleetSpec
	// Clusters are in the order of their names.
	Clusters []*v1alpha1.Cluster
}

// KeyDuty is what one member is to do about the key of a group.
type KeyDuty struct {
	// Make says that the group is to have a key, and this member makes it: the first one when Why is empty, else another one.
	Make bool
	Why  string
	// Wrap are the clusters that the key is to be wrapped for, this member's own among them when it makes the key, and their recipients.
	Wrap []KeyReader
	// From is the epoch of the key that a new one takes the place of, when that is not the present one: nobody can open that but its maker,
	// and it is not there.
	From int64
	// Others says that another cluster that may read holds the present key.
	Others bool
	// Prove says that nobody has opened the present key yet but who made it, and this member is to.
	Prove bool
	// Second are the recovery recipients that one other member has wrapped the present key for, and this one is to wrap it for once more.
	Second []KeyReader
	// Waits says that there is something to do, and that it is another member's turn, or not time yet: when that one falls silent, it is a
	// third one's.
	Waits bool
	// Turn is whose turn it is, when it is another one's and could be this one's.
	Turn string
}

// KeyReader is a cluster that is to hold a key, or, without a cluster, a recovery recipient.
type KeyReader struct{ Cluster, Recipient string }

// readers are who may have a group's key: first the people, then the clusters by name.
type readers []KeyReader

func readersOf(g *v1alpha1.RecipientGroup, of Candidates) (all readers, err error) {
	selector, err := metav1.LabelSelectorAsSelector(g.Spec.ClusterSelector)
	if err != nil {
		return nil, err
	}
	for _, recipient := range g.Spec.Recovery(&of.Fleet) {
		all = append(all, KeyReader{Recipient: recipient})
	}
	for _, c := range of.Clusters {
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
	return all.clusters(func(r KeyReader) bool { return g.Holds(r.Cluster, r.Recipient) })
}

// recovers says that a recovery recipient holds the present key.
func (all readers) recovers(g *v1alpha1.RecipientGroup) bool {
	return slices.ContainsFunc(all, func(r KeyReader) bool { return r.Cluster == "" && g.Holds("", r.Recipient) })
}

// WhoHolds are the clusters that hold the present key of a group and may: not one that has lost the key of its own since. A selector that cannot be read
// says nothing of who may.
func WhoHolds(g *v1alpha1.RecipientGroup, of Candidates) []string {
	all, err := readersOf(g, of)
	if err != nil {
		return g.Status.Holders()
	}
	return all.holders(g)
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

// witnesses are those of the holders who may say that what one of them did is right: the others, or that one when nobody else could ever be.
func witnesses(holders []string, than string, alone bool) []string {
	others := slices.DeleteFunc(slices.Clone(holders), func(name string) bool { return name == than })
	if len(others) == 0 && alone {
		return holders
	}
	return others
}

// vacantWitnesses are the clusters that could open the present key as the second, when none of them has a member.
func (all readers) vacantWitnesses(g *v1alpha1.RecipientGroup, of Candidates) []string {
	vacant, live := of.vacant(all.clusters(func(r KeyReader) bool { return r.Cluster != g.Status.By && g.Had(r.Cluster, r.Recipient) }))
	if len(live) > 0 {
		return nil
	}
	return vacant
}

// vacant tells those of some clusters that have no member now from those that have one.
func (of Candidates) vacant(names []string) (vacant, live []string) {
	for _, c := range of.Clusters {
		switch {
		case !slices.Contains(names, c.Name):
		case c.Status.Incarnation == "":
			vacant = append(vacant, c.Name)
		default:
			live = append(live, c.Name)
		}
	}
	return vacant, live
}

// clusters of those that may read.
func (all readers) clusters(which func(KeyReader) bool) (names []string) {
	for _, r := range all {
		if r.Cluster != "" && which(r) {
			names = append(names, r.Cluster)
		}
	}
	return names
}

// wrapAgainAfter is how long a cluster that said that its wrap does not open waits for another: two that do not agree are not to keep the log busy.
const wrapAgainAfter = time.Minute

// Keys says what a cluster's member is to do about the key of a group. Of those that could do it, the first by name that is there does;
// that two do at once is seen in the log, where only one of them is in time. takes says that a key can be wrapped for a reader: who holds it does
// nothing about those that lack it as long as it can be for none of them.
func Keys(g *v1alpha1.RecipientGroup, of Candidates, self string, now time.Time, there func(cluster string) bool, takes func(KeyReader) bool) (duty KeyDuty, err error) {
	all, err := readersOf(g, of)
	if err != nil {
		return KeyDuty{}, err
	}
	holders := all.holders(g)
	first := g.Status.Epoch == 0
	why := g.AnotherKey(all.reads, now)
	able := holders
	if first {
		able = all.clusters(func(KeyReader) bool { return true })
	}
	orphans := all.orphans(g)
	if len(holders) < 2 && len(orphans) > 0 && turn(holders, self, there) == "" {
		able, why = orphans, "nobody that is there opens the present one"
	}
	for _, r := range all {
		struck := g.Status.Unopened(r.Cluster, v1alpha1.KeyID(r.Recipient))
		switch {
		case why == "" && g.WrapFor(r.Cluster, r.Recipient) != nil: // who cannot open it strikes it first
		case why == "" && struck != nil && (now.Sub(struck.Until.Time) < wrapAgainAfter || struck.Bars(self, now)):
			duty.Waits = true
		default:
			duty.Wrap = append(duty.Wrap, r)
		}
	}
	if why == "" && g.Status.Unproven() {
		alone := len(all.clusters(func(r KeyReader) bool { return r.Cluster != g.Status.By && g.Had(r.Cluster, r.Recipient) })) == 0
		duty.Turn = turn(witnesses(holders, g.Status.By, alone), self, there)
		duty.Prove = duty.Turn == self
		duty.Waits = duty.Waits || !duty.Prove
	}
	if why == "" && slices.Contains(holders, self) {
		duty.second(g, all, self, there)
	}
	switch wraps := turn(able, self, there); {
	case len(duty.Wrap) == 0:
	case wraps != self && !first && why == "" && !slices.ContainsFunc(duty.Wrap, takes):
		duty.Wrap = nil
	case wraps != self:
		duty.Wrap, duty.Waits, duty.Turn = nil, true, wraps
	default:
		if duty.Make, duty.Why = first || why != "", why; duty.Make && !first && !slices.Contains(holders, self) {
			duty.From = all.proven(g, self)
		}
	}
	holds := slices.Contains(holders, self)
	duty.Others = len(holders) > 1 || len(holders) == 1 && !holds
	duty.Waits = duty.Waits || g.Spec.RotateAfter != nil && holds
	if duty.Turn == self || !slices.Contains(able, self) && !slices.Contains(orphans, self) {
		duty.Turn = ""
	}
	return duty, nil
}

// second adds the recovery recipients that the present key is to be wrapped for once more: none but their owners can tell whether a wrap for them
// opens, so one that a single holder wrote is not to be all that they have.
func (duty *KeyDuty) second(g *v1alpha1.RecipientGroup, all readers, self string, there func(string) bool) {
	for w := range g.Status.Held() {
		i := slices.IndexFunc(all, func(r KeyReader) bool { return r.Cluster == "" && v1alpha1.KeyID(r.Recipient) == w.Key })
		if i < 0 || !w.WantsSecond() {
			continue
		}
		others := witnesses(all.holders(g), w.By, false)
		next := turn(others, self, there)
		switch {
		case w.By == self:
			duty.Waits = duty.Waits || len(others) > 0
		case duty.Prove || next == self: // with its word that the key opens, those before it go
			duty.Second = append(duty.Second, all[i])
		default:
			duty.Waits, duty.Turn = true, cmp.Or(duty.Turn, next)
		}
	}
}

// orphans are the clusters that hold a key from before, when nobody but its maker holds the present one.
func (all readers) orphans(g *v1alpha1.RecipientGroup) []string {
	if g.Status.Epoch == 0 || !g.Orphaned(all.reads) {
		return nil
	}
	return all.clusters(func(r KeyReader) bool { return r.Cluster != g.Status.By && all.proven(g, r.Cluster) > 0 })
}

// proven is the epoch of the latest key from before that a cluster holds; 0: none.
func (all readers) proven(g *v1alpha1.RecipientGroup, cluster string) (epoch int64) {
	for _, r := range all {
		if r.Cluster == cluster {
			_, epoch = g.ProvenWrap(cluster, r.Recipient)
		}
	}
	return epoch
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
	// readers are the clusters that may read.
	readers []string
	// heldUp says that somebody holds the present key who may not read: nothing is sealed to that any more.
	heldUp bool
	self   string
	there  func(cluster string) bool
}

// SealersOf a group.
func SealersOf(g *v1alpha1.RecipientGroup, of Candidates, self string, there func(cluster string) bool) (Sealers, error) {
	all, err := readersOf(g, of)
	if err != nil {
		return Sealers{}, err
	}
	return Sealers{epoch: g.Status.Epoch, holders: all.holders(g), readers: all.clusters(func(KeyReader) bool { return true }), heldUp: g.Lost(all.reads) != "", self: self, there: there}, nil
}

// Holds says whether the member holds the key.
func (s Sealers) Holds() bool { return slices.Contains(s.holders, s.self) }

// Seeing are the same sealers, when others are there.
func (s Sealers) Seeing(there func(cluster string) bool) Sealers {
	s.there = there
	return s
}

// SealDue is what those who hold the key of a group are to do about a revision: look how it is sealed, or confirm what By sealed again; SealKept: nothing.
type SealDue struct {
	Work SealWork
	By   string
}

// SealDueOf is what is due about a revision at an epoch of its group's key, by what is known of how that is sealed, nil for nothing. A group that has had one key
// only has nothing that is sealed to another, and nothing is to be told but of what was sealed for another group before: moved.
func SealDueOf(epoch int64, known *v1alpha1.Sealing, moved bool) SealDue {
	switch {
	case epoch < 2 && !moved:
		return SealDue{}
	case known == nil || known.Epoch < epoch:
		return SealDue{Work: SealAgain}
	case known.Unseen():
		return SealDue{SealConfirm, known.By}
	}
	return SealDue{}
}

// Work is what the member is to do about what is due. What waits does so for the cluster whose turn it is, "" for none.
func (s Sealers) Work(due SealDue) (work SealWork, on string) {
	var of []string
	switch due.Work {
	case SealAgain:
		of = s.holders
	case SealConfirm:
		of = witnesses(s.holders, due.By, slices.Equal(s.readers, []string{due.By}))
	default:
		return SealKept, ""
	}
	if s.heldUp { // that is a matter of the key
		return SealWaits, ""
	}
	if on = turn(of, s.self, s.there); on != s.self {
		return SealWaits, on
	}
	return due.Work, ""
}
