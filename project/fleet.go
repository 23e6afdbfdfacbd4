package project

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fleet is the fleet at one revision of the log. It is a value: neither side changes it after handing it over.
type Fleet struct {
	// Name of the fleet, and Cluster that the member runs in.
	Name, Cluster string
	// Epoch is the id of the log's life, and Revision how far in it this was read. Only states of one epoch can be
	// compared: what is missing from the later of two was removed.
	Epoch    string
	Revision uint64
	Members  []Member
	Bundles  []Bundle
}

// Member is one cluster of the fleet.
type Member struct {
	// Cluster is its name, and UID that of its Cluster object: another cluster of the same name has another.
	Cluster, UID string
	// Labels are those that admins gave it.
	Labels       map[string]string
	Region, Zone string
	// Kubernetes is the version of its kube-apiserver; empty: not known.
	Kubernetes string
	// Server is the URL of its member's API, and Certificate, PEM, what to know that by. Empty: not known.
	Server      string
	Certificate []byte
	Joined      metav1.Time
	// Healthy is whether its kube-apiserver is ready, as its member said last and the leader wrote; nil: nothing yet.
	Healthy *metav1.Condition
}

// Bundle is one bundle, and the clusters that are granted it, sorted.
type Bundle struct {
	Name, UID string
	Clusters  []string
}

// Source is where a Projector learns what the fleet is. It is asked from several goroutines and must not block.
type Source interface {
	// Current is the fleet as far as the member may act on it. False: not known, or not to be acted on; then nothing is
	// written and nothing deleted.
	Current() (Fleet, bool)
	// Changed is closed when Current may have changed since it was called. It is called before Current.
	Changed() <-chan struct{}
}
