//go:build !hanse_next

package store

// ahead is by how many versions this program is before those that people get: by none, because this is one of them.
const ahead = 0
