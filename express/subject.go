package express

import "github.com/hanse-fleet/hanse/api/v1alpha1"

// Subject is what an expression sees as cluster.
type Subject struct {
	Name   string            `cel:"name"`
	Labels map[string]string `cel:"labels"`
	Region string            `cel:"region"`
	Zone   string            `cel:"zone"`
	Taints []Taint           `cel:"taints"`
	Facts  Facts             `cel:"facts"`
}

// Taint is one of the cluster's.
type Taint struct {
	Key    string `cel:"key"`
	Value  string `cel:"value"`
	Effect string `cel:"effect"`
}

// Facts are what the cluster's member told of it; zero and empty until it did.
type Facts struct {
	Kubernetes string `cel:"kubernetes"` // version, such as v1.34.1
	Nodes      int64  `cel:"nodes"`      // those that are ready
	// Cores and bytes that pods may have, and that none asked for yet.
	CPU        float64 `cel:"cpu"`
	CPUFree    float64 `cel:"cpuFree"`
	Memory     float64 `cel:"memory"`
	MemoryFree float64 `cel:"memoryFree"`
	// StorageClasses by name.
	StorageClasses []string `cel:"storageClasses"`
}

// About is the subject that a cluster is, with what is measured of it.
func About(c *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus) Subject {
	s := Subject{Name: c.Name, Labels: c.Labels, Region: c.Spec.Region, Zone: c.Spec.Zone, Facts: factsOf(m)}
	for _, t := range c.Spec.Taints {
		s.Taints = append(s.Taints, Taint{t.Key, t.Value, string(t.Effect)})
	}
	return s
}

func factsOf(m v1alpha1.ClusterMetricsStatus) (f Facts) {
	if k := m.Kubernetes; k != nil {
		f.Kubernetes = k.Version
	}
	if c := m.Capacity; c != nil {
		f.Nodes = int64(c.ReadyNodes)
		f.CPU, f.Memory = c.Allocatable.CPU.AsApproximateFloat64(), c.Allocatable.Memory.AsApproximateFloat64()
		f.CPUFree = max(f.CPU-c.Requested.CPU.AsApproximateFloat64(), 0)
		f.MemoryFree = max(f.Memory-c.Requested.Memory.AsApproximateFloat64(), 0)
	}
	if m.Storage != nil {
		for _, class := range m.Storage.Classes {
			f.StorageClasses = append(f.StorageClasses, class.Name)
		}
	}
	return f
}
