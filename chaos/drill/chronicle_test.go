package drill

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/watch"
)

var history = Chronicle{
	{watch.Added, "a", 3}, {watch.Added, "b", 5}, {watch.Modified, "a", 6}, {watch.Deleted, "b", 9}, {watch.Added, "b", 12},
}

func TestAStoryThatCannotBeIsSeen(t *testing.T) {
	if err := history.Check(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Chronicle{
		"doubled":               {{watch.Added, "a", 3}, {watch.Modified, "a", 3}},
		"out of order":          {{watch.Added, "a", 3}, {watch.Added, "b", 2}},
		"made twice":            {{watch.Added, "a", 3}, {watch.Added, "a", 4}},
		"changed, not there":    {{watch.Modified, "a", 3}},
		"deleted a second time": {{watch.Added, "a", 3}, {watch.Deleted, "a", 4}, {watch.Deleted, "a", 5}},
	} {
		if c.Check() == nil {
			t.Errorf("%s: not seen", name)
		}
	}
}

func TestAClientIsHeldAgainstWhatHappened(t *testing.T) {
	listed := map[string]uint64{"a": 6}
	for name, c := range map[string]struct {
		told []Sighting
		want string
	}{
		"all":                      {[]Sighting{{Listed: map[string]uint64{}, Seen: history, Told: 12}}, ""},
		"resumed":                  {[]Sighting{{Listed: map[string]uint64{}, Seen: history[:2], Told: 5}, {From: 5, Seen: history[2:], Told: 12}}, ""},
		"resumed after a bookmark": {[]Sighting{{Listed: map[string]uint64{}, Seen: history[:4], Told: 11}, {From: 11, Seen: history[4:], Told: 12}}, ""},
		"listed anew":              {[]Sighting{{Listed: map[string]uint64{}, Seen: history[:1], Told: 3}, {From: 10, Listed: listed, Seen: history[4:], Told: 12}}, ""},
		"missed":                   {[]Sighting{{Listed: map[string]uint64{}, Seen: Chronicle{history[0], history[2]}, Told: 6}}, "MODIFIED a 6 is seen where ADDED b 5 happened"},
		"missed before a bookmark": {[]Sighting{{Listed: map[string]uint64{}, Seen: history[:1], Told: 5}}, "ADDED b 5 is missing, and 0 more"},
		"doubled":                  {[]Sighting{{Listed: map[string]uint64{}, Seen: Chronicle{history[0], history[0]}, Told: 3}}, "is seen, and did not happen"},
		"a gap between two":        {[]Sighting{{Listed: map[string]uint64{}, Seen: history[:1], Told: 3}, {From: 5, Seen: history[2:], Told: 12}}, "begins after 5, and the client knows what happened until 3"},
		"back in time":             {[]Sighting{{From: 10, Listed: listed}, {From: 9, Listed: listed}}, "begins after 9"},
		"an old list":              {[]Sighting{{From: 12, Listed: listed}}, "b is at 0, and not at 12"},
		"a list of too much":       {[]Sighting{{From: 10, Listed: map[string]uint64{"a": 6, "b": 5}}}, "b is there, and should not be"},
	} {
		err := history.Confirm(c.told)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
