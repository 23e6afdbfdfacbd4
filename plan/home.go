package plan

import (
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// label is the one whose values are the fault domains of the rollout that runs. As long as it changes any, it keeps the one that they
// are of, and so does what takes its place.
func (c *course) label() string {
	if r := c.running(); r != nil {
		return r.Spec.Domain
	}
	return c.Fleet.Domain
}

// goBy lets the rollout that runs, which changes no fault domain, go by another label. It goes on without those of that label that are lost
// when all of their clusters are where it goes on without already.
func (c *course) goBy(label string) {
	r := c.active
	counts := map[string]bool{}
	for i := range c.Clusters {
		was := c.Clusters[i].Labels[r.Spec.Domain]
		if !slices.Contains(r.Spec.Without, was) && !slices.Contains(r.Spec.Orders.Without, was) {
			counts[c.Clusters[i].Labels[label]] = true
		}
	}
	r.Spec.Domain, r.Spec.Without = label, nil
	for _, domain := range c.lost() {
		if !counts[domain] {
			r.Spec.Without = append(r.Spec.Without, domain)
		}
	}
}

// homes are where clusters are while a bundle is decided on: those that were granted something that has not settled, by the rollout that runs
// or by those whose place it took, and the fault domain of each.
type homes struct {
	*course
	unsettled map[string]string
}

func (c *course) homes() homes {
	h := homes{course: c, unsettled: map[string]string{}}
	if c.active == nil {
		return h
	}
	for _, w := range c.active.Spec.Carried {
		if slices.Contains(c.active.Status.InChange, w.Domain) {
			h.add(w)
		}
	}
	for i, w := range c.active.Spec.Waves {
		switch s := c.active.Status.Waves[i]; {
		case s.Open():
			h.add(w)
		case s.Granted != nil:
			for _, cluster := range slices.Concat(w.Clusters, w.Withdraw) {
				delete(h.unsettled, cluster)
			}
		}
	}
	return h
}

func (h homes) add(w v1alpha1.Wave) {
	for _, cluster := range slices.Concat(w.Clusters, w.Withdraw) {
		h.unsettled[cluster] = w.Domain
	}
}

// of is the fault domain of a cluster: while it may still do what it was granted, the one that it was granted it in, whatever its
// labels say by now; those without the label are one.
func (h homes) of(cluster string) string {
	if h.dangles(cluster) {
		return h.unsettled[cluster]
	}
	if cl := h.cluster(cluster); cl != nil {
		return cl.Labels[h.label()]
	}
	return ""
}

// dangles says that a cluster may still do what it was granted: a fault domain is in change for it.
func (h homes) dangles(cluster string) bool {
	_, is := h.unsettled[cluster]
	return is && !h.proven(cluster)
}

func in(w v1alpha1.Wave, cluster string) bool {
	return slices.Contains(w.Clusters, cluster) || slices.Contains(w.Withdraw, cluster)
}

// carried is what a rollout leaves unsettled to the one that takes its place.
func (h homes) carried() (waves []v1alpha1.Wave) {
	by := map[string][]string{}
	for _, cluster := range sorted(h.unsettled) {
		domain := h.unsettled[cluster]
		by[domain] = append(by[domain], cluster)
	}
	for _, domain := range sorted(by) {
		waves = append(waves, v1alpha1.Wave{Domain: domain, Clusters: by[domain]})
	}
	return waves
}
