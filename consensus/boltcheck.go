package consensus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// bbolt checks only its two meta pages, uses the older when the newer is damaged, and panics, also in goroutines of
// its own, on what it does not expect elsewhere. So its file is walked before it is opened: both meta pages, and every
// page that can be reached, each once, inside the file, with its elements inside it and their keys in order. What the
// values hold is for the checksums in them.
//
//	page     id (8 bytes), kind (2), count of elements (2), pages that follow it (4), elements, keys and values
//	meta     magic, version, page size, flags (4 each), root page, sequence, free list, pages, txid, FNV-1a (8 each)
//	branch   element: offset of the key from here, length of the key (4 each), page (8)
//	leaf     element: kind, offset of the key from here, lengths of key and value (4 each); the value follows the key
//	bucket   a value of the kind 1: root page, sequence (8 each); root page 0: a page of its own follows
//
// Integers are of the machine's byte order.
const (
	boltMagic, boltVersion   = 0xED0CDAED, 2
	boltBranch, boltLeaf     = 1, 2
	boltBucket               = 1
	boltPageHead, boltElem   = 16, 16
	boltMeta                 = 64
	boltMinPage, boltMaxPage = 1 << 10, 1 << 16
)

// boltFile walks a file.
type boltFile struct {
	from     io.ReaderAt
	pageSize int64
	pages    uint64 // how many the newest meta knows
	seen     map[uint64]bool
}

func damagedPage(page uint64, why string, args ...any) error {
	return &DamagedError{What: "log", Where: fmt.Sprintf("page %d of %s", page, logFile), Why: fmt.Sprintf(why, args...)}
}

// checkBolt returns nil for a file that bbolt wrote, or that is empty.
func checkBolt(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	b := &boltFile{from: f, seen: map[uint64]bool{}}
	root, txid, err := b.metas(info.Size())
	if err != nil {
		return err
	}
	var buckets []string
	if err := b.walk(root, nil, func(kind uint32, k, v []byte) error {
		buckets = append(buckets, string(k))
		return b.bucket(root, kind, v)
	}); err != nil {
		return err
	}
	if txid > 1 && !slices.Equal(buckets, []string{"conf", "logs"}) {
		return damagedPage(root, "its buckets are %q", buckets)
	}
	return nil
}

// metas reads both meta pages. They are of two transactions in a row.
func (b *boltFile) metas(size int64) (root, txid uint64, err error) {
	first, err := b.meta(0, 0)
	if err != nil {
		return 0, 0, err
	}
	b.pageSize = int64(binary.NativeEndian.Uint32(first[8:]))
	if b.pageSize < boltMinPage || b.pageSize > boltMaxPage || b.pageSize&(b.pageSize-1) != 0 {
		return 0, 0, damagedPage(0, "pages of %d bytes", b.pageSize)
	}
	second, err := b.meta(1, b.pageSize)
	if err != nil {
		return 0, 0, err
	}
	number := func(meta []byte, at int) uint64 { return binary.NativeEndian.Uint64(meta[at:]) }
	newest, t0, t1 := second, number(first, 48), number(second, 48)
	if t0 > t1 {
		newest, t0, t1 = first, t1, t0
	}
	if t1 != t0+1 {
		return 0, 0, damagedPage(0, "its transaction is %d, the other meta page's %d", t0, t1)
	}
	b.pages = number(newest, 40)
	if b.pages > uint64(size/b.pageSize) {
		return 0, 0, damagedPage(b.pages-1, "the file ends before it")
	}
	return number(newest, 16), t1, nil
}

func (b *boltFile) meta(page uint64, at int64) ([]byte, error) {
	m := make([]byte, boltPageHead+boltMeta)
	if err := b.read(m, at, page); err != nil {
		return nil, err
	}
	m = m[boltPageHead:]
	h := fnv.New64a()
	h.Write(m[:boltMeta-8])
	switch {
	case binary.NativeEndian.Uint32(m) != boltMagic || binary.NativeEndian.Uint32(m[4:]) != boltVersion:
		return nil, damagedPage(page, "it is no meta page")
	case binary.NativeEndian.Uint64(m[boltMeta-8:]) != h.Sum64():
		return nil, damagedPage(page, "its checksum differs")
	}
	return m, nil
}

func (b *boltFile) read(p []byte, at int64, page uint64) error {
	if _, err := b.from.ReadAt(p, at); err != nil {
		return damagedPage(page, "%v", err)
	}
	return nil
}

// page reads one page with those that follow it, and marks them as reached.
func (b *boltFile) page(id uint64) ([]byte, error) {
	if id < 2 || id >= b.pages {
		return nil, damagedPage(id, "there is no such page")
	}
	head := make([]byte, boltPageHead)
	if err := b.read(head, int64(id)*b.pageSize, id); err != nil {
		return nil, err
	}
	follow := uint64(binary.NativeEndian.Uint32(head[12:]))
	if follow >= b.pages-id {
		return nil, damagedPage(id, "%d pages follow it", follow)
	}
	for i := id; i <= id+follow; i++ {
		if b.seen[i] {
			return nil, damagedPage(i, "it is reached twice")
		}
		b.seen[i] = true
	}
	p := make([]byte, int64(follow+1)*b.pageSize)
	if err := b.read(p, int64(id)*b.pageSize, id); err != nil {
		return nil, err
	}
	if binary.NativeEndian.Uint64(p) != id {
		return nil, damagedPage(id, "it says to be page %d", binary.NativeEndian.Uint64(p))
	}
	return p, nil
}

// walk goes over the tree below a page in the order of the keys, and calls leaf for each key. after is the key that all
// must not be before; nil: none.
func (b *boltFile) walk(id uint64, after []byte, leaf func(kind uint32, k, v []byte) error) error {
	p, err := b.page(id)
	if err != nil {
		return err
	}
	_, err = b.elements(id, p, after, leaf)
	return err
}

// elements goes over a page's elements, and below them.
func (b *boltFile) elements(id uint64, p, after []byte, leaf func(kind uint32, k, v []byte) error) (last []byte, err error) {
	kind, count := binary.NativeEndian.Uint16(p[8:]), int(binary.NativeEndian.Uint16(p[10:]))
	if kind != boltLeaf && kind != boltBranch || kind == boltBranch && count == 0 {
		return nil, damagedPage(id, "it is of the kind %d with %d elements", kind, count)
	}
	if boltPageHead+count*boltElem > len(p) {
		return nil, damagedPage(id, "%d elements", count)
	}
	for i := range count {
		e := p[boltPageHead+i*boltElem:]
		k, v, ok := boltElement(kind, e)
		if !ok || len(k) == 0 || i > 0 && bytes.Compare(last, k) >= 0 || i == 0 && bytes.Compare(k, after) < 0 {
			return nil, damagedPage(id, "its element %d", i)
		}
		last = k
		if kind == boltBranch {
			err = b.walk(binary.NativeEndian.Uint64(e[8:]), k, leaf)
		} else {
			err = leaf(binary.NativeEndian.Uint32(e), k, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return last, nil
}

// boltElement returns an element's key, and a leaf's value. e begins at the element and ends with the page.
func boltElement(kind uint16, e []byte) (k, v []byte, ok bool) {
	number := func(at int) uint64 { return uint64(binary.NativeEndian.Uint32(e[at:])) }
	pos, keys, values := number(0), number(4), uint64(0)
	if kind == boltLeaf {
		pos, keys, values = number(4), number(8), number(12)
	}
	if pos < boltElem || pos+keys+values > uint64(len(e)) {
		return nil, nil, false
	}
	return e[pos:][:keys], e[pos+keys:][:values], true
}

// bucket walks one of the root's buckets; in those there are only values.
func (b *boltFile) bucket(page uint64, kind uint32, v []byte) error {
	if kind != boltBucket || len(v) < 16 {
		return damagedPage(page, "it holds what is no bucket")
	}
	value := func(kind uint32, _, _ []byte) error {
		if kind != 0 {
			return damagedPage(page, "a bucket in a bucket")
		}
		return nil
	}
	if root := binary.NativeEndian.Uint64(v); root != 0 {
		return b.walk(root, nil, value)
	}
	inline := v[16:]
	if len(inline) < boltPageHead || binary.NativeEndian.Uint16(inline[8:]) != boltLeaf {
		return damagedPage(page, "it holds what is no bucket")
	}
	_, err := b.elements(page, inline, nil, value)
	return err
}
