package store

import (
	"bytes"
	"iter"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// Indexer is what an Authorizer may be besides: it says by what a key is found that its name does not tell, so that View.Find need
// not read every value.
type Indexer interface {
	// Term is "" for a key that has none. It is pure; value costs something for a large one, so a look at the key comes first.
	Term(key string, value func() []byte) string
}

// terms are the keys by their terms. They follow from the keys and are in no snapshot.
type terms struct {
	index Indexer // nil: no key has a term
	keys  *iradix.Tree[string]
}

func newTerms(auth Authorizer) terms {
	index, _ := auth.(Indexer)
	return terms{index: index, keys: iradix.New[string]()}
}

// Find goes over the keys with a term, in order.
func (v *View) Find(term string) iter.Seq[string] {
	return func(yield func(string) bool) {
		it := v.terms.keys.Root().Iterator()
		it.SeekPrefix(termKey(term, ""))
		for at, key, ok := it.Next(); ok; at, key, ok = it.Next() {
			if bytes.Equal(at, termKey(term, key)) && !yield(key) {
				return
			}
		}
	}
}

// follow takes over what changed.
func (t terms) follow(changes []change) terms {
	for _, ch := range changes {
		if term := t.of(ch.prev); term != "" {
			t.keys, _, _ = t.keys.Delete(termKey(term, ch.key))
		}
		if term := t.of(ch.entry); term != "" {
			t.keys, _, _ = t.keys.Insert(termKey(term, ch.key), ch.key)
		}
	}
	return t
}

func (t terms) of(e *entry) string {
	if t.index == nil || e == nil {
		return ""
	}
	return t.index.Term(e.key, e.bytes)
}

func termKey(term, key string) []byte { return []byte(term + "\x00" + key) }
