package agent

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/report"
)

// largeFleet has every bundle granted in every cluster; what runs is known of the first cluster only.
func largeFleet(b *testing.B, bundles, clusters int) (*Core, *store.View) {
	b.Helper()
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "cluster-000", Region: "eu", Pin: store.Pin{1}}
	state := map[string]any{}
	for i := range clusters {
		c := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("cluster-%03d", i), UID: types.UID(fmt.Sprintf("cluster-uid-%024d", i))}}
		state[v1alpha1.KeyClusters+c.Name] = c
	}
	var said []report.Bundle
	for i := range bundles {
		bundle := v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("bundle-%04d", i), UID: types.UID(fmt.Sprintf("%08d-%027d", i, i)), Generation: 1}}
		bundle.Spec.Placement.ClusterSelector = &metav1.LabelSelector{}
		state[v1alpha1.KeyBundles+bundle.Name] = bundle
		revision := v1alpha1.RevisionName(bundle.Name, string(bundle.UID), 1)
		for k := range clusters {
			state[v1alpha1.GrantKey(fmt.Sprintf("cluster-%03d", k), bundle.Name)] = v1alpha1.Grant{Bundle: bundle.Name, BundleUID: string(bundle.UID), Revision: revision}
		}
		said = append(said, report.Bundle{Bundle: bundle.Name, BundleUID: string(bundle.UID), Status: v1alpha1.WorkStatus{Applied: revision, Health: v1alpha1.HealthReady}})
	}
	s := storetest.Store(b, member, state)
	c := &Core{store: s, decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: member.ID}), now: time.Now}
	c.reports.Tell(said)
	c.reports.Beat(1, nil, time.Now())
	return c, s.View()
}

// BenchmarkWorks is one computation of the works of 1,000 bundles in 100 clusters, of which nothing changed, and nobody looks at any.
func BenchmarkWorks(b *testing.B) {
	c, v := largeFleet(b, 1000, 100)
	w := &steadyWorks{works: newWorks(c)}
	before := live()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.compute(v); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(live()-before, "MiB-kept")
	b.ReportMetric(float64(len(w.rows)), "works")
}

func live() float64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// BenchmarkLook is what the leader reads at each pass, of 1,000 bundles in 100 clusters.
func BenchmarkLook(b *testing.B) {
	c, v := largeFleet(b, 1000, 100)
	l := &leader{Core: c, told: newTold(c), tombs: decoded.New[v1alpha1.Tombstone](v1alpha1.KeyTombstones), revisions: decoded.New[ofBundle](v1alpha1.KeyBundleRevisions), gates: newGateReadings(), contents: contents{}, zones: zones{}}
	b.ReportAllocs()
	for b.Loop() {
		s, err := l.look(v)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.situation(s); err != nil {
			b.Fatal(err)
		}
	}
}
