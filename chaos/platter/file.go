package platter

import (
	"bytes"
	"math/rand/v2"
	"syscall"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// content is what a file holds.
type content struct {
	seen, durable []byte
	unsynced      []extent
}

// extent is what one write did: bytes at an offset, or the file cut or lengthened to a size.
type extent struct {
	at     int64
	data   []byte
	resize bool
}

func (e extent) apply(b []byte) []byte {
	size := max(e.at+int64(len(e.data)), int64(len(b)))
	if e.resize {
		size = e.at
	}
	if grow := size - int64(len(b)); grow > 0 {
		b = append(b, make([]byte, grow)...)
	}
	copy(b[min(e.at, size):], e.data)
	return b[:size]
}

// sectors splits a write at the disk's own bounds.
func (e extent) sectors() (all []extent) {
	if e.resize {
		return []extent{e}
	}
	for at, rest := e.at, e.data; len(rest) > 0; {
		n := min(sector-at%sector, int64(len(rest)))
		all = append(all, extent{at: at, data: rest[:n]})
		at, rest = at+n, rest[n:]
	}
	return all
}

func (c *content) write(e extent) {
	c.seen = e.apply(c.seen)
	c.unsynced = append(c.unsynced, e)
}

func (c *content) sync() {
	for _, e := range c.unsynced {
		c.durable = e.apply(c.durable)
	}
	c.unsynced = nil
}

// survivor draws what a power cut leaves: what was not synced is there, or not, or any of its sectors are.
func (c *content) survivor(rng *rand.Rand) content {
	left := bytes.Clone(c.durable)
	fate := rng.IntN(4)
	for _, e := range c.unsynced {
		for _, s := range e.sectors() {
			if fate == 0 || fate > 1 && rng.IntN(2) == 0 {
				left = s.apply(left)
			}
		}
	}
	return content{seen: bytes.Clone(left), durable: left}
}

func (p *Platter) read(n *inode, into []byte, at int64) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := n.content.seen
	return into[:copy(into, b[min(at, int64(len(b))):])]
}

func (p *Platter) size(n *inode) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(len(n.content.seen))
}

func (p *Platter) write(n *inode, data []byte, at int64) syscall.Errno {
	return p.extend(n, extent{at: at, data: bytes.Clone(data)})
}

func (p *Platter) resize(n *inode, size int64) syscall.Errno {
	return p.extend(n, extent{at: size, resize: true})
}

func (p *Platter) extend(n *inode, e extent) syscall.Errno {
	p.mu.Lock()
	defer p.mu.Unlock()
	errno := p.begin(Write, n)
	switch {
	case errno == 0:
		n.content.write(e)
	case n.life == p.lives:
		for _, s := range e.sectors() {
			if p.rng.IntN(2) == 0 {
				n.content.write(s)
			}
		}
	}
	return errno
}
