package agent

import (
	"cmp"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/report"
)

// tally is what runs where, counted.
type tally struct {
	clusters map[string]v1alpha1.BundleCounts
	// spots count the clusters that have a bundle, by region.
	spots map[spot]v1alpha1.BundleCounts
	// ill are the clusters in which a bundle failed, and where it only drifted.
	ill map[string]*illness
}

type spot struct{ bundle, region string }

type illness struct{ failed, drifted []string }

// tally counts what every Work of a view says.
func (w *works) tally(v *store.View) (tally, error) {
	regions := map[string]string{}
	for _, m := range v.Members() {
		regions[m.Cluster] = m.Region
	}
	t := tally{clusters: map[string]v1alpha1.BundleCounts{}, spots: map[spot]v1alpha1.BundleCounts{}, ill: map[string]*illness{}}
	err := w.each(v, w.core.sightings(v), func(p pair, e entry, said report.Bundle) {
		if region, member := regions[p.cluster]; member {
			t.add(p, region, counted(v1alpha1.BundleCounts{}, e.ready(p, said), said.Status))
		}
	})
	return t, err
}

// add adds what one bundle is in one cluster.
func (t tally) add(p pair, region string, one v1alpha1.BundleCounts) {
	t.clusters[p.cluster] = t.clusters[p.cluster].Plus(one)
	at := spot{p.bundle, region}
	t.spots[at] = t.spots[at].Plus(one)
	if one.Failed+one.Drifted == 0 {
		return
	}
	if t.ill[p.bundle] == nil {
		t.ill[p.bundle] = &illness{}
	}
	if i := t.ill[p.bundle]; one.Failed > 0 {
		i.failed = append(i.failed, p.cluster)
	} else {
		i.drifted = append(i.drifted, p.cluster)
	}
}

// regions count each bundle once in every region: as it is where it is worst.
func (t tally) regions() (all []v1alpha1.RegionFleetStatus) {
	by := map[string]v1alpha1.BundleCounts{}
	for at, n := range t.spots {
		one := v1alpha1.BundleCounts{Total: 1, Drifted: min(n.Drifted, 1)}
		switch {
		case n.Failed > 0:
			one.Failed = 1
		case n.Ready+n.Suspended < n.Total: // in change
		case n.Suspended > 0:
			one.Suspended = 1
		default:
			one.Ready = 1
		}
		by[at.region] = by[at.region].Plus(one)
	}
	for name, n := range by {
		all = append(all, v1alpha1.RegionFleetStatus{Name: name, Bundles: n})
	}
	slices.SortFunc(all, func(a, b v1alpha1.RegionFleetStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// mostIll is how many clusters are named in which a bundle is not well.
const mostIll = 3

// unwell are the bundles that failed or drifted somewhere, the worst first.
func (t tally) unwell() (all []v1alpha1.BundleFleetStatus) {
	for name, i := range t.ill {
		slices.Sort(i.failed)
		slices.Sort(i.drifted)
		clusters := slices.Concat(i.failed, i.drifted)
		all = append(all, v1alpha1.BundleFleetStatus{
			Name: name, Failed: len(i.failed), Drifted: len(i.drifted), Clusters: clusters[:min(mostIll, len(clusters))],
		})
	}
	slices.SortFunc(all, func(a, b v1alpha1.BundleFleetStatus) int {
		return cmp.Or(cmp.Compare(b.Failed, a.Failed), cmp.Compare(b.Drifted, a.Drifted), cmp.Compare(a.Name, b.Name))
	})
	return all
}
