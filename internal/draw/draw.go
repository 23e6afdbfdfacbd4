// Package draw lets each member choose among the others in an order of its own, which stays when one comes or goes.
package draw

import "hash/fnv"

// Number is made from both ends: sorted by it, the others stand in an order that differs from member to member.
func Number[ID ~string](self, other ID) uint64 {
	h := fnv.New64a()
	h.Write([]byte(self))
	h.Write([]byte{0})
	h.Write([]byte(other))
	return mix(h.Sum64())
}

// mix spreads the bits: ids that differ in their last letters only would otherwise be drawn in the same order.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
