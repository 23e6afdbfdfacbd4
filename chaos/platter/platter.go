// Package platter is a disk that one can pull the plug of: a file system in memory that keeps apart what a reader sees
// and what was synced, fails and stalls when told to, and is mounted by FUSE, so that programs use it as any other. What
// they get away with only because the kernel wrote it out in time comes to light on it.
//
// It holds programs to what POSIX promises. Written bytes are durable once their file is synced, and a name once its
// folder is. What is not durable when the power goes is drawn: of the names a first part of their changes survives, as
// with a journal, and of the bytes any of the sectors.
package platter

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// Platter is the file system. Its methods may be called from any goroutine.
type Platter struct {
	mu      sync.Mutex
	rng     *rand.Rand
	root    *inode
	numbers uint64 // inodes made
	lives   int    // how often the power went
	journal []change
	faults  faults
}

// faults are what is wrong with the disk.
type faults struct {
	after  map[Operation]int // how many of them still succeed, before they fail
	errno  map[Operation]syscall.Errno
	delay  time.Duration // of a sync
	lying  bool          // a sync returns, and did nothing
	broken syscall.Errno // all fails, since something did
}

// Operation is what Fail can make fail.
type Operation string

// What a disk is asked for. A change of names, or of a file's size, counts as a write.
const (
	Write Operation = "write"
	Sync  Operation = "sync"
)

// New returns an empty one that draws from rng.
func New(rng *rand.Rand) *Platter {
	p := &Platter{rng: rng}
	p.Heal()
	p.root = p.make(syscall.S_IFDIR | 0o700)
	return p
}

// Fail makes the nth such operation from now on fail, the next being the first, and after it all operations of any kind.
// A write that fails may have reached the disk in part.
func (p *Platter) Fail(op Operation, n int, errno syscall.Errno) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.after[op], p.faults.errno[op] = n, errno
}

// Delay makes every sync from now on take so long.
func (p *Platter) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.delay = d
}

// Lie makes every sync from now on return at once, with nothing done.
func (p *Platter) Lie() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.lying = true
}

// Heal takes all faults back.
func (p *Platter) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults{after: map[Operation]int{}, errno: map[Operation]syscall.Errno{}}
}

// Cut is the power failing, and coming back. Whoever has a file open still reads what it saw, but writes and syncs
// nothing any more: its process is gone, as far as the disk knows.
func (p *Platter) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lives++
	if n := len(p.journal); n > 0 {
		p.commit(p.rng.IntN(n + 1))
	}
	p.journal = nil
	p.root = p.survivor(p.root, map[*inode]*inode{})
}

// survivor is what a power cut leaves of an inode.
func (p *Platter) survivor(n *inode, done map[*inode]*inode) *inode {
	if s := done[n]; s != nil {
		return s
	}
	s := p.make(n.mode)
	done[n] = s
	for _, name := range sorted(n.durable) {
		kept := p.survivor(n.durable[name], done)
		s.seen[name], s.durable[name] = kept, kept
	}
	s.content = n.content.survivor(p.rng)
	return s
}

// begin says whether an operation fails, and with what. It is called with the lock held.
func (p *Platter) begin(op Operation, n *inode) syscall.Errno {
	f := &p.faults
	switch {
	case n.life != p.lives:
		return syscall.EIO
	case f.broken != 0:
	case f.after[op] == 1:
		f.broken = f.errno[op]
	case f.after[op] > 1:
		f.after[op]--
	}
	return f.broken
}

// sync makes an inode durable: the bytes of a file, the names in a folder.
func (p *Platter) sync(n *inode) syscall.Errno {
	p.mu.Lock()
	delay, lying := p.faults.delay, p.faults.lying
	p.mu.Unlock()
	time.Sleep(delay)
	p.mu.Lock()
	defer p.mu.Unlock()
	if errno := p.begin(Sync, n); errno != 0 || lying {
		return errno
	}
	n.content.sync()
	if n.isFolder() {
		p.commit(p.lastChangeOf(n))
	}
	return 0
}
