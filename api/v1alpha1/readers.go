package v1alpha1

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Candidate is a cluster of which the specs of groups say whose keys it may have, by a recipient of its own; or, without a cluster, who recovers a group.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Candidate struct {
	Cluster, Recipient string
	// Key tells its recipient from others, as KeyID does.
	Key string
	// Labels are the cluster's.
	Labels labels.Set
}

// CandidateOf is a cluster as groups look at it.
func CandidateOf(c *Cluster) Candidate {
	return Candidate{c.Name, c.Status.Recipient, KeyID(c.Status.Recipient), c.Labels}
}

// Readers are who may have the key of a group, and so read what is sealed for it.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Readers struct {
	// All are first those who recover the group, then the clusters by their names.
	All      []Candidate
	selector labels.Selector
}

// Readers are, of some clusters, those that may have the group's key, and who recovers it. The error says that its selector cannot be read.
func (s *RecipientGroupSpec) Readers(fleet *FleetSpec, clusters []Candidate) (r Readers, err error) {
	if r.selector, err = metav1.LabelSelectorAsSelector(s.ClusterSelector); err != nil {
		return Readers{}, err
	}
	people := s.Recovery(fleet)
	r.All = make([]Candidate, 0, len(people)+len(clusters))
	for _, recipient := range people {
		r.All = append(r.All, Candidate{Recipient: recipient, Key: KeyID(recipient)})
	}
	for _, c := range clusters {
		if r.Admits(c) {
			r.All = append(r.All, c)
		}
	}
	slices.SortStableFunc(r.All, func(a, b Candidate) int { return strings.Compare(a.Cluster, b.Cluster) })
	return r, nil
}

// Admits says whether a cluster, be it one of these or not, may have the group's key.
func (r Readers) Admits(c Candidate) bool { return c.Recipient != "" && r.Picks(c.Labels) }

// Picks says whether the group's selector picks a cluster with some labels: without a recipient it reads nothing nevertheless.
func (r Readers) Picks(of labels.Set) bool { return r.selector.Matches(of) }

// Reads says whether a cluster, or without one who recovers the group, may have the key by a recipient of its own.
func (r Readers) Reads(cluster, key string) bool {
	return slices.ContainsFunc(r.of(cluster), func(c Candidate) bool { return c.Key == key })
}

// Recipient is that of a cluster which may have the key, "" of another one.
func (r Readers) Recipient(cluster string) string {
	if own := r.of(cluster); cluster != "" && len(own) > 0 {
		return own[0].Recipient
	}
	return ""
}

// Only says that no other cluster may have the key.
func (r Readers) Only(cluster string) bool {
	return len(r.Clusters(func(c Candidate) bool { return c.Cluster != cluster })) == 0
}

// Clusters are the names of those that are so.
func (r Readers) Clusters(so func(Candidate) bool) (names []string) {
	for _, c := range r.All {
		if c.Cluster != "" && so(c) {
			names = append(names, c.Cluster)
		}
	}
	return names
}

// Holders are the clusters that hold the present key of the group, and may.
func (r Readers) Holders(g *RecipientGroup) []string {
	return r.wrappedFor(g, func(w KeyWrap) bool { return w.Epoch == g.Status.Epoch })
}

// HadBeside are the clusters beside one that hold the present key of the group, or one before it of which their wraps are still there, and may.
func (r Readers) HadBeside(g *RecipientGroup, cluster string) []string {
	return r.wrappedFor(g, func(w KeyWrap) bool { return w.Cluster != cluster })
}

// wrappedFor are the clusters that may have the key and hold one of some wraps.
func (r Readers) wrappedFor(g *RecipientGroup, of func(KeyWrap) bool) (names []string) {
	for _, w := range g.Status.Wraps {
		if w.Cluster != "" && w.Opens() && of(w) && r.Reads(w.Cluster, w.Key) {
			names = append(names, w.Cluster)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// of are those of a cluster: one, or none; and all who recover the group, without one.
func (r Readers) of(cluster string) []Candidate {
	from, _ := slices.BinarySearchFunc(r.All, cluster, func(c Candidate, name string) int { return strings.Compare(c.Cluster, name) })
	to := from
	for to < len(r.All) && r.All[to].Cluster == cluster {
		to++
	}
	return r.All[from:to]
}
