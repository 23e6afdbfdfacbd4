package render

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/express"
)

// MaxValues is how many bytes the expressions of a bundle may take in a grant, as JSON, and how many what they come to in a cluster: a grant is
// written at once, and an entry of the log has its bound.
const MaxValues = 64 << 10

// Freeze keeps what a content's overrides take from a cluster, as it is now: which of them are for it, and what their expressions
// come to. nil when there are neither overrides nor divisions; the parts of divisions are for others to fill in. An expression that fails of this
// cluster, or comes to more than there is room for, is kept with its error, and the cluster's member says so.
func Freeze(c v1alpha1.BundleContent, cluster *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus) *v1alpha1.Frozen {
	if len(c.Overrides)+len(c.Division) == 0 {
		return nil
	}
	f := &v1alpha1.Frozen{Values: values(c, cluster, m)}
	for i, o := range c.Overrides {
		if isFor(o, cluster) {
			f.Overrides = append(f.Overrides, int32(i))
		}
	}
	size := 0
	for _, expression := range slices.Sorted(maps.Keys(f.Values)) {
		if size += sizeOf(f.Values[expression]); size > MaxValues {
			f.Values[expression] = v1alpha1.FrozenValue{Error: fmt.Sprintf("with it the expressions of the overrides come to more than %d KiB; divide the bundle, or say it with labels", MaxValues>>10)}
		}
	}
	return f
}

// TooMuch says what is wrong when the expressions of a content come to more than a cluster's grant has room for; "" when they do not.
func TooMuch(c v1alpha1.BundleContent, cluster *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus) string {
	size, all := 0, values(c, cluster, m)
	for _, v := range all {
		size += sizeOf(v)
	}
	if size <= MaxValues {
		return ""
	}
	return fmt.Sprintf("what its %d expressions come to in %s is %d KiB, and a cluster is given %d KiB at most; divide the bundle, or say it with labels", len(all), cluster.Name, size>>10, MaxValues>>10)
}

// values are what the expressions of the overrides that are for a cluster come to, nil for none.
func values(c v1alpha1.BundleContent, cluster *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus) (all map[string]v1alpha1.FrozenValue) {
	subject := express.About(cluster, m)
	for _, o := range c.Overrides {
		if !isFor(o, cluster) {
			continue
		}
		for _, expression := range expressions(o) {
			if all == nil {
				all = map[string]v1alpha1.FrozenValue{}
			}
			if _, known := all[expression]; !known {
				all[expression] = freeze(expression, subject)
			}
		}
	}
	return all
}

// sizeOf is how many bytes a value takes in a grant.
func sizeOf(value any) int {
	data, err := json.Marshal(value)
	if err != nil {
		return 0 // texts can be encoded
	}
	return len(data)
}

func freeze(expression string, subject express.Subject) v1alpha1.FrozenValue {
	data, err := express.JSON(expression, subject)
	if err != nil {
		return v1alpha1.FrozenValue{Error: err.Error()}
	}
	return v1alpha1.FrozenValue{JSON: string(data)}
}

// isFor says whether an override is for a cluster.
func isFor(o v1alpha1.Override, c *v1alpha1.Cluster) bool {
	return len(o.Clusters) == 0 && o.ClusterSelector == nil || c.Chosen(o.Clusters, o.ClusterSelector)
}

// expressions are those in an override's text, each once, sorted. Text that cannot be taken apart has none: rendering says so.
func expressions(o v1alpha1.Override) (found []string) {
	add := func(text string) {
		all, err := parts(text)
		if err != nil {
			return
		}
		for _, p := range all {
			if p.expression {
				found = append(found, p.text)
			}
		}
	}
	for _, p := range o.Patches {
		for _, raw := range p.Documents() {
			var document any
			if json.Unmarshal(raw.Raw, &document) == nil {
				texts(document, add)
			}
		}
	}
	for _, image := range o.Images {
		add(image.Registry)
		add(image.Tag)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// texts visits every string in a value, but the keys.
func texts(value any, visit func(string)) {
	switch v := value.(type) {
	case string:
		visit(v)
	case map[string]any:
		for _, inner := range v {
			texts(inner, visit)
		}
	case []any:
		for _, inner := range v {
			texts(inner, visit)
		}
	}
}
