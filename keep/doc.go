// Package keep is a member as a holder of groups' keys: it opens what its cluster may read, and keeps the keys, and what is sealed to them, for the
// others of each group. See DESIGN.md.
package keep
