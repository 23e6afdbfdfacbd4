package keep

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// earlier is one form that a secret had before a revision.
type earlier struct {
	v1alpha1.FleetSecret
	// at is where the log has it.
	at string
	// known is what is known of how it is sealed; nil for nothing. past says that it is no revision any more: nobody keeps a record of it.
	known *v1alpha1.Sealing
	past  bool
}

// public is where a value stands that was no secret: nobody told of it.
const public = -1

// openedBefore are the values of an earlier form: where each that was a secret stands, of how many, and the epoch of the key that opened it.
type openedBefore struct {
	at     map[secrets.Mark]int
	values int
	epoch  int64
	// since is since when each has been the same, by the word of two, or this member's own: one that nobody confirmed is not believed, but worked out anew.
	since []map[string]int64
	err   error
}

// since says, for each value of a revision, since which keys the very same one has been sealed: the one that the revision is sealed to, or those
// of the forms that the secret had before, as far as the log has them. Nil: nobody knows any more which key it is sealed
// to, or it was for more groups than can be told. A witness leaves out the forms for groups that it is not of: who told of them may be.
func (s *sealing) since(revision string, of v1alpha1.FleetSecret, marks marked, witness bool) []map[string]int64 {
	found := marks.epoch
	if found == 0 || !marks.known {
		return nil
	}
	all := make([]map[string]int64, len(marks.secret))
	for i := range all {
		all[i] = map[string]int64{of.Spec.Group: found}
	}
	but := ""
	if found == plan.EverKnown {
		but = of.Spec.Group // it is not to be had from earlier
	}
	for _, was := range s.before(revision, but) {
		if _, err := s.ringOf(was.Spec.Group); witness && err != nil && was.Spec.Group != of.Spec.Group {
			continue
		}
		had := s.had(was)
		for i, mark := range marks.secret {
			earliest(all[i], had(mark))
		}
	}
	if len(all) == 0 {
		return []map[string]int64{{of.Spec.Group: found}} // all of it is no secret
	}
	if len(all) > v1alpha1.MaxSince {
		for _, one := range all[1:] {
			earliest(all[0], one)
		}
		all = all[:1]
	}
	if slices.ContainsFunc(all, func(by map[string]int64) bool { return len(by) > v1alpha1.MaxSinceGroups }) {
		return nil
	}
	return all
}

// had is since when an earlier form of a secret had a value; nil when it had not. Of one that cannot be opened nobody knows,
// nor of a value that was no secret then.
func (s *sealing) had(was earlier) func(secrets.Mark) map[string]int64 {
	ever := map[string]int64{was.Spec.Group: plan.EverKnown}
	had, known := s.opened[was.at]
	if !known {
		s.opened[was.at] = openedBefore{err: errUntold} // as long as it is worked out
		had = s.openBefore(was)
		s.opened[was.at] = had
	}
	if had.err != nil {
		if errors.Is(had.err, secrets.ErrWrongKey) && was.known != nil && was.known.Found == 0 && s.keepsAllKeys(was.Spec.Group) {
			ever = nil // nobody could read it; what a key opens, and is of another Secret, its holders could
		}
		return func(secrets.Mark) map[string]int64 { return ever }
	}
	if was.past {
		ever[was.Spec.Group] = had.epoch
	}
	return func(mark secrets.Mark) map[string]int64 {
		i, there := had.at[mark]
		switch {
		case !there:
			return nil
		case i == public || len(had.since) == 0:
			return ever
		case len(had.since) == had.values:
			return had.since[i]
		}
		return had.since[0]
	}
}

// keepsAllKeys says that a group has every key that it ever had: what none of them opens was sealed for nobody.
func (s *sealing) keepsAllKeys(group string) bool {
	ring, err := s.ringOf(group)
	return err == nil && ring.oldest() == 1
}

// openBefore opens an earlier form: all its values, whether they were secret or not. No word of one alone says what they were, nor this member's own, which it may
// have of another's.
func (s *sealing) openBefore(was earlier) (had openedBefore) {
	again := v1alpha1.BelievedBy(s.Cluster, was.known)
	again.Own, again.Word = nil, nil
	marks, err := s.marks(was.FleetSecret, again)
	had = openedBefore{at: map[secrets.Mark]int{}, values: len(marks.secret), epoch: marks.epoch, err: err}
	switch {
	case err != nil || was.past || was.known == nil:
	case was.known.Witness != "" || was.known.By == s.Cluster:
		had.since = was.known.Since
	default:
		had.since = s.since(strings.TrimPrefix(was.at, v1alpha1.KeyBundleRevisions), was.FleetSecret, marks, false)
	}
	for _, mark := range marks.public {
		had.at[mark] = public
	}
	for i, mark := range marks.secret {
		had.at[mark] = i
	}
	return had
}

// earliest takes over what is earlier, or of other groups.
func earliest(into, from map[string]int64) {
	for group, epoch := range from {
		if was, there := into[group]; there && was <= epoch {
			continue
		}
		into[group] = epoch
	}
}

// marked are the values of what is sealed, those that are no secret apart, and the epoch of the key that opened it.
type marked struct {
	secret, public []secrets.Mark
	sealedTo
}

func (s *sealing) marks(of v1alpha1.FleetSecret, again v1alpha1.Believed) (m marked, err error) {
	ring, err := s.ringOf(of.Spec.Group)
	if err != nil {
		return m, err
	}
	m.sealedTo, err = ring.open(&of, again, func(key secrets.Identity, sealed []byte) (err error) {
		m.secret, m.public, err = secrets.Marks(key, targetOf(&of), sealed, of.Spec.NotSecret)
		return err
	})
	return m, err
}

// ringOf are the keys of a group, this one's or another's.
func (s *sealing) ringOf(group string) (*keyring, error) {
	if ring := s.rings[group]; ring != nil {
		return ring, nil
	}
	g, err := decoded.GroupAt(s.view, group)
	if err != nil || g == nil {
		return nil, cmp.Or(err, errNoKey)
	}
	ring, err := s.keyring(g)
	if err == nil {
		s.rings[group] = ring
	}
	return ring, err
}

// before are the forms that the secret of a revision had earlier, but those for one group: the revisions that are kept, and what the history
// has of one of its name that was deleted.
func (s *sealing) before(revision, but string) (all []earlier) {
	this := s.revisions[revision].Spec
	for _, name := range s.of[this.Bundle] {
		r := s.revisions[name]
		if s.order(name, revision) >= 0 || r.Group() == but {
			continue
		}
		if of, err := sealedIn(s.view, name); err == nil {
			all = append(all, earlier{FleetSecret: of, at: v1alpha1.KeyBundleRevisions + name, known: s.known[name]})
		}
	}
	for at, of := range s.pasts(this.Bundle, this.BundleUID) {
		if of.Spec.Group == but {
			continue
		}
		target := of.Target()
		of.Namespace, of.Name = target.Namespace, target.Name
		all = append(all, earlier{FleetSecret: of, at: at, past: true})
	}
	return all
}

// errOtherwise means that what a holder told of a revision is not what it is; errUntold that nobody here can tell whether it is.
var (
	errOtherwise = errors.New("it is sealed to another key, or has been for longer, than was told")
	errUntold    = errors.New("it is sealed to a key that is gone, so what was told of it cannot be compared")
)

// witnessed says that what was told of a revision is what this member finds too, or tells that more people know it. Where nobody can tell any more, that is
// all who ever had a key.
func (s *sealing) witnessed(revision string, of v1alpha1.FleetSecret, told *v1alpha1.Sealing) error {
	marks, err := s.marks(of, s.compared(revision, told))
	switch {
	case errors.Is(err, secrets.ErrWrongKey):
		switch {
		case told.Found == 0 && len(told.Since) == 0 && !s.maySomeOpen(revision, told):
			return nil // it is of none, or of a key that is gone, and tells nobody anything
		case told.Found > 0 && told.Found < s.ring.oldest():
			return errUntold
		}
		return errOtherwise
	case err != nil && marks.epoch == 0:
		return err
	case marks.epoch != told.Found, !marks.known && len(told.Since) > 0:
		return errOtherwise
	case len(told.Since) == 0, marks.told == told:
		return nil
	}
	finds := s.since(revision, of, marks, true)
	if len(finds) != len(told.Since) {
		return errOtherwise
	}
	for i, one := range finds {
		all := maps.Clone(told.Since[i])
		if earliest(all, one); !maps.Equal(all, told.Since[i]) {
			return errOtherwise
		}
	}
	return nil
}
