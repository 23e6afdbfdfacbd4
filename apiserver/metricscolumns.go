package apiserver

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// unread is what a table shows of a reading that was never taken.
const unread = "<unknown>"

func metricsTable() table {
	type s = v1alpha1.ClusterMetricsStatus
	return table{
		reading("Kubernetes", "version of the kube-apiserver", func(s *s) *v1alpha1.KubernetesReading { return s.Kubernetes },
			func(k *v1alpha1.KubernetesReading) string { return k.Version }),
		capacityColumn("Nodes", "nodes that are ready, of all", func(c *v1alpha1.CapacityReading) string {
			return fmt.Sprintf("%d/%d", c.ReadyNodes, c.Nodes)
		}),
		capacityColumn("CPU", "cores that pods ask for, of those that nodes have", func(c *v1alpha1.CapacityReading) string {
			return fmt.Sprintf("%s/%s", cores(c.Requested.CPU), cores(c.Allocatable.CPU))
		}),
		capacityColumn("Memory", "GiB that pods ask for, of those that nodes have", func(c *v1alpha1.CapacityReading) string {
			return fmt.Sprintf("%s/%sGi", gibibytes(c.Requested.Memory), gibibytes(c.Allocatable.Memory))
		}),
		reading("Speed", "class of speed of a core, 10 is a common server of 2020", func(s *s) *v1alpha1.ProcessorReading { return s.Processor },
			func(p *v1alpha1.ProcessorReading) string { return fmt.Sprint(p.SpeedClass) }),
		reading("Fsync", "time in which 999 of 1000 writes were durable", func(s *s) *v1alpha1.DiskReading { return s.Disk },
			func(d *v1alpha1.DiskReading) string { return rounded(d.FsyncP999) }),
		col("Nearest", "the nearest other cluster", nearest),
		col("Seen", "how long ago the newest reading was taken", func(m *v1alpha1.ClusterMetrics) string { return agoOf(newest(&m.Status)) }),
		onlyWide(capacityColumn("Pods", "pods on its nodes", func(c *v1alpha1.CapacityReading) string { return fmt.Sprint(c.Pods) })),
		onlyWide(reading("Processor", "what the member's machine calls its processor", func(s *s) *v1alpha1.ProcessorReading { return s.Processor },
			func(p *v1alpha1.ProcessorReading) string {
				return fmt.Sprintf("%d × %s, %d %%", p.Cores, p.Model, p.Speed)
			})),
		onlyWide(reading("Storage", "storage classes; the default one has a star", func(s *s) *v1alpha1.StorageReading { return s.Storage }, classes)),
	}
}

// reading makes a column of one reading.
func reading[R any](name, about string, find func(*v1alpha1.ClusterMetricsStatus) *R, say func(*R) string) column {
	return col(name, about, func(m *v1alpha1.ClusterMetrics) string {
		if r := find(&m.Status); r != nil {
			return say(r)
		}
		return unread
	})
}

func capacityColumn(name, about string, say func(*v1alpha1.CapacityReading) string) column {
	return reading(name, about, func(s *v1alpha1.ClusterMetricsStatus) *v1alpha1.CapacityReading { return s.Capacity }, say)
}

func cores(q resource.Quantity) string { return fmt.Sprintf("%.4g", float64(q.MilliValue())/1000) }

func gibibytes(q resource.Quantity) string { return fmt.Sprintf("%.4g", float64(q.Value())/(1<<30)) }

// rounded is a duration in as many digits as matter.
func rounded(d metav1.Duration) string {
	if d.Duration < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func nearest(m *v1alpha1.ClusterMetrics) string {
	var found *v1alpha1.RoundTripReading
	for i, r := range m.Status.RoundTrips {
		if found == nil || r.Least.Duration < found.Least.Duration {
			found = &m.Status.RoundTrips[i]
		}
	}
	if found == nil {
		return unread
	}
	return found.Peer + " " + rounded(found.Least)
}

func classes(s *v1alpha1.StorageReading) string {
	var names []string
	for _, c := range s.Classes {
		name := c.Name
		if c.Default {
			name += "*"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "<none>"
	}
	return strings.Join(names, ",")
}

// newest is when the newest of the cluster's own readings was taken.
func newest(s *v1alpha1.ClusterMetricsStatus) (at *metav1.Time) {
	see := func(r *v1alpha1.ReadingSource) {
		if at == nil || at.Before(&r.At) {
			at = &r.At
		}
	}
	if s.Capacity != nil {
		see(&s.Capacity.ReadingSource)
	}
	if s.Processor != nil {
		see(&s.Processor.ReadingSource)
	}
	if s.Disk != nil {
		see(&s.Disk.ReadingSource)
	}
	return at
}
