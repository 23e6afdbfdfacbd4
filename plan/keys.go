package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// GroupAtRisk says why nobody may be able to open what is sealed for a group, now or after one more loss, and what to do; "" when
// nothing is to be said. present are the clusters that are there now.
func GroupAtRisk(g *v1alpha1.RecipientGroup, of Candidates, now time.Time, present func(cluster string) bool) string {
	all, err := readersOf(g, of)
	if err != nil {
		return "the selector of group " + g.Name + " cannot be read: " + err.Error()
	}
	vacant, live := of.vacant(all.Holders(g)) // who is picked no more wraps the key for nobody
	here := slices.ContainsFunc(live, present)
	edit := "kubectl edit recipientgroups." + v1alpha1.GroupName + " " + g.Name
	switch {
	case g.Status.Epoch == 0:
		return "group " + g.Name + " has no key yet, and nothing can be sealed for it: a cluster that its selector picks makes one; " + edit
	case !here && !recovers(g, all):
		return "no cluster that holds the key of group " + g.Name + " is there, and nobody else can open what is sealed for it; bring one back, or, if none can be, seal the values from their source for another group, and delete this one once it may go: hanse delete recipientgroup " + g.Name
	case !here:
		return "no cluster that holds the key of group " + g.Name + " is there; bring one back, or open what is sealed for it with a recovery key, and seal it for another group"
	case g.Lost(all.Reads) != "":
		return "group " + g.Name + " is to get another key, as " + g.Lost(all.Reads) + "; the member of cluster " + turn(live, "", present) + " makes it, and if it does nothing for a minute the next one: seal nothing for the group until then"
	case g.Status.Unproven() && g.Status.Begun != nil && now.Sub(g.Status.Begun.Time) > provenWithin:
		if vacant := of.vacantWitnesses(g, all); len(vacant) > 0 {
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
	if err != nil || wrong != nil || recovers(g, is) {
		return nil
	}
	left := is.Holders(g)
	if len(left) == len(was.Holders(g)) && !recovers(g, was) || slices.ContainsFunc(left, heard) {
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
	return g.AnotherKey(all.Reads, now)
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

// readersOf a group, among candidates.
func readersOf(g *v1alpha1.RecipientGroup, of Candidates) (v1alpha1.Readers, error) {
	clusters := make([]v1alpha1.Candidate, 0, len(of.Clusters))
	for _, c := range of.Clusters {
		clusters = append(clusters, v1alpha1.CandidateOf(c))
	}
	return g.Spec.Readers(&of.Fleet, clusters)
}

// recovers says that a recovery recipient that may holds the present key.
func recovers(g *v1alpha1.RecipientGroup, all v1alpha1.Readers) bool {
	for w := range g.Status.Held() {
		if w.Cluster == "" && all.Reads("", w.Key) {
			return true
		}
	}
	return false
}

// WhoHolds are the clusters that hold the present key of a group and may: not one that has lost the key of its own since. A selector that cannot be read
// says nothing of who may.
func WhoHolds(g *v1alpha1.RecipientGroup, of Candidates) []string {
	all, err := readersOf(g, of)
	if err != nil {
		return g.Status.Holders()
	}
	return all.Holders(g)
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
func (of Candidates) vacantWitnesses(g *v1alpha1.RecipientGroup, all v1alpha1.Readers) []string {
	vacant, live := of.vacant(all.HadBeside(g, g.Status.By))
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

// wrapAgainAfter is how long a cluster that said that its wrap does not open waits for another: two that do not agree are not to keep the log busy.
const wrapAgainAfter = time.Minute

// keyCase is the key of a group as one member sees it.
type keyCase struct {
	*v1alpha1.RecipientGroup
	all v1alpha1.Readers
	// holders hold the present key, and may; orphans one from before, when nobody but its maker holds the present one.
	holders, orphans []string
	self             string
	now              time.Time
	there            func(cluster string) bool
	takes            func(KeyReader) bool
}

// Keys says what a cluster's member is to do about the key of a group. Of those that could do it, the first by name that is there does;
// that two do at once is seen in the log, where only one of them is in time. takes says that a key can be wrapped for a reader: who holds it does
// nothing about those that lack it as long as it can be for none of them.
func Keys(g *v1alpha1.RecipientGroup, of Candidates, self string, now time.Time, there func(cluster string) bool, takes func(KeyReader) bool) (duty KeyDuty, err error) {
	all, err := readersOf(g, of)
	if err != nil {
		return KeyDuty{}, err
	}
	k := keyCase{RecipientGroup: g, all: all, holders: all.Holders(g), orphans: orphans(g, all), self: self, now: now, there: there, takes: takes}
	able, why := k.able()
	duty.Wrap, duty.Waits = k.lacking(why)
	if why == "" {
		k.prove(&duty)
		k.second(&duty)
	}
	k.wrap(&duty, able, why)
	holds := slices.Contains(k.holders, self)
	duty.Others = len(k.holders) > 1 || len(k.holders) == 1 && !holds
	duty.Waits = duty.Waits || g.Spec.RotateAfter != nil && holds
	if duty.Turn == self || !slices.Contains(able, self) && !slices.Contains(k.orphans, self) {
		duty.Turn = ""
	}
	return duty, nil
}

// able are the clusters of which one makes the first key, or another one, why says for what; or wraps the present one, with no why.
func (k keyCase) able() (clusters []string, why string) {
	why = k.AnotherKey(k.all.Reads, k.now)
	switch {
	case k.Status.Epoch == 0:
		return k.all.Clusters(func(v1alpha1.Candidate) bool { return true }), why
	case len(k.holders) < 2 && len(k.orphans) > 0 && k.turn(k.holders) == "":
		return k.orphans, "nobody that is there opens the present one"
	}
	return k.holders, why
}

// lacking are who is to get the key: all that may, when it is another one. Who said that its wrap does not open waits for a while.
func (k keyCase) lacking(why string) (all []KeyReader, waits bool) {
	for _, r := range k.all.All {
		switch struck := k.Status.Unopened(r.Cluster, r.Key); {
		case why == "" && k.WrapFor(r.Cluster, r.Recipient) != nil: // who cannot open it strikes it first
		case why == "" && struck != nil && (k.now.Sub(struck.Until.Time) < wrapAgainAfter || struck.Bars(k.self, k.now)):
			waits = true
		default:
			all = append(all, KeyReader{r.Cluster, r.Recipient})
		}
	}
	return all, waits
}

// wrap leaves what is to be wrapped, and so the key that is to be made, to one of those that are able.
func (k keyCase) wrap(duty *KeyDuty, able []string, why string) {
	first := k.Status.Epoch == 0
	switch next := k.turn(able); {
	case len(duty.Wrap) == 0:
	case next != k.self && !first && why == "" && !slices.ContainsFunc(duty.Wrap, k.takes):
		duty.Wrap = nil
	case next != k.self:
		duty.Wrap, duty.Waits, duty.Turn = nil, true, next
	case first || why != "":
		duty.Make, duty.Why = true, why
		if !first && !slices.Contains(k.holders, k.self) {
			duty.From = proven(k.RecipientGroup, k.all, k.self)
		}
	}
}

// prove adds who says that the present key opens: another one than its maker, or that one when nobody else could ever.
func (k keyCase) prove(duty *KeyDuty) {
	if !k.Status.Unproven() {
		return
	}
	maker := k.Status.By
	duty.Turn = k.turn(witnesses(k.holders, maker, len(k.all.HadBeside(k.RecipientGroup, maker)) == 0))
	duty.Prove = duty.Turn == k.self
	duty.Waits = duty.Waits || !duty.Prove
}

// second adds the recovery recipients that the present key is to be wrapped for once more: none but their owners can tell whether a wrap for them
// opens, so one that a single holder wrote is not to be all that they have.
func (k keyCase) second(duty *KeyDuty) {
	if !slices.Contains(k.holders, k.self) {
		return
	}
	for w := range k.Status.Held() {
		i := slices.IndexFunc(k.all.All, func(r v1alpha1.Candidate) bool { return r.Cluster == "" && r.Key == w.Key })
		if i < 0 || !w.WantsSecond() {
			continue
		}
		others := witnesses(k.holders, w.By, false)
		switch next := k.turn(others); {
		case w.By == k.self:
			duty.Waits = duty.Waits || len(others) > 0
		case duty.Prove || next == k.self: // with its word that the key opens, those before it go
			duty.Second = append(duty.Second, KeyReader{Recipient: k.all.All[i].Recipient})
		default:
			duty.Waits, duty.Turn = true, cmp.Or(duty.Turn, next)
		}
	}
}

func (k keyCase) turn(of []string) string { return turn(of, k.self, k.there) }

// orphans are the clusters that hold a key from before, when nobody but its maker holds the present one.
func orphans(g *v1alpha1.RecipientGroup, all v1alpha1.Readers) []string {
	if g.Status.Epoch == 0 || !g.Orphaned(all.Reads) {
		return nil
	}
	return all.Clusters(func(r v1alpha1.Candidate) bool { return r.Cluster != g.Status.By && proven(g, all, r.Cluster) > 0 })
}

// proven is the epoch of the latest key from before that a cluster holds; 0: none.
func proven(g *v1alpha1.RecipientGroup, all v1alpha1.Readers, cluster string) int64 {
	_, epoch := g.ProvenWrap(cluster, all.Recipient(cluster))
	return epoch
}
