package store

import (
	"fmt"
	"testing"
)

func TestAViewSaysWhatWasWrittenSinceARevision(t *testing.T) {
	f := newFixture(t)
	first := f.do(Put("/a/x", []byte("1")), Put("/b/x", []byte("1")))
	second := f.do(Put("/a/x", []byte("2")))
	third := f.do(Delete("/b/x"))
	for name, c := range map[string]struct {
		prefixes []string
		since    Revision
		want     bool
	}{
		"written":             {[]string{"/a/"}, first, true},
		"not since":           {[]string{"/a/"}, second, false},
		"deleted":             {[]string{"/b/"}, second, true},
		"one of several":      {[]string{"/c/", "/b/"}, second, true},
		"others alone":        {[]string{"/c/"}, first, false},
		"nothing since":       {[]string{"/a/", "/b/"}, third, false},
		"no prefix":           {nil, first, false},
		"of a later revision": {[]string{"/c/"}, third + 1, true},
	} {
		if got := f.View().Written(c.prefixes, c.since); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for range MaxRecent/MaxOps + 1 {
		var ops []Op
		for i := range MaxOps {
			ops = append(ops, Put(fmt.Sprint("/c/", i), nil))
		}
		f.do(ops...)
	}
	if !f.View().Written([]string{"/a/"}, third) {
		t.Error("what nobody knows any more counts as not written")
	}
}
