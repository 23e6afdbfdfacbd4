package drill

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/watch"
)

// Happening is one event of a watch.
type Happening struct {
	Type     watch.EventType
	Name     string
	Revision uint64
}

func (h Happening) String() string { return fmt.Sprintf("%s %s %d", h.Type, h.Name, h.Revision) }

// Chronicle is all that happened to the objects of one kind, from before there was any, in order. What anybody else saw of
// them is held against it.
type Chronicle []Happening

// Check fails when a chronicle cannot be the story of objects: a revision that does not follow, an object that is made
// twice, or changed or deleted without being there.
func (c Chronicle) Check() error {
	there, last := map[string]uint64{}, uint64(0)
	for _, h := range c {
		had, is := there[h.Name]
		switch {
		case h.Revision < last || h.Revision == had:
			return fmt.Errorf("%s comes after revision %d", h, max(last, had))
		case is == (h.Type == watch.Added):
			return fmt.Errorf("%s, though it is there: %v", h, is)
		}
		last = h.Revision
		there[h.Name] = h.Revision
		if h.Type == watch.Deleted {
			delete(there, h.Name)
		}
	}
	return nil
}

// At is what was there at a revision: the revision of each object, by its name.
func (c Chronicle) At(revision uint64) map[string]uint64 {
	there := map[string]uint64{}
	for _, h := range c {
		switch {
		case h.Revision > revision:
			return there
		case h.Type == watch.Deleted:
			delete(there, h.Name)
		default:
			there[h.Name] = h.Revision
		}
	}
	return there
}

// between is what happened after a revision and not after another.
func (c Chronicle) between(after, until uint64) Chronicle {
	from := slices.IndexFunc(c, func(h Happening) bool { return h.Revision > after })
	if from < 0 {
		return nil
	}
	c = c[from:]
	if to := slices.IndexFunc(c, func(h Happening) bool { return h.Revision > until }); to >= 0 {
		c = c[:to]
	}
	return c
}

// Sighting is what one list, or one watch from its beginning to its end, told a client.
type Sighting struct {
	// From is the revision that a watch began after.
	From uint64
	// Listed is what was there at From; nil: the client knew that already.
	Listed map[string]uint64
	// Seen are the events, and Told is the revision of the last event or bookmark.
	Seen Chronicle
	Told uint64
}

// Confirm fails when a client was told anything but the chronicle: each sighting begins where the one before ended, or
// with all that there was; and from there on nothing is missing, doubled or out of order.
func (c Chronicle) Confirm(sightings []Sighting) error {
	known := uint64(0)
	for i, s := range sightings {
		if s.From < known || s.Listed == nil && s.From != known {
			return fmt.Errorf("sighting %d begins after %d, and the client knows what happened until %d", i, s.From, known)
		}
		if s.Listed != nil {
			if err := same(c.At(s.From), s.Listed); err != nil {
				return fmt.Errorf("sighting %d lists revision %d: %w", i, s.From, err)
			}
		}
		known = max(s.From, s.Told)
		if err := follows(c.between(s.From, known), s.Seen); err != nil {
			return fmt.Errorf("sighting %d, after %d: %w", i, s.From, err)
		}
	}
	return nil
}

// follows fails at the first event that is not what happened.
func follows(happened, seen Chronicle) error {
	for i := range max(len(happened), len(seen)) {
		switch {
		case i >= len(seen):
			return fmt.Errorf("%s is missing, and %d more", happened[i], len(happened)-i-1)
		case i >= len(happened):
			return fmt.Errorf("%s is seen, and did not happen", seen[i])
		case happened[i] != seen[i]:
			return fmt.Errorf("%s is seen where %s happened", seen[i], happened[i])
		}
	}
	return nil
}

// same fails at the first object that two states do not have alike.
func same(want, got map[string]uint64) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			return fmt.Errorf("%s is at %d, and not at %d", name, got[name], want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, is := want[name]; !is {
			return fmt.Errorf("%s is there, and should not be", name)
		}
	}
	return nil
}
