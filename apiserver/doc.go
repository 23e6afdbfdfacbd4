// Package apiserver serves the kinds of a fleet from the replicated store, by k8s.io/apiserver, to kubectl and to
// hanse: over TCP to people whose client certificates are pinned, and over a Unix socket to whoever may open the
// member's data directory.
//
// It is described in DESIGN.md.
package apiserver
