//go:build !race

package apiserver

// hugeSize is the size that a bundle must be able to have.
const hugeSize = 8 << 20
