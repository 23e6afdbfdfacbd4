package agent

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/aggregate"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/facts"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/report"
)

const (
	// factsPause is the least time between two tellings of facts; factsAnyway is after how long they are told though nothing
	// differs, so that their ages are right.
	factsPause  = 15 * time.Second
	factsAnyway = 5 * time.Minute
	// metricsPause is the least time between two computations of all metrics.
	metricsPause = time.Second
)

// ownFacts collects what this member finds out, and tells it when it differs.
type ownFacts struct {
	core       *Core
	aggregated func() aggregate.Standing
	mu         sync.Mutex
	now        facts.Facts
}

// run finds out and tells until ctx ends.
func (o *ownFacts) run(ctx context.Context) error {
	began := time.Now()
	model, speed := facts.ProcessorModel(), facts.MeasureSpeed(ctx)
	o.learn(func(f *facts.Facts) {
		f.Processor = &facts.Processor{Reading: facts.Reading{At: time.Now()}, Model: model, Cores: facts.Cores(), Speed: speed}
	})
	o.core.log.Debug("measured the processor", "model", model, "speed", speed, "took", time.Since(began))
	var told facts.Facts
	var at time.Time
	for ; ctx.Err() == nil; pause.For(ctx, factsPause) {
		now := time.Now()
		f := o.collect(now)
		if !at.IsZero() && now.Sub(at) < factsAnyway && !facts.Differ(told, f) {
			continue
		}
		data, err := f.Encode(now)
		if err != nil {
			o.core.log.Warn("facts are not told", "err", err)
			continue
		}
		o.core.reports.TellFacts(data)
		told, at = f, now
	}
	return nil
}

func (o *ownFacts) learn(what func(*facts.Facts)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	what(&o.now)
}

// collect is what is known now.
func (o *ownFacts) collect(now time.Time) facts.Facts {
	o.mu.Lock()
	f := o.now
	o.mu.Unlock()
	taken := facts.Reading{At: now}
	if fsync := o.core.node.Fsync(); fsync > 0 {
		f.Disk = &facts.Disk{Reading: taken, FsyncP999: report.Millis(fsync)}
	}
	if s := o.aggregated(); s.Status != "" {
		f.Aggregated = facts.NewCondition(now, s.Status, s.Reason, s.Message)
	}
	f.ControlPlane = o.core.controlPlane.Load()
	trips := o.core.reports.Trips(maps.Keys(o.core.roundTrips()), now)
	for _, peer := range slices.Sorted(maps.Keys(trips)) {
		f.Trips = append(f.Trips, facts.Trip{Reading: taken, Peer: string(peer), Least: trips[peer].Least, P99: trips[peer].P99})
	}
	return f
}

// survey looks at the member's cluster until ctx ends.
func (o *ownFacts) survey(ctx context.Context, cluster *rest.Config) error {
	s, err := facts.NewSurvey(cluster)
	if err != nil {
		return err
	}
	var seen facts.Facts
	for ctx.Err() == nil {
		began := time.Now()
		if seen, err = s.Look(ctx, seen); err != nil && ctx.Err() == nil {
			o.core.log.Debug("the cluster could not be surveyed in full", "err", err)
		}
		o.learn(func(f *facts.Facts) {
			f.Kubernetes, f.Capacity, f.Storage = seen.Kubernetes, seen.Capacity, seen.Storage
		})
		pause.For(ctx, facts.Rest(time.Since(began)))
	}
	return nil
}

// metrics computes the kind ClusterMetrics: what each cluster's member told last. It is called from one goroutine.
type metrics struct {
	*told
	clusters *decoded.Objects[v1alpha1.Cluster]
}

func newMetrics(c *Core) *metrics {
	return &metrics{told: newTold(c), clusters: c.decoded.Clusters}
}

// list computes the metrics of every cluster, sorted by name.
func (m *metrics) list(v *store.View) ([]v1alpha1.ClusterMetrics, error) {
	clusters, err := m.clusters.List(v)
	if err != nil {
		return nil, err
	}
	known, names := m.known(v)
	trips := roundTripsOf(known, names)
	all := make([]v1alpha1.ClusterMetrics, 0, len(clusters))
	for _, c := range clusters {
		one := v1alpha1.ClusterMetrics{TypeMeta: v1alpha1.TypeOf("ClusterMetrics")}
		one.Name, one.CreationTimestamp, one.Labels = c.Value.Name, c.Value.CreationTimestamp, c.Value.Labels
		one.UID = uidOf("clustermetrics", string(c.Value.UID))
		one.Status = readings(one.Name, known[one.Name])
		one.Status.RoundTrips = trips[one.Name]
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b v1alpha1.ClusterMetrics) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// readings are a cluster's own, as people see them. The observer is who told them, whatever was told.
func readings(cluster string, f facts.Facts) (s v1alpha1.ClusterMetricsStatus) {
	from := func(r facts.Reading) v1alpha1.ReadingSource { return source(cluster, r) }
	if k := f.Kubernetes; k != nil {
		s.Kubernetes = &v1alpha1.KubernetesReading{ReadingSource: from(k.Reading), Version: k.Version}
	}
	if c := f.Capacity; c != nil {
		s.Capacity = &v1alpha1.CapacityReading{ReadingSource: from(c.Reading), Nodes: c.Nodes, ReadyNodes: c.ReadyNodes, Pods: c.Pods,
			Allocatable: amount(c.Has), Requested: amount(c.Asked)}
	}
	if f.Storage != nil {
		s.Storage = &v1alpha1.StorageReading{ReadingSource: from(f.Storage.Reading)}
		for _, c := range f.Storage.Classes {
			s.Storage.Classes = append(s.Storage.Classes, v1alpha1.StorageClass{Name: c.Name, Provisioner: c.Provisioner, Default: c.Default})
		}
	}
	if p := f.Processor; p != nil {
		s.Processor = &v1alpha1.ProcessorReading{ReadingSource: from(p.Reading), Model: p.Model, Cores: p.Cores, Speed: p.Speed, SpeedClass: facts.SpeedClass(p.Speed)}
	}
	if d := f.Disk; d != nil {
		s.Disk = &v1alpha1.DiskReading{ReadingSource: from(d.Reading), FsyncP999: millis(d.FsyncP999)}
	}
	return s
}

// roundTripsOf are the round trips of each cluster, sorted by peer: its own readings, and of those peers that it has none of,
// theirs. names are the clusters of members; who is none any more is left out.
func roundTripsOf(known map[string]facts.Facts, names map[string]string) map[string][]v1alpha1.RoundTripReading {
	type way struct{ from, to string }
	found := map[way]v1alpha1.RoundTripReading{}
	for cluster, f := range known {
		for _, t := range f.Trips {
			if peer := names[t.Peer]; peer != "" && peer != cluster {
				found[way{cluster, peer}] = v1alpha1.RoundTripReading{ReadingSource: source(cluster, t.Reading), Peer: peer, Least: millis(t.Least), P99: millis(t.P99)}
			}
		}
	}
	by := map[string][]v1alpha1.RoundTripReading{}
	for w, r := range found {
		by[w.from] = append(by[w.from], r)
		if _, too := found[way{w.to, w.from}]; !too {
			r.Peer = w.from
			by[w.to] = append(by[w.to], r)
		}
	}
	for _, all := range by {
		slices.SortFunc(all, func(a, b v1alpha1.RoundTripReading) int { return strings.Compare(a.Peer, b.Peer) })
	}
	return by
}

func source(observer string, r facts.Reading) v1alpha1.ReadingSource {
	return v1alpha1.ReadingSource{Observer: observer, At: metav1.Time{Time: r.At.Truncate(time.Second)}}
}

func amount(a facts.Amount) v1alpha1.Amount {
	return v1alpha1.Amount{CPU: *resource.NewMilliQuantity(a.CPU, resource.DecimalSI), Memory: *resource.NewQuantity(a.Memory, resource.BinarySI)}
}

func millis(ms float64) metav1.Duration { return metav1.Duration{Duration: report.FromMillis(ms)} }
