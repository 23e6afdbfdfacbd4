package consensustest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/raft"
)

// Rot flips one bit of what lies on the disk, in an entry of the log, a value or a snapshot, as drawn, and says where.
func (d *Disk) Rot() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	where, rot := d.pick()
	rot(&d.content)
	if d.durable != nil && d.durable.holds(where) {
		rot(d.durable)
	}
	return where
}

func (c *content) holds(where string) bool { return slices.Contains(c.places(), where) }

// places names all that can rot, in an order that does not depend on a map's.
func (c *content) places() []string {
	var all []string
	for _, i := range slices.Sorted(maps.Keys(c.log)) {
		all = append(all, fmt.Sprintf("entry %d", i))
	}
	for _, k := range slices.Sorted(maps.Keys(c.stable)) {
		all = append(all, "value "+k)
	}
	for _, f := range c.snapshots {
		all = append(all, "snapshot "+f.meta.ID)
	}
	return all
}

func (d *Disk) pick() (where string, rot func(*content)) {
	all := d.content.places()
	if len(all) == 0 {
		return "nowhere: the disk is empty", func(*content) {}
	}
	where = all[d.rng.IntN(len(all))]
	field, bit := d.rng.Uint32(), d.rng.Uint32()
	return where, func(c *content) {
		var index uint64
		if n, _ := fmt.Sscanf(where, "entry %d", &index); n == 1 {
			c.log[index] = rotLog(c.log[index], field, bit)
			return
		}
		if v, ok := c.stable[where[len("value "):]]; ok && where[0] == 'v' {
			c.stable[where[len("value "):]] = flip(v, bit)
			return
		}
		for i, f := range c.snapshots {
			if where == "snapshot "+f.meta.ID {
				c.snapshots = slices.Clone(c.snapshots)
				c.snapshots[i] = rotFile(f, field, bit)
			}
		}
	}
}

func rotLog(l raft.Log, field, bit uint32) raft.Log {
	switch fields := []*uint64{&l.Index, &l.Term}; {
	case field%5 < 2:
		*fields[field%5] ^= 1 << (bit % 64)
	case field%5 == 2:
		l.Type ^= 1 << (bit % 8)
	case field%5 == 3 && len(l.Extensions) > 0:
		l.Extensions = flip(l.Extensions, bit)
	case len(l.Data) > 0:
		l.Data = flip(l.Data, bit)
	default:
		l.Term ^= 1 << (bit % 64)
	}
	return l
}

func rotFile(f file, field, bit uint32) file {
	switch {
	case field%4 == 0:
		f.meta.Index ^= 1 << (bit % 64)
	case field%4 == 1:
		f.meta.Term ^= 1 << (bit % 64)
	case field%4 == 2 && len(f.meta.Configuration.Servers) > 0:
		f.meta.Configuration = f.meta.Configuration.Clone()
		f.meta.Configuration.Servers[0].Suffrage ^= 1
	default:
		f.data = flip(f.data, bit)
	}
	return f
}

func flip(b []byte, bit uint32) []byte {
	if len(b) == 0 {
		return []byte{0}
	}
	b = bytes.Clone(b)
	bit %= uint32(len(b)) * 8
	b[bit/8] ^= 1 << (bit % 8)
	return b
}
