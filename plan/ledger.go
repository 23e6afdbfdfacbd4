package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Vault is what the log says of secrets: all that the ledger is derived from.
type Vault struct {
	Candidates
	Groups  []*v1alpha1.RecipientGroup
	Secrets []*v1alpha1.FleetSecret
	// Deleted are secrets that are there no more, as the history has them, also those whose names others have now.
	Deleted []*v1alpha1.FleetSecret
	// Revisions of secrets, and what holders told of them, by the names of the revisions. Granted are those that clusters keep.
	Revisions map[string]*v1alpha1.SealedRevision
	Sealings  map[string]*v1alpha1.Sealing
	Granted   map[string]bool
	// Unread are what cannot be read of it, in words.
	Unread []string
}

// EverKnown is the epoch of the key that something counts as sealed to when nobody has told: who had any key of the group counts as knowing it.
const EverKnown = 1

// Ledger answers who can read what, and who could.
type Ledger struct {
	vault   Vault
	readers map[string][]v1alpha1.SecretReader
	// revisions of each secret by its name, the newest first.
	revisions map[string][]sealedRevision
	oldest    map[string]int64
	// there are the names of the secrets that the fleet has, and former those that were deleted by the names of these.
	there  map[string]bool
	former map[string][]*v1alpha1.FleetSecret
}

type sealedRevision struct {
	name string
	*v1alpha1.SealedRevision
	told *v1alpha1.Sealing
	// present is the one that the secret is now, live one that it is, or that clusters keep. oneKey says that its group has had one key only.
	present, live, oneKey bool
}

// NewLedger reads a vault. What cannot be read of it is left out, and told by Unread.
func NewLedger(v Vault) *Ledger {
	l := &Ledger{
		vault: v, readers: map[string][]v1alpha1.SecretReader{}, revisions: map[string][]sealedRevision{}, oldest: map[string]int64{},
		there: map[string]bool{}, former: map[string][]*v1alpha1.FleetSecret{},
	}
	for _, g := range v.Groups {
		readers, err := l.readersOf(g)
		if err != nil {
			l.vault.Unread = append(slices.Clone(l.vault.Unread), fmt.Sprintf("the selector of group %s cannot be read: %v", g.Name, err))
			continue
		}
		l.readers[g.Name], l.oldest[g.Name] = readers, g.Status.Epoch
		if former := g.Status.Former; len(former) > 0 {
			l.oldest[g.Name] = former[0].Epoch
		}
	}
	present, oneKey := map[string]bool{}, map[string]bool{}
	for _, g := range v.Groups {
		oneKey[g.Name] = g.Status.Epoch == 1
	}
	for _, s := range v.Secrets {
		present[v1alpha1.RevisionName(s.RolledOut().String(), string(s.UID), s.Generation)] = true
		l.there[s.Name] = true
	}
	for _, s := range v.Deleted {
		l.former[s.Name] = append(l.former[s.Name], s)
	}
	for name, r := range v.Revisions {
		if secret := v1alpha1.RolledOutOf(r.Spec.Bundle); secret.IsSecret() {
			l.revisions[secret.Name] = append(l.revisions[secret.Name], sealedRevision{name, r, v.Sealings[name], present[name], present[name] || v.Granted[name], oneKey[r.Group()]})
		}
	}
	for _, all := range l.revisions {
		slices.SortFunc(all, func(a, b sealedRevision) int {
			return cmp.Or(compareBool(b.present, a.present), cmp.Compare(b.Spec.Generation, a.Spec.Generation), strings.Compare(a.name, b.name))
		})
	}
	return l
}

// Unread are what it has no answers of, as the log has something that cannot be read there.
func (l *Ledger) Unread() []string { return l.vault.Unread }

// readersOf are who holds a key of a group, or did, by name.
func (l *Ledger) readersOf(g *v1alpha1.RecipientGroup) ([]v1alpha1.SecretReader, error) {
	may, err := readersOf(g, l.vault.Candidates)
	if err != nil {
		return nil, err
	}
	var all []v1alpha1.SecretReader
	at := func(cluster, key string) *v1alpha1.SecretReader {
		i := slices.IndexFunc(all, func(r v1alpha1.SecretReader) bool { return r.Cluster == cluster && r.Key == key })
		if i < 0 {
			i, all = len(all), append(all, v1alpha1.SecretReader{Cluster: cluster, Key: key, Why: l.why(may, cluster, key)})
		}
		return &all[i]
	}
	for _, left := range g.Status.Left {
		r := at(left.Cluster, left.Key)
		r.Epoch = max(r.Epoch, left.Epoch)
		if until := left.Until; r.Lost() {
			r.Until = &until
		}
	}
	for _, w := range g.Status.Wraps {
		r := at(w.Cluster, w.Key)
		if r.Epoch = max(r.Epoch, w.Epoch); r.Epoch == g.Status.Epoch {
			r.Until = nil // the next key is not made yet
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.SecretReader) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Key, b.Key))
	})
	return all, nil
}

// why one can read, or cannot any more.
func (l *Ledger) why(may v1alpha1.Readers, cluster, key string) v1alpha1.ReaderState {
	switch {
	case may.Reads(cluster, key):
		return v1alpha1.ReaderReads
	case cluster == "" && key == "":
		return v1alpha1.ReaderEarlier
	case cluster == "":
		return v1alpha1.ReaderTakenOut
	}
	i := slices.IndexFunc(l.vault.Clusters, func(c *v1alpha1.Cluster) bool { return c.Name == cluster })
	switch {
	case i < 0:
		return v1alpha1.ReaderRemoved
	case may.Picks(l.vault.Clusters[i].Labels):
		return v1alpha1.ReaderOtherKey
	}
	return v1alpha1.ReaderNotPicked
}

// sealedTo is the epoch of the key that a revision is sealed to, as far as two holders agree; false: nobody can open it, or could.
func (l *Ledger) sealedTo(r sealedRevision) (epoch int64, readable bool) {
	switch {
	case r.told == nil || r.told.Witness == "":
		return EverKnown, true
	case r.told.Found > 0:
		return r.told.Found, true
	}
	return EverKnown, l.oldest[r.Group()] > 1 // it may be sealed to one that the group keeps no more
}

// knows says how many values of a revision the reader of a line could have read, and of how many; of 0, nobody has told.
func (l *Ledger) knows(x v1alpha1.Exposure, r sealedRevision) (known, of int) {
	if r.told == nil || r.told.Witness == "" || len(r.told.Since) == 0 {
		had := func(s *v1alpha1.FleetSecret) bool { return s.Spec.Group == x.Group }
		// What it could read may have been sealed for another group as it was.
		return b2i(r.Group() == x.Group || len(x.Generations) > 0 || slices.ContainsFunc(l.former[x.Secret], had)), 0
	}
	for _, since := range r.told.Since {
		epoch, sealed := since[x.Group]
		known += b2i(sealed && epoch <= x.Epoch)
	}
	return known, len(r.told.Since)
}

// Knows says whether a cluster is one that could read something, or may have been.
func (l *Ledger) Knows(cluster string) bool {
	for _, readers := range l.readers {
		if slices.ContainsFunc(readers, func(r v1alpha1.SecretReader) bool { return r.Cluster == cluster || r.Why == v1alpha1.ReaderEarlier }) {
			return true
		}
	}
	return slices.ContainsFunc(l.vault.Clusters, func(c *v1alpha1.Cluster) bool { return c.Name == cluster })
}

// Exposed lists what a cluster could read, with each key that it had, also if it may; without a name, what all could that may not any more.
func (l *Ledger) Exposed(cluster string) (e v1alpha1.Exposures) {
	e.Items = []v1alpha1.Exposure{}
	for _, g := range l.vault.Groups {
		for _, reader := range l.readers[g.Name] {
			asked := reader.Lost()
			if cluster != "" {
				asked = reader.Cluster == cluster || reader.Why == v1alpha1.ReaderEarlier
			}
			if asked {
				e.Items = append(e.Items, l.couldRead(g.Name, reader)...)
			}
		}
	}
	rank := func(x v1alpha1.Exposure) int {
		return slices.Index([]v1alpha1.ExposureState{v1alpha1.ExposureOpen, v1alpha1.ExposureReads, v1alpha1.ExposureChanged, v1alpha1.ExposureDeleted}, x.State)
	}
	slices.SortStableFunc(e.Items, func(a, b v1alpha1.Exposure) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Secret, b.Secret), strings.Compare(a.Group, b.Group), strings.Compare(a.Key, b.Key))
	})
	for _, x := range e.Items {
		e.Open += b2i(x.State == v1alpha1.ExposureOpen)
	}
	return e
}

// couldRead are the lines of one that had a key of a group.
func (l *Ledger) couldRead(group string, reader v1alpha1.SecretReader) (lines []v1alpha1.Exposure) {
	for _, s := range l.vault.Secrets {
		x := lineOf(s, group, reader)
		if l.judge(&x) {
			lines = append(lines, x)
		}
	}
	for _, s := range l.vault.Deleted {
		if l.there[s.Name] || s.Spec.Group != group {
			continue
		}
		x := lineOf(s, group, reader)
		x.State, x.Message = v1alpha1.ExposureDeleted, deletedAs(s, reader)
		lines = append(lines, x)
	}
	return lines
}

// deletedAs says how it is with a secret that was deleted. One that was made after a reader left may have been sealed to a key that this one had:
// nobody knows once what was told of it is gone.
func deletedAs(s *v1alpha1.FleetSecret, reader v1alpha1.SecretReader) string {
	if reader.Until != nil && s.CreationTimestamp.After(reader.Until.Time) {
		return "made after it left and deleted since; it could read it if it was sealed to a former key: if its value is in use elsewhere, change it there"
	}
	return "the fleet has it no more; if its value is in use elsewhere, change it there"
}

func lineOf(s *v1alpha1.FleetSecret, group string, reader v1alpha1.SecretReader) v1alpha1.Exposure {
	target := s.Target()
	return v1alpha1.Exposure{Secret: s.Name, Namespace: target.Namespace, SecretName: target.Name, Group: group, SecretReader: reader}
}

// judge says how a line stands; false: the secret was never to be read by that one.
func (l *Ledger) judge(x *v1alpha1.Exposure) bool {
	revisions := l.revisions[x.Secret]
	for _, r := range revisions {
		if epoch, readable := l.sealedTo(r); r.Group() == x.Group && readable && epoch <= x.Epoch {
			x.Generations = append(x.Generations, r.Spec.Generation)
		}
	}
	slices.Sort(x.Generations)
	var in *sealedRevision // that is in use, the present one first
	for _, r := range revisions {
		if !r.live || in != nil {
			continue
		}
		if n, of := l.knows(*x, r); r.present || n > 0 {
			if x.Known, x.Values = n, of; n > 0 {
				in = &r
			}
		}
	}
	switch {
	case len(x.Generations) == 0 && x.Known == 0:
		return false
	case !x.Lost():
		x.State, x.Message = v1alpha1.ExposureReads, "it may read it"
	case x.Known == 0:
		x.State, x.Message = v1alpha1.ExposureChanged, "other values are in use"
	default:
		x.State, x.Message = v1alpha1.ExposureOpen, openBecause(*x, *in)
	}
	return true
}

func openBecause(x v1alpha1.Exposure, r sealedRevision) string {
	switch {
	case !r.present:
		return fmt.Sprintf("clusters still keep generation %d, which it could read", r.Spec.Generation)
	case x.Values == 0 && r.told != nil && r.told.Witness != "" && r.told.Found > 0:
		return fmt.Sprintf("it was sealed for more than %d groups, and since when each could read its values is not told of so many: seal other ones, under another name if it stays so", v1alpha1.MaxSinceGroups)
	case x.Values == 0 && r.told != nil && r.told.Witness != "":
		return "no key opens what is there now"
	case r.told == nil && r.oneKey && r.Group() == x.Group:
		return "its values are as it could read them"
	case x.Values == 0 && r.told != nil:
		return "another cluster of the group is to confirm whether the value is another"
	case x.Values == 0:
		return "no cluster of the group has told yet whether the value is another"
	case x.Known < x.Values:
		return fmt.Sprintf("%d of %d values are as it could read them", x.Known, x.Values)
	}
	return "its values are as it could read them"
}

// Readers are who can read the revisions of a secret that are kept, and who could; nil when there is no such secret.
func (l *Ledger) Readers(secret string) *v1alpha1.SecretReaders {
	i := slices.IndexFunc(l.vault.Secrets, func(s *v1alpha1.FleetSecret) bool { return s.Name == secret })
	if i < 0 {
		return nil
	}
	target := l.vault.Secrets[i].Target()
	all := &v1alpha1.SecretReaders{Secret: secret, Namespace: target.Namespace, SecretName: target.Name, Revisions: []v1alpha1.RevisionReaders{}}
	for _, r := range l.revisions[secret] {
		one := v1alpha1.RevisionReaders{Generation: r.Spec.Generation, Present: r.present, Granted: l.vault.Granted[r.name], Group: r.Group(), Readers: []v1alpha1.SecretReader{}}
		epoch, readable := l.sealedTo(r)
		if r.told != nil {
			one.Epoch = r.told.Found
		}
		for _, reader := range l.readers[r.Group()] {
			if readable && epoch <= reader.Epoch {
				one.Readers = append(one.Readers, reader)
			}
		}
		slices.SortStableFunc(one.Readers, func(a, b v1alpha1.SecretReader) int { return compareBool(a.Lost(), b.Lost()) })
		all.Revisions = append(all.Revisions, one)
	}
	return all
}

// OpenExposures counts what is open; nil when nothing is.
func (l *Ledger) OpenExposures() *v1alpha1.ExposedFleetStatus {
	s := &v1alpha1.ExposedFleetStatus{Clusters: []string{}}
	secrets := map[string]bool{}
	for _, x := range l.Exposed("").Items {
		if x.State != v1alpha1.ExposureOpen {
			continue
		}
		s.Lines++
		if secrets[x.Secret] = true; x.Cluster != "" {
			s.Clusters = append(s.Clusters, x.Cluster)
		}
	}
	s.Secrets, s.Clusters = len(secrets), slices.Compact(s.Clusters)
	if s.Lines == 0 {
		return nil
	}
	return s
}
