// Package project writes what the fleet is into the member's own cluster, in the words of SIG Multicluster, for
// consumers that know nothing of hanse: one way, read-only, and never more than the log says. See DESIGN.md.
package project
