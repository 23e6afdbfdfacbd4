package store

import (
	"crypto/sha256"
	"encoding/binary"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// chunks are the parts of large values, by content. A chunk is loose from when it is written until a transaction
// refers to it, and gone when the last key that refers to it is. Loose ones are given up LooseTime after they were
// last written, and the oldest first when there are more than MaxLoose bytes of them; by the time and the order of
// commands, so on every member alike. Like everything in a View, a chunks is never changed: its methods return the
// next one.
type chunks struct {
	byHash *iradix.Tree[*chunk]
	// loose has time (8 bytes) and hash of every loose chunk, and its size.
	loose      *iradix.Tree[int]
	looseBytes int
}

// chunk is one part. refs counts the places in values of keys that refer to it; written is when it was last written,
// and 0 unless it is loose.
type chunk struct {
	data    []byte
	refs    int
	written int64
}

func newChunks() chunks {
	return chunks{byHash: iradix.New[*chunk](), loose: iradix.New[int]()}
}

// looseKey sorts by time, which is never negative, then by hash.
func looseKey(written int64, h Hash) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(h)), uint64(written))
	return append(key, h[:]...)
}

func (c chunks) get(h Hash) (*chunk, bool) { return c.byHash.Get(h[:]) }

// write adds a chunk, or lets a loose one wait anew.
func (c chunks) write(data []byte, now int64) chunks {
	h := Hash(sha256.Sum256(data))
	old, ok := c.get(h)
	switch {
	case ok && old.refs > 0:
		return c
	case ok:
		data = old.data
		c = c.untie(h, old)
	}
	return c.tie(h, &chunk{data: data, written: now}).trim(MaxLoose)
}

// tie adds a loose chunk.
func (c chunks) tie(h Hash, ch *chunk) chunks {
	c.byHash, _, _ = c.byHash.Insert(h[:], ch)
	c.loose, _, _ = c.loose.Insert(looseKey(ch.written, h), len(ch.data))
	c.looseBytes += len(ch.data)
	return c
}

// untie takes a chunk from the loose ones.
func (c chunks) untie(h Hash, ch *chunk) chunks {
	c.loose, _, _ = c.loose.Delete(looseKey(ch.written, h))
	c.looseBytes -= len(ch.data)
	return c
}

// refer counts one more place that refers to the chunk, which must be there.
func (c chunks) refer(h Hash) chunks {
	ch, _ := c.get(h)
	if ch.refs == 0 {
		c = c.untie(h, ch)
	}
	c.byHash, _, _ = c.byHash.Insert(h[:], &chunk{data: ch.data, refs: ch.refs + 1})
	return c
}

// release counts one place less, and drops the chunk with its last.
func (c chunks) release(h Hash) chunks {
	ch, _ := c.get(h)
	if ch.refs == 1 {
		c.byHash, _, _ = c.byHash.Delete(h[:])
		return c
	}
	c.byHash, _, _ = c.byHash.Insert(h[:], &chunk{data: ch.data, refs: ch.refs - 1})
	return c
}

// trim gives up the oldest loose chunks until at most limit bytes are left.
func (c chunks) trim(limit int) chunks {
	for c.looseBytes > limit {
		c = c.dropOldest()
	}
	return c
}

// expire gives up the loose chunks that have waited too long.
func (c chunks) expire(now int64) chunks {
	for c.loose.Len() > 0 {
		key, _, _ := c.loose.Root().Minimum()
		written := int64(binary.BigEndian.Uint64(key))
		if now-int64(LooseTime) < written {
			break
		}
		c = c.dropOldest()
	}
	return c
}

func (c chunks) dropOldest() chunks {
	key, size, _ := c.loose.Root().Minimum()
	c.byHash, _, _ = c.byHash.Delete(key[8:])
	c.loose, _, _ = c.loose.Delete(key)
	c.looseBytes -= size
	return c
}

// missing lists the hashes of the ops that are not there, each once, in the order of the ops.
func (c chunks) missing(ops []Op) []Hash {
	var missing []Hash
	seen := map[Hash]bool{}
	for _, op := range ops {
		for _, h := range op.Chunks {
			if _, ok := c.get(h); !ok && !seen[h] {
				missing = append(missing, h)
				seen[h] = true
			}
		}
	}
	return missing
}

// assemble makes a large value of chunks that are all there.
func (c chunks) assemble(hashes []Hash) *large {
	parts := make([][]byte, len(hashes))
	for i, h := range hashes {
		ch, _ := c.get(h)
		parts[i] = ch.data
	}
	return newLarge(hashes, parts)
}
