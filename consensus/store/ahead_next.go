//go:build hanse_next

package store

// ahead makes this program what the next release may be: one that can apply one version of the log more, and does with it
// what it did before. Drills upgrade to it a fleet of real daemons; nobody ships it.
const ahead = 1
