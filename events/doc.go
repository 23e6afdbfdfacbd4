// Package events tells the people of a cluster, as Events in that cluster, what its member does there: few of them, and
// what repeats itself is one Event that counts.
//
// It is described in DESIGN.md.
package events
