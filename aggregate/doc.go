// Package aggregate puts a member's API into the member's own cluster: it registers the group with the cluster's
// kube-apiserver, believes that one about who asks, and asks it what they may do there. What the cluster may do to the
// fleet is not decided here; the log's law does.
//
// It is described in DESIGN.md.
package aggregate
