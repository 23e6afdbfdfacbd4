// Package reconcile makes one Kubernetes cluster run what the fleet granted it: it applies each granted bundle by
// server-side apply, puts right what others change, prunes what left a bundle, withdraws what is told to go, and
// reports how it is.
//
// It acts only while it holds a Lease in that cluster, deletes only what its inventory in that cluster lists, and
// takes the absence of a grant for nothing at all. DESIGN.md in this folder says how and why.
package reconcile
