package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// measured are the metrics of a cluster of which everything is known.
func measured(cluster string, at time.Time) *v1alpha1.ClusterMetrics {
	taken := func(ago time.Duration) v1alpha1.ReadingSource {
		return v1alpha1.ReadingSource{Observer: cluster, At: metav1.NewTime(at.Add(-ago))}
	}
	amount := func(cpu, memory string) v1alpha1.Amount {
		return v1alpha1.Amount{CPU: resource.MustParse(cpu), Memory: resource.MustParse(memory)}
	}
	ms := func(n float64) metav1.Duration {
		return metav1.Duration{Duration: time.Duration(n * float64(time.Millisecond))}
	}
	m := &v1alpha1.ClusterMetrics{ObjectMeta: metav1.ObjectMeta{Name: cluster}, Status: v1alpha1.ClusterMetricsStatus{
		Kubernetes: &v1alpha1.KubernetesReading{ReadingSource: taken(time.Minute), Version: "v1.37.2"},
		Capacity: &v1alpha1.CapacityReading{ReadingSource: taken(time.Minute), Nodes: 3, ReadyNodes: 2, Pods: 40,
			Allocatable: amount("24", "96Gi"), Requested: amount("7300m", "21Gi")},
		Processor: &v1alpha1.ProcessorReading{ReadingSource: taken(time.Hour), Model: "EPYC", Cores: 16, Speed: 125, SpeedClass: 11},
		Disk:      &v1alpha1.DiskReading{ReadingSource: taken(5 * time.Minute), FsyncP999: ms(3.584)},
		Storage:   &v1alpha1.StorageReading{ReadingSource: taken(0), Classes: []v1alpha1.StorageClass{{Name: "fast", Default: true}, {Name: "slow"}}},
		RoundTrips: []v1alpha1.RoundTripReading{
			{ReadingSource: taken(0), Peer: "iad", Least: ms(80)}, {ReadingSource: taken(0), Peer: "ams", Least: ms(7.123456)},
		},
	}}
	return m
}

func TestTheTableOfMetricsShowsEachReading(t *testing.T) {
	metrics := newFakeWorks()
	l := start(t, func(c *Config) { c.Computed["clustermetrics"] = metrics })
	metrics.set(measured("fra", time.Now().Add(-10*24*time.Hour)), &v1alpha1.ClusterMetrics{ObjectMeta: metav1.ObjectMeta{Name: "sin"}})
	table := l.table(t, "clustermetrics")
	var got []string
	for i, c := range table.ColumnDefinitions {
		wide := strings.Repeat(" (wide)", int(c.Priority))
		got = append(got, fmt.Sprintf("%s%s: %v, %v", c.Name, wide, table.Rows[0].Cells[i], table.Rows[1].Cells[i]))
	}
	want := []string{
		"Name: fra, sin",
		"Kubernetes: v1.37.2, <unknown>",
		"Nodes: 2/3, <unknown>",
		"CPU: 7.3/24, <unknown>",
		"Memory: 21/96Gi, <unknown>",
		"Speed: 11, <unknown>",
		"Fsync: 3.58ms, <unknown>",
		"Nearest: ams 7.12ms, <unknown>",
		"Seen: 10d, <never>",
		"Pods (wide): 40, <unknown>",
		"Processor (wide): 16 × EPYC, 125 %, <unknown>",
		"Storage (wide): fast*,slow, <unknown>",
		"Age: <unknown>, <unknown>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// table is what kubectl shows of a kind.
func (l *live) table(t *testing.T, plural string) metav1.Table {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://hanse/apis/fleet.hanse.dev/v1alpha1/"+plural, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	resp, err := httpClient(t, l.local()).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var table metav1.Table
	if err := json.NewDecoder(resp.Body).Decode(&table); err != nil {
		t.Fatal(err)
	}
	return table
}
