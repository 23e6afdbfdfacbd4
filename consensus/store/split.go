package store

import (
	"crypto/sha256"
	"slices"
)

// Chunks end where the content says so, not at fixed places, so that two values that share a long stretch share its
// chunks wherever it lies: a bundle and its revisions, and a bundle before and after an edit.
const (
	splitMin = 8 << 10
	// splitMask has one bit set in 2^15 places: a chunk has 8 KiB and 32 KiB more on average.
	splitMask = (1<<15 - 1) << 49
)

// gear gives each byte value a random number; how it is made is fixed, because members must split alike to share.
var gear = makeGear()

// makeGear fills the table by splitmix64.
func makeGear() (table [256]uint64) {
	x := uint64(0x68616e7365) // "hanse"
	for i := range table {
		x += 0x9e3779b97f4a7c15
		z := (x ^ x>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		table[i] = z ^ z>>31
	}
	return table
}

// Split cuts a value into the chunks that stand for it. A value of at most MaxInline bytes stays in one piece. The
// chunks share the value's memory.
func Split(value []byte) [][]byte {
	if len(value) <= MaxInline {
		return [][]byte{value}
	}
	var parts [][]byte
	for len(value) > 0 {
		n := boundary(value)
		parts = append(parts, value[:n:n])
		value = value[n:]
	}
	return parts
}

// boundary is where the first chunk of data ends.
func boundary(data []byte) int {
	end := min(len(data), MaxChunk)
	var hash uint64
	for i := min(splitMin, end); i < end; i++ {
		hash = hash<<1 + gear[data[i]]
		if hash&splitMask == 0 {
			return i + 1
		}
	}
	return end
}

// Chunk is a part of a value, to be written before the transaction that refers to it.
type Chunk struct {
	Hash Hash
	Data []byte
}

// inlineBudget is what the values of a transaction may take in an entry, so that keys and conditions have room too.
const inlineBudget = MaxEntry / 2

// SplitTxn takes the values over MaxInline out of a transaction, and more, the largest first, until the rest fits
// into an entry. It returns the transaction that refers to chunks in their place, and these chunks, each once.
func SplitTxn(txn Txn) (Txn, []Chunk) {
	out := Txn{If: txn.If, Then: slices.Clone(txn.Then)}
	bySize := make([]int, len(out.Then))
	total := 0
	for i, op := range out.Then {
		bySize[i] = i
		total += len(op.Value)
	}
	slices.SortStableFunc(bySize, func(a, b int) int { return len(out.Then[b].Value) - len(out.Then[a].Value) })
	var all []Chunk
	seen := map[Hash]bool{}
	for _, i := range bySize {
		op := &out.Then[i]
		if len(op.Value) == 0 || len(op.Value) <= MaxInline && total <= inlineBudget {
			break
		}
		total -= len(op.Value)
		all = op.split(all, seen)
	}
	return out, all
}

// split puts hashes in the place of the op's value and adds its chunks to those of others.
func (o *Op) split(all []Chunk, seen map[Hash]bool) []Chunk {
	for _, part := range Split(o.Value) {
		h := Hash(sha256.Sum256(part))
		o.Chunks = append(o.Chunks, h)
		if !seen[h] {
			seen[h] = true
			all = append(all, Chunk{Hash: h, Data: part})
		}
	}
	o.Value = nil
	return all
}
