// Package backup is the form in which a fleet's state is kept outside of the fleet, and the places where that may lie. A
// backup is encrypted by the member that makes it: its plaintext is on no disk and on no wire.
package backup
