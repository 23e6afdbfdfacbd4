package platter

import (
	"maps"
	"slices"
	"syscall"
)

// inode is a file or a folder.
type inode struct {
	number uint64
	life   int // of the platter, in which it was made
	mode   uint32
	// seen and durable are a folder's names.
	seen, durable map[string]*inode
	content       content // a file's
}

// change of names, not durable yet.
type change struct {
	in []*inode // folders
	do func()   // to their durable names
}

func (p *Platter) make(mode uint32) *inode {
	p.numbers++
	return &inode{number: p.numbers, life: p.lives, mode: mode, seen: map[string]*inode{}, durable: map[string]*inode{}}
}

func (n *inode) isFolder() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

func sorted(names map[string]*inode) []string { return slices.Sorted(maps.Keys(names)) }

// lastChangeOf says up to where the journal has to be durable for a folder to be.
func (p *Platter) lastChangeOf(folder *inode) int {
	for i := len(p.journal); i > 0; i-- {
		if slices.Contains(p.journal[i-1].in, folder) {
			return i
		}
	}
	return 0
}

// commit makes the first changes of the journal durable.
func (p *Platter) commit(n int) {
	for _, c := range p.journal[:n] {
		c.do()
	}
	p.journal = p.journal[n:]
}

// lookup returns nil when there is no such name.
func (p *Platter) lookup(folder *inode, name string) *inode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return folder.seen[name]
}

// entry is a name in a folder.
type entry struct {
	name string
	node *inode
}

func (p *Platter) list(folder *inode) (all []entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range sorted(folder.seen) {
		all = append(all, entry{name, folder.seen[name]})
	}
	return all
}

// create makes a file or a folder.
func (p *Platter) create(folder *inode, name string, mode uint32) (*inode, syscall.Errno) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if errno := p.begin(Write, folder); errno != 0 {
		return nil, errno
	}
	if folder.seen[name] != nil {
		return nil, syscall.EEXIST
	}
	n := p.make(mode)
	folder.seen[name] = n
	p.journal = append(p.journal, change{[]*inode{folder}, func() { folder.durable[name] = n }})
	return n, 0
}

func (p *Platter) remove(folder *inode, name string) syscall.Errno {
	p.mu.Lock()
	defer p.mu.Unlock()
	if errno := p.begin(Write, folder); errno != 0 {
		return errno
	}
	switch n := folder.seen[name]; {
	case n == nil:
		return syscall.ENOENT
	case len(n.seen) > 0:
		return syscall.ENOTEMPTY
	}
	delete(folder.seen, name)
	p.journal = append(p.journal, change{[]*inode{folder}, func() { delete(folder.durable, name) }})
	return 0
}

func (p *Platter) rename(from *inode, name string, to *inode, newName string) syscall.Errno {
	p.mu.Lock()
	defer p.mu.Unlock()
	if errno := p.begin(Write, from); errno != 0 {
		return errno
	}
	n := from.seen[name]
	switch replaced := to.seen[newName]; {
	case n == nil:
		return syscall.ENOENT
	case replaced != nil && len(replaced.seen) > 0:
		return syscall.ENOTEMPTY
	}
	delete(from.seen, name)
	to.seen[newName] = n
	p.journal = append(p.journal, change{[]*inode{from, to}, func() {
		delete(from.durable, name)
		to.durable[newName] = n
	}})
	return 0
}
