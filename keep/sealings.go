package keep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// Bounds of one transaction that seals again: the log is for others as well.
const (
	sealedAtOnce = 32
	sealedBytes  = 256 << 10
)

// keepSealed seals again what is sealed to a former key of a group, and confirms what others sealed again, as much as is this member's turn.
func (k *Keeper) keepSealed(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], candidates plan.Candidates, there func(string) bool) (waits bool, err error) {
	sealers, err := k.sealersOf(g, candidates, there)
	if err != nil || !sealers.Holds() {
		return false, err
	}
	k.dues.bring(v, k.config.Kinds, g)
	k.tellUnread(k.dues.garbled)
	mine := map[string]plan.SealWork{}
	for due, names := range k.dues.about(g.Value.Name) {
		switch work, _ := sealers.Work(due); work {
		case plan.SealWaits:
			waits = true
		case plan.SealAgain, plan.SealConfirm:
			for name := range names {
				mine[name] = work
			}
		}
	}
	seal, confirm := sealers.Waiting(k.dues.about(g.Value.Name), maps.Values(k.dues.known))
	k.waitsFor(g, "seal", seal)
	k.waitsFor(g, "confirm", confirm)
	if len(mine) == 0 {
		return waits, nil
	}
	return waits, k.seal(ctx, v, g, mine)
}

// knownSealers are who keeps what is sealed for a group, and from what that follows.
type knownSealers struct {
	group *v1alpha1.RecipientGroup
	of    plan.Candidates
	plan.Sealers
}

// sealersOf a group, read anew only when something changed of what that follows from.
func (k *Keeper) sealersOf(g decoded.Object[v1alpha1.RecipientGroup], of plan.Candidates, there func(string) bool) (plan.Sealers, error) {
	known, is := k.sealers[g.Key]
	if !is || known.group != g.Value || !slices.Equal(known.of.Clusters, of.Clusters) || !reflect.DeepEqual(known.of.Fleet, of.Fleet) {
		sealers, err := plan.SealersOf(g.Value, of, k.Cluster, nil)
		if err != nil {
			return sealers, err
		}
		known = knownSealers{g.Value, of, sealers}
		k.sealers[g.Key] = known
	}
	return known.Seeing(there), nil
}

// seal does what is this member's to do about some revisions.
func (k *Keeper) seal(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], mine map[string]plan.SealWork) (err error) {
	revisions, _ := k.config.Kinds.Revisions.Readable(v)
	sealings, anew := k.config.Kinds.Sealings.Readable(v)
	work := newSealing(k, g, v, sealings)
	known := make(map[string]decoded.Object[v1alpha1.Sealing], len(sealings))
	for _, s := range sealings {
		known[strings.TrimPrefix(s.Key, v1alpha1.KeySealings)] = s
	}
	for key := range anew { // as if nobody had told
		kv, _ := v.Get(key)
		known[strings.TrimPrefix(key, v1alpha1.KeySealings)] = decoded.Object[v1alpha1.Sealing]{Key: key, Modified: kv.Modified}
	}
	for _, name := range work.generations(revisions) {
		if due := mine[name]; due == plan.SealKept {
			continue
		} else if why := work.do(ctx, name, known[name], due); why != nil { // the others are not to wait for it
			err = errors.Join(err, fmt.Errorf("revision %s: %w", name, why))
		}
	}
	return errors.Join(err, work.write(ctx))
}

// sealing is one go at what is sealed for a group.
type sealing struct {
	*Keeper
	sealedForms // with what is written in this go
	group       decoded.Object[v1alpha1.RecipientGroup]
	ring        *keyring
	txn         store.Txn
	size        int

	rings map[string]*keyring
	// opened are earlier forms of secrets, by where the log has them: each is opened once in a go.
	opened map[string]openedBefore
	// created is when the log got each revision.
	created map[string]store.Revision
}

func newSealing(k *Keeper, g decoded.Object[v1alpha1.RecipientGroup], v *store.View, sealings []decoded.Object[v1alpha1.Sealing]) *sealing {
	s := &sealing{Keeper: k, group: g, sealedForms: newSealedForms(), rings: map[string]*keyring{}, opened: map[string]openedBefore{}, created: map[string]store.Revision{}}
	s.view = v
	for _, o := range sealings {
		s.known[strings.TrimPrefix(o.Key, v1alpha1.KeySealings)] = o.Value
	}
	return s
}

// generations takes the revisions of secrets, and names them in the order in which the log got them: what is told of one rests on what
// is told of those before.
func (s *sealing) generations(all []decoded.Object[v1alpha1.SealedRevision]) (names []string) {
	for _, r := range all {
		name := strings.TrimPrefix(r.Key, v1alpha1.KeyBundleRevisions)
		kv, _ := s.view.Get(r.Key)
		names, s.created[name] = append(names, name), kv.Created
		s.add(name, r.Value)
	}
	slices.SortFunc(names, s.order)
	return names
}

// order says which of two revisions was there first. It is one order of all, also of a secret that was deleted and made again: of no two is each before the other.
func (s *sealing) order(a, b string) int {
	return cmp.Or(cmp.Compare(s.created[a], s.created[b]), cmp.Compare(s.revisions[a].Spec.Generation, s.revisions[b].Spec.Generation), cmp.Compare(a, b))
}

// do adds what is to be done about one revision to what is written next.
func (s *sealing) do(ctx context.Context, name string, known decoded.Object[v1alpha1.Sealing], work plan.SealWork) error {
	if s.ring == nil {
		ring, err := s.keyring(s.group.Value)
		if err != nil {
			return err
		}
		s.ring, s.rings[s.group.Value.Name] = ring, ring
	}
	sealed, err := sealedIn(s.view, name)
	if err != nil {
		return err
	}
	var next v1alpha1.Sealing
	if work == plan.SealConfirm {
		next, err = s.confirmed(name, *known.Value, sealed)
	} else {
		next, err = s.again(name, known.Value, sealed)
	}
	if err != nil {
		return err
	}
	s.known[name] = &next
	op, err := law.Put(v1alpha1.KeySealings+name, next)
	if err != nil {
		return err
	}
	as := store.KeyAbsent(op.Key)
	if known.Modified != 0 {
		as = store.KeyAt(op.Key, known.Modified)
	}
	if s.size+len(op.Value) > sealedBytes || len(s.txn.Then) == sealedAtOnce {
		if err := s.write(ctx); err != nil {
			return err
		}
	}
	s.txn.If, s.txn.Then, s.size = append(s.txn.If, as), append(s.txn.Then, op), s.size+len(op.Value)
	return nil
}

// again finds the key that a secret is sealed to, and seals it to the present one if that is a former one. What no key opens is told as such:
// so it is for all who hold them. What was sealed again before, of this revision or of another one with the same bytes, serves when the key that
// the secret is sealed to is long gone.
func (s *sealing) again(name string, was *v1alpha1.Sealing, of v1alpha1.FleetSecret) (next v1alpha1.Sealing, err error) {
	return s.againBy(name, was, of, s.believed(name, was))
}

// againBy takes it from what is believed.
func (s *sealing) againBy(name string, was *v1alpha1.Sealing, of v1alpha1.FleetSecret, believed v1alpha1.Believed) (next v1alpha1.Sealing, err error) {
	g := s.group.Value
	to, err := secrets.ParseRecipient(g.Status.Recipient)
	if err != nil {
		return next, err
	}
	next = v1alpha1.Sealing{Group: g.Name, Epoch: g.Status.Epoch, By: s.Cluster}
	seal := func(key secrets.Identity, sealed []byte) (err error) {
		next.Data, err = secrets.Again(key, to, targetOf(&of), sealed)
		return err
	}
	by, err := s.ring.open(&of, believed, seal)
	switch { // what nobody else has found is told anew, if this member can tell, and else is told of since ever
	case was != nil && (was.Witness != "" || by.told == was):
		next.Found, next.Since, next.Witness = was.Found, was.Since, was.Witness
	case err == nil && by.known:
		next.Found = by.epoch
		if marks, err := s.marks(of, believed); err == nil {
			next.Since = s.since(name, of, marks, false)
		}
	case err == nil:
		next.Found = by.epoch
	}
	next.Was, next.Words = was.Leaves(next.By, next.Epoch, s.ring.oldest())
	if !next.Again() {
		next.Data = nil
		if by.epoch > 0 || errors.Is(err, secrets.ErrWrongKey) && (next.Witness != "" || !s.maySomeOpen(name, was)) {
			err = nil
		}
	}
	return next, err
}

// maySomeOpen says that a revision that this member cannot open may be of a key that is gone, and that somebody sealed it again, or one with the same
// bytes: then it is not told that no key opens it.
func (s *sealing) maySomeOpen(name string, was *v1alpha1.Sealing) bool {
	return s.ring.oldest() > 1 && (was.HasAgain() || slices.ContainsFunc(law.SealedAlike(s.view, name), func(alike string) bool { return s.known[alike].HasAgain() }))
}

// confirmed says that what was sealed again opens, and holds what was sealed before, and that what was told of the revision is so: all of it, by what this
// member finds itself, two agreed on, or it wrote itself. What is not so, or cannot be compared, it writes anew by these, unless it has written of it with this key: who has but
// the word of another one adds no second voice to that.
func (s *sealing) confirmed(name string, was v1alpha1.Sealing, of v1alpha1.FleetSecret) (next v1alpha1.Sealing, err error) {
	var right, so error
	if was.Again() && was.Confirmed == "" {
		right = s.holdsTheSame(name, was, of)
	}
	if was.Witness == "" {
		so = s.witnessed(name, of, &was)
	}
	if right == nil && so == nil {
		return was.ConfirmedBy(s.Cluster), nil
	}
	why := fmt.Errorf("what cluster %s sealed again, or told: %w", was.By, errors.Join(right, so))
	if was.Wrote(s.Cluster) {
		return was, why
	}
	believed := s.believed(name, &was)
	believed.Word = nil
	if next, err = s.againBy(name, &was, of, believed); err != nil {
		return was, why
	}
	next.Instead = was.By
	s.log.Warn("what another cluster told of a secret is not so, or cannot be compared; it is written anew", "revision", name, "err", why)
	return next, nil
}

// believed is what was sealed again of a revision, own, and of others with the same bytes, with what is written in this go.
func (s *sealing) believed(name string, own *v1alpha1.Sealing) v1alpha1.Believed {
	return s.ring.believed(s.view, name, own, func(alike string) *v1alpha1.Sealing { return s.known[alike] })
}

// compared is what this member compares others' words with: what two agreed on that it opens, or else its own word.
func (s *sealing) compared(name string, own *v1alpha1.Sealing) v1alpha1.Believed {
	b := s.believed(name, own)
	b.Word = nil
	if slices.ContainsFunc(b.Agreed, func(one v1alpha1.SealedAgain) bool { _, err := s.ring.at(one.Epoch); return err == nil }) {
		b.Own = nil
	}
	return b
}

func (s *sealing) holdsTheSame(name string, was v1alpha1.Sealing, of v1alpha1.FleetSecret) error {
	present, err := s.ring.at(was.Epoch)
	if err != nil {
		return err
	}
	_, err = s.ring.open(&of, s.compared(name, &was), func(key secrets.Identity, sealed []byte) error {
		return secrets.Same(targetOf(&of), secrets.Sealed{Key: key, Data: sealed}, secrets.Sealed{Key: present, Data: was.Data})
	})
	return err
}

// write writes what was added since the last time. What was overtaken is looked at again.
func (s *sealing) write(ctx context.Context) error {
	if len(s.txn.Then) == 0 {
		return nil
	}
	txn := s.txn
	txn.If = append(txn.If, store.KeyAt(s.group.Key, s.group.Modified))
	s.txn, s.size = store.Txn{}, 0
	err := s.config.Log.Propose(ctx, txn)
	if errors.As(err, new(*store.Conflict)) {
		return nil
	}
	return err
}
