package store

import (
	"encoding/binary"
	"iter"
	"strings"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// recent are the keys that the latest revisions wrote or deleted: what PrefixUnchanged is judged by, since a deleted
// key leaves nothing else behind. At most MaxRecent keys are kept, in whole revisions. For a revision before floor
// nobody can tell any more, and the condition does not hold: the asker looks again and asks with a newer revision.
type recent struct {
	byRevision *iradix.Tree[[]string] // revision (8 bytes) → keys
	keys       int
	floor      Revision
}

func newRecent() recent { return recent{byRevision: iradix.New[[]string]()} }

func revisionKey(r Revision) []byte { return binary.BigEndian.AppendUint64(nil, uint64(r)) }

// load adds a revision and drops none.
func (r recent) load(rev Revision, keys []string) recent {
	r.byRevision, _, _ = r.byRevision.Insert(revisionKey(rev), keys)
	r.keys += len(keys)
	return r
}

func (r recent) add(records []record) recent {
	txn := r.byRevision.Txn()
	left := r.byRevision.Len() + len(records)
	for _, rec := range records {
		txn.Insert(revisionKey(rec.revision), rec.keys())
		r.keys += len(rec.changes)
	}
	for ; r.keys > MaxRecent && left > 1; left-- {
		oldest, dropped, _ := txn.Root().Minimum()
		txn.Delete(oldest)
		r.keys -= len(dropped)
		r.floor = Revision(binary.BigEndian.Uint64(oldest))
	}
	r.byRevision = txn.Commit()
	return r
}

// changed goes over the keys with the prefix that changed after since, one as often as it did. The caller has checked that since is not
// before floor.
func (r recent) changed(prefix string, since Revision) iter.Seq[string] {
	return func(yield func(string) bool) {
		it := r.byRevision.Root().Iterator()
		it.SeekLowerBound(revisionKey(since + 1))
		for _, keys, ok := it.Next(); ok; _, keys, ok = it.Next() {
			for _, key := range keys {
				if strings.HasPrefix(key, prefix) && !yield(key) {
					return
				}
			}
		}
	}
}
