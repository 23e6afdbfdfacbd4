package kvstorage

import "context"

// Sight is a state as a reader gets it.
type Sight = sight

// State is for kinds that are computed: the state by the rules of resourceVersion, with all that was acknowledged or just
// what is here, warned of and refused as a stored kind's is.
func (s *Storage) State(ctx context.Context, acknowledged bool) (Sight, error) {
	if acknowledged {
		return s.notOlderThan(ctx, "")
	}
	return s.notOlderThan(ctx, "0")
}

// Missing is the answer about a name that is not in a state: nil when it is surely nowhere.
func (s *Storage) Missing(v Sight, name string) error {
	if v.stale == nil {
		return nil
	}
	return s.unknown(v, s.Prefix+"/"+name)
}
