//go:build race

package apiserver

// hugeSize is smaller under the race detector, which makes JSON many times slower than any real member is.
const hugeSize = 2 << 20
