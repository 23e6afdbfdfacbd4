package keep

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// keyring are the keys of a group that this member gets at, by epoch, as far as somebody asked for them: by its own wraps, or read with the one
// that came after it.
type keyring struct {
	holder Holder
	group  *v1alpha1.RecipientGroup
	keys   map[int64]secrets.Identity
}

// keyring has a key, at least: the present one, or, as long as that does not open, the latest before it.
func (h Holder) keyring(g *v1alpha1.RecipientGroup) (*keyring, error) {
	r := &keyring{holder: h, group: g, keys: map[int64]secrets.Identity{}}
	if _, err := r.at(g.Status.Epoch); err != nil {
		if _, epoch := g.ProvenWrap(h.Cluster, h.recipient()); epoch > 0 {
			if _, older := r.at(epoch); older == nil {
				return r, nil
			}
		}
		return nil, err
	}
	return r, nil
}

// errNoKey means that the group does not keep that key any more, or that this member does not get at it.
var errNoKey = errors.New("the key is gone")

// at is the key of an epoch.
func (r *keyring) at(epoch int64) (secrets.Identity, error) {
	if key, known := r.keys[epoch]; known {
		return key, nil
	}
	var key secrets.Identity
	var err error
	if epoch == r.group.Status.Epoch {
		key, err = r.holder.groupKey(r.group)
	} else if key, err = r.passedOn(epoch); err != nil {
		if own, unwrapped := r.own(epoch); unwrapped {
			key, err = own, nil
		}
	}
	if err == nil {
		r.keys[epoch] = key
	}
	return key, err
}

// passedOn is a former key, read with the one that came after it.
func (r *keyring) passedOn(epoch int64) (key secrets.Identity, err error) {
	after := r.group.Status.Epoch
	former := r.group.Status.Former
	for i := len(former) - 1; i >= 0; i-- {
		f := former[i]
		if f.Epoch != epoch {
			after = f.Epoch
			continue
		}
		with, err := r.at(after)
		if err != nil {
			return key, err
		}
		if key, err = secrets.Unwrap(with, r.holder.keyOf(r.group, epoch), f.Recipient, f.Key); err != nil {
			return key, fmt.Errorf("the former key %d of group %s cannot be opened: %w", epoch, r.group.Name, err)
		}
		return key, nil
	}
	return key, errNoKey
}

// own is a former key by this member's own wrap of it, which is there until a second cluster has opened the present one.
func (r *keyring) own(epoch int64) (key secrets.Identity, is bool) {
	recipient := ""
	for _, f := range r.group.Status.Former {
		if f.Epoch == epoch {
			recipient = f.Recipient
		}
	}
	mine := v1alpha1.KeyID(r.holder.recipient())
	for _, w := range r.group.Status.Wraps {
		if w.Epoch != epoch || w.Cluster != r.holder.Cluster || w.Key != mine {
			continue
		}
		if key, err := secrets.Unwrap(r.holder.Age, r.holder.keyOf(r.group, epoch), recipient, w.Wrap); err == nil {
			return key, true
		}
	}
	return key, false
}

// proves opens the present key and all that were passed on since the last proven one, each with the one that came after it.
func (r *keyring) proves() error {
	strict := &keyring{holder: r.holder, group: r.group, keys: map[int64]secrets.Identity{}}
	present, err := r.holder.groupKey(r.group)
	if err != nil {
		return err
	}
	strict.keys[r.group.Status.Epoch] = present
	lowest := r.group.Status.Epoch
	for _, w := range r.group.Status.Wraps {
		lowest = min(lowest, w.Epoch)
	}
	for i := len(r.group.Status.Former) - 1; i >= 0 && r.group.Status.Former[i].Epoch >= lowest; i-- {
		epoch := r.group.Status.Former[i].Epoch
		key, err := strict.passedOn(epoch)
		if err != nil {
			return err
		}
		strict.keys[epoch] = key
	}
	if _, there := strict.keys[lowest]; !there {
		return fmt.Errorf("the former key %d of group %s was not passed on", lowest, r.group.Name)
	}
	return nil
}

// sealedTo says of which key it is known that a revision is sealed to it: the one that opened it, or what was told of what was sealed again.
type sealedTo struct {
	// epoch is that of the key; 0: none opened it. Where nobody knows any more it counts as that of the first.
	epoch int64
	known bool
	// told is the record that says so, when the revision itself was opened by no key.
	told *v1alpha1.Sealing
}

// open uses what is sealed first, with the key that it is sealed to, the present one tried first. If that cannot be, it uses what was sealed again, as
// far as this member believes it; words of others it takes only when there is a key that it does not have. What use returns tells:
// secrets.ErrWrongKey has the next key tried.
func (r *keyring) open(of *v1alpha1.FleetSecret, again v1alpha1.Believed, use func(with secrets.Identity, sealed []byte) error) (by sealedTo, err error) {
	err = secrets.ErrWrongKey
	var unread error
	for epoch := r.group.Status.Epoch; epoch > 0 && epoch >= r.oldest(); epoch-- {
		key, why := r.at(epoch)
		if why != nil {
			unread = why
			continue
		}
		if err = use(key, of.Spec.Data); err == nil || !errors.Is(err, secrets.ErrWrongKey) {
			return sealedTo{epoch: epoch, known: true}, err
		}
	}
	if by, opens := r.uses(slices.Concat(again.Agreed, again.Own), use); opens {
		return by, nil
	}
	var doubt error
	if r.oldest() > 1 || unread != nil {
		var word []v1alpha1.SealedAgain
		if word, doubt = r.undoubted(of, again); doubt == nil {
			if by, opens := r.uses(word, use); opens {
				return by, nil
			}
		}
	}
	if unread != nil && !errors.Is(unread, errNoKey) {
		return by, unread // it may be sealed to that one
	}
	return by, cmp.Or(doubt, err)
}

// uses uses the first that opens of what was sealed again.
func (r *keyring) uses(all []v1alpha1.SealedAgain, use func(with secrets.Identity, sealed []byte) error) (by sealedTo, opens bool) {
	for _, one := range all {
		if key, why := r.at(one.Epoch); why != nil || use(key, one.Data) != nil {
			continue
		}
		if one.Told == nil {
			return sealedTo{epoch: plan.EverKnown}, true
		}
		return sealedTo{epoch: one.Told.Found, known: true, told: one.Told}, true
	}
	return by, false
}

// undoubted is the first of the words of others that this member opens, if all that it opens are the same, and nobody says that there is nothing to be opened.
func (r *keyring) undoubted(of *v1alpha1.FleetSecret, again v1alpha1.Believed) ([]v1alpha1.SealedAgain, error) {
	differ := Differing(targetOf(of), again.Word, func(epoch int64) (secrets.Identity, bool) {
		key, err := r.at(epoch)
		return key, err == nil
	})
	switch {
	case len(differ) == 0:
		return nil, nil
	case len(again.None) > 0:
		return nil, fmt.Errorf("cluster %s sealed it again, which nobody confirmed, and for %s no key opened it; which of them is right cannot be told here; seal it again: hanse seal --group %s",
			strings.Join(v1alpha1.Parties(differ...), " and "), strings.Join(again.None, " and "), r.group.Name)
	case len(differ) > 1:
		return nil, fmt.Errorf("clusters %s sealed it again, each something else, none of them confirmed by another, and which of them is right cannot be told here; seal it again: hanse seal --group %s",
			strings.Join(v1alpha1.Parties(differ...), " and "), r.group.Name)
	}
	return differ, nil
}

// oldest is the epoch of the oldest key that the group keeps.
func (r *keyring) oldest() int64 { return r.group.OldestKey() }

// believed is what this member takes for what was sealed again of a revision, own, and of others of the secret that have the very same bytes: an edit of
// another field makes a revision of which nobody sealed anything again yet. As long as the group keeps the key that the revision is sealed to, own is enough.
func (r *keyring) believed(v *store.View, revision string, own *v1alpha1.Sealing, known func(revision string) *v1alpha1.Sealing) v1alpha1.Believed {
	all := []*v1alpha1.Sealing{own}
	if r.oldest() > 1 && (own == nil || own.Witness == "" || own.Found < r.oldest()) {
		for _, alike := range law.SealedAlike(v, revision) {
			all = append(all, known(alike))
		}
	}
	return v1alpha1.BelievedBy(r.holder.Cluster, all...)
}
