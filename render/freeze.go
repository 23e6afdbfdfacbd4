package render

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/express"
)

// Freeze keeps what a content's overrides take from a cluster, as it is now: which of them are for it, and what their expressions
// come to. nil when there are neither overrides nor divisions; the parts of divisions are for others to fill in. An expression that fails of this cluster is kept with its error, and the cluster's member says so.
func Freeze(c v1alpha1.BundleContent, cluster *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus) *v1alpha1.Frozen {
	if len(c.Overrides)+len(c.Division) == 0 {
		return nil
	}
	f := &v1alpha1.Frozen{}
	subject := express.About(cluster, m)
	for i, o := range c.Overrides {
		if !isFor(o, cluster) {
			continue
		}
		f.Overrides = append(f.Overrides, int32(i))
		for _, expression := range expressions(o) {
			if f.Values == nil {
				f.Values = map[string]v1alpha1.FrozenValue{}
			}
			f.Values[expression] = freeze(expression, subject)
		}
	}
	return f
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
