package agent

import (
	"errors"
	"fmt"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets"
)

// keyring are the keys of a group, the present one first, and behind it those that it had before, as far as somebody asked for them: each is
// read with the one that came after it.
type keyring struct {
	core  *Core
	group *v1alpha1.RecipientGroup
	keys  []secrets.Identity
}

// keyring has the present key of a group, at least.
func (c *Core) keyring(g *v1alpha1.RecipientGroup) (*keyring, error) {
	present, err := c.groupKey(g)
	if err != nil {
		return nil, err
	}
	return &keyring{core: c, group: g, keys: []secrets.Identity{present}}, nil
}

// errNoKey means that the group does not keep that key any more.
var errNoKey = errors.New("the key is gone")

// at is the key of an epoch.
func (r *keyring) at(epoch int64) (secrets.Identity, error) {
	back := r.group.Status.Epoch - epoch
	for int64(len(r.keys)) <= back {
		former := r.group.Status.Former
		i := len(former) - len(r.keys)
		if i < 0 {
			return secrets.Identity{}, errNoKey
		}
		f := former[i]
		key, err := secrets.Unwrap(r.keys[len(r.keys)-1], r.core.keyOf(r.group, f.Epoch), f.Recipient, f.Key)
		if err != nil {
			return secrets.Identity{}, fmt.Errorf("the former key %d of group %s cannot be opened: %w", f.Epoch, r.group.Name, err)
		}
		r.keys = append(r.keys, key)
	}
	return r.keys[back], nil
}

// open uses what is sealed first, with the key that it is sealed to, the present one tried first, and says of which epoch that is; 0: none.
// If that cannot be, it uses what was sealed again, that which was confirmed before that which was not. What use returns tells:
// secrets.ErrWrongKey has the next key tried.
func (r *keyring) open(first []byte, again *v1alpha1.Sealing, use func(with secrets.Identity, sealed []byte) error) (epoch int64, err error) {
	for epoch := r.group.Status.Epoch; epoch > 0; epoch-- {
		key, why := r.at(epoch)
		if why != nil {
			err = why
			break
		}
		if err = use(key, first); err == nil || !errors.Is(err, secrets.ErrWrongKey) {
			return epoch, err
		}
	}
	if again != nil {
		for _, sealed := range later(again) {
			if key, why := r.at(sealed.Epoch); why == nil && use(key, sealed.Data) == nil {
				return sealed.Epoch, nil
			}
		}
	}
	if errors.Is(err, errNoKey) {
		err = secrets.ErrWrongKey
	}
	return 0, err
}

// later is what was sealed again of a revision, the surest first.
func later(s *v1alpha1.Sealing) (all []v1alpha1.SealedBefore) {
	if proven := s.Proven(); proven != nil {
		all = append(all, *proven)
	}
	if s.Again() && s.Confirmed == "" && len(s.Data) > 0 {
		all = append(all, v1alpha1.SealedBefore{Epoch: s.Epoch, Data: s.Data})
	}
	return all
}
