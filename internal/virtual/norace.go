//go:build !race

package virtual

// Race says that the race detector looks on.
const Race = false
