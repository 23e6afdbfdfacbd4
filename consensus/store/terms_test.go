package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// firstByte finds the keys under /a/ by how their values begin.
type firstByte struct{}

func (firstByte) Authorize(*View, Asker, Txn) error { return nil }

func (firstByte) Term(key string, value func() []byte) string {
	if !strings.HasPrefix(key, "/a/") {
		return ""
	}
	v := value()
	return string(v[:min(len(v), 1)])
}

func TestFindIsWhatReadingAllWouldFind(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		s := New(firstByte{})
		for i, e := range drawLog(t) {
			applyEntry(t, s, i, e)
			found += finds(t, s.View())
		}
		again := New(firstByte{})
		if err := again.Restore(bytes.NewReader(bytesOf(t, s))); err != nil {
			t.Fatal(err)
		}
		finds(t, again.View())
	})
	if found == 0 {
		t.Error("no life had anything to find")
	}
}

// finds compares every term with a scan.
func finds(t *rapid.T, v *View) (found int) {
	want := map[string][]string{}
	for kv := range v.Iterate("", "") {
		if term := (firstByte{}).Term(kv.Key, func() []byte { return kv.Value }); term != "" {
			want[term] = append(want[term], kv.Key)
		}
	}
	for b := range 256 {
		term := string([]byte{byte(b)})
		got := slices.Collect(v.Find(term))
		if !slices.Equal(got, want[term]) {
			t.Fatalf("%q: found %q, there are %q", term, got, want[term])
		}
		found += len(got)
	}
	return found
}

func TestATermIsNotFoundByItsBeginning(t *testing.T) {
	v := newView(firstByte{})
	v.terms.keys, _, _ = v.terms.keys.Insert(termKey("a\x00/a/1", "/a/2"), "/a/2")
	v.terms.keys, _, _ = v.terms.keys.Insert(termKey("ab", "/a/3"), "/a/3")
	if got := fmt.Sprint(slices.Collect(v.Find("a"))); got != "[]" {
		t.Error(got)
	}
}
