package plan

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/express"
)

// Ground is what a placement is decided on.
type Ground struct {
	Clusters []v1alpha1.Cluster
	// Metrics by cluster. One that is not known counts as having no room to spare.
	Metrics map[string]v1alpha1.ClusterMetricsStatus
	// Has are the clusters that were given the bundle: they keep it while they may.
	Has map[string]bool
}

// Cluster is the one of that name, nil when there is none.
func (g Ground) Cluster(name string) *v1alpha1.Cluster {
	for i := range g.Clusters {
		if g.Clusters[i].Name == name {
			return &g.Clusters[i]
		}
	}
	return nil
}

// Decision is where a bundle goes.
type Decision struct {
	// Picked are the clusters' names, sorted.
	Picked []string
	// Verdicts say of each cluster why it is picked, or why not, sorted by the cluster's name.
	Verdicts []Verdict
	// Unsatisfied says what the placement asks for and does not get.
	Unsatisfied []string
}

// Verdict says of one cluster whether it is picked, and why: for people.
type Verdict struct {
	Cluster string
	Picked  bool
	Why     string
}

// HasBundle are the clusters whose grant lets them run a bundle, of all grants of its name. It is the memory of a placement:
// what has a grant is placed. An earlier bundle of the name counts, since the new one adopts what that left.
func HasBundle(grants map[string]v1alpha1.Grant) map[string]bool {
	has := make(map[string]bool, len(grants))
	for cluster, g := range grants {
		if !g.Withdraw {
			has[cluster] = true
		}
	}
	return has
}

// Place decides where a bundle goes. The order of the input does not matter. A cluster that has the bundle keeps it while the
// placement lets it; only then are others looked at, so nothing moves because of a new cluster, or of one with more room.
// Named clusters that are not in the fleet are left out; they are picked once they join.
func Place(p v1alpha1.Placement, g Ground) (Decision, error) {
	c := choice{placement: p, why: map[string]string{}}
	if err := c.choose(g); err != nil {
		return Decision{}, err
	}
	return c.decision(g.Clusters), nil
}

// Picks are the names of those that Place picks, sorted, for whoever asks for thousands of bundles and never why.
func Picks(p v1alpha1.Placement, g Ground) ([]string, error) {
	c := choice{placement: p}
	if err := c.choose(g); err != nil {
		return nil, err
	}
	picked := make([]string, len(c.picked))
	for i, one := range c.picked {
		picked[i] = one.Name
	}
	slices.Sort(picked)
	return picked, nil
}

func (c *choice) choose(g Ground) error {
	d, err := doorOf(c.placement)
	if err != nil {
		return err
	}
	c.pool = make([]site, 0, len(g.Clusters))
	for i := range g.Clusters {
		cluster := &g.Clusters[i]
		m, has := g.Metrics[cluster.Name], g.Has[cluster.Name]
		why, may := d.lets(cluster, m, has)
		if c.why != nil {
			c.why[cluster.Name] = why
		}
		if may {
			c.pool = append(c.pool, newSite(c.placement, cluster, m, has))
		}
	}
	if len(c.placement.SpreadConstraints) == 0 && c.placement.NumberOfClusters == nil {
		c.picked = c.pool // all of them, in whatever order
		return nil
	}
	slices.SortFunc(c.pool, site.compare)
	c.spreads = spreadingsOf(c.placement.SpreadConstraints, c.pool)
	c.pick()
	return nil
}

// because says why a cluster is picked, or not, if anybody asks.
func (c *choice) because(cluster string, why func() string) {
	if c.why != nil {
		c.why[cluster] = why()
	}
}

// door says whom a placement lets in, before any are counted.
type door struct {
	placement v1alpha1.Placement
	selector  labels.Selector
	matches   string // what is said of those that match
}

func doorOf(p v1alpha1.Placement) (door, error) {
	d := door{placement: p, selector: labels.Nothing()}
	if p.ClusterSelector == nil {
		return d, nil
	}
	var err error
	if d.selector, err = metav1.LabelSelectorAsSelector(p.ClusterSelector); err != nil {
		return door{}, fmt.Errorf("read cluster selector: %w", err)
	}
	d.matches = "its labels match " + d.selector.String()
	return d, nil
}

// lets says whether a cluster may be picked, and why, or why not. One that has the bundle leaves only when it is told to.
func (d door) lets(c *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus, has bool) (why string, may bool) {
	if why, may = d.meant(c, m, has); !may {
		return why, false
	}
	switch a := c.Spec.Availability; {
	case a == v1alpha1.AvailabilityDrained:
		return "it is drained" + c.WhyAvailable(), false
	case a == v1alpha1.AvailabilityCordoned && !has:
		return "it is cordoned: nothing new comes to it" + c.WhyAvailable(), false
	case d.placement.NumberOfClusters != nil && !has && v1alpha1.Suspension(c) != "":
		return "it is " + v1alpha1.Suspension(c) + ", and could not run it", false
	}
	for _, t := range c.Spec.Taints {
		if has && t.Effect != v1alpha1.TaintNoExecute || d.tolerates(t) {
			continue
		}
		return fmt.Sprintf("its taint %s is not tolerated", taintName(t)), false
	}
	if not, reached := d.reaches(c, has); !reached {
		return not, false
	}
	return why, true
}

func (d door) tolerates(t v1alpha1.Taint) bool {
	return slices.ContainsFunc(d.placement.Tolerations, func(tol v1alpha1.Toleration) bool { return tol.Tolerates(t) })
}

// meant says whether the placement speaks of a cluster, and how.
func (d door) meant(c *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus, has bool) (why string, may bool) {
	set, expression := labels.Set(c.Labels), d.placement.Expression
	switch {
	case slices.Contains(d.placement.Clusters, c.Name):
		return "it is named", true
	case d.placement.ClusterSelector == nil && expression == "":
		return "it is not named", false
	case d.placement.ClusterSelector == nil || d.selector.Empty():
		why = "every cluster is meant"
	case d.selector.Matches(set):
		why = d.matches
	default:
		return mismatch(d.selector, set), false
	}
	if expression == "" {
		return why, true
	}
	return d.expressed(c, m, has)
}

// expressed says whether the placement's expression lets a cluster in. What looks at facts, which come and go, drives none out,
// and neither does one that fails.
func (d door) expressed(c *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus, has bool) (why string, may bool) {
	expression := d.placement.Expression
	if has && express.LooksAtFacts(expression) {
		return "the expression let it in", true
	}
	switch holds, err := express.Holds(expression, express.About(c, m)); {
	case err != nil && has: // it is no no: an older hanse may not know a word of it, or a label is gone
		return fmt.Sprintf("the expression let it in; now it fails: %v", err), true
	case err != nil:
		return fmt.Sprintf("the expression %s fails: %v", expression, err), false
	case !holds:
		return fmt.Sprintf("the expression %s is false", expression), false
	}
	return fmt.Sprintf("the expression %s is true", expression), true
}

// mismatch names the first requirement that the labels do not meet: the placement wants tier=prod, and it has tier=edge.
func mismatch(s labels.Selector, set labels.Set) string {
	all, _ := s.Requirements()
	for _, r := range all {
		if r.Matches(set) {
			continue
		}
		has := "no label " + r.Key()
		if value, ok := set[r.Key()]; ok {
			has = r.Key() + "=" + value
		}
		return fmt.Sprintf("the placement wants %s, and it has %s", r.String(), has)
	}
	return "its labels do not match"
}

func taintName(t v1alpha1.Taint) string {
	name := t.Key
	if t.Value != "" {
		name += "=" + t.Value
	}
	return name + ":" + string(t.Effect)
}

// choice picks among those that may be picked.
type choice struct {
	placement v1alpha1.Placement
	pool      []site // best first
	spreads   spreadings
	picked    []site
	why       map[string]string // nil: nobody asks
}

// limit is how many clusters are to be picked at most.
func (c *choice) limit() int {
	if n := c.placement.NumberOfClusters; n != nil {
		return int(*n)
	}
	return len(c.pool)
}

// pick takes those first that have the bundle, however they lie, then those that have it and are to lose it as soon as others do, and
// fills up with others as the spread allows.
func (c *choice) pick() {
	var have, lose, others []site
	for _, one := range c.pool {
		switch {
		case one.has && one.evicted:
			lose = append(lose, one)
		case one.has:
			have = append(have, one)
		default:
			others = append(others, one)
		}
	}
	for _, one := range append(c.fill(have, false), c.fill(lose, false)...) {
		c.because(one.Name, c.enough)
	}
	left := c.fill(others, true)
	for _, one := range left {
		c.because(one.Name, func() string { return c.passed(one) })
	}
}

// fill picks from a pool until there are enough, and returns who is left. Strictly, nobody is picked who breaks a spread that
// is to be kept.
func (c *choice) fill(pool []site, strict bool) []site {
	pool = slices.Clone(pool)
	for len(c.picked) < c.limit() {
		i := c.spreads.next(pool, strict)
		if i < 0 {
			break
		}
		c.picked = append(c.picked, pool[i])
		c.spreads.add(pool[i])
		pool = slices.Delete(pool, i, i+1)
	}
	return pool
}

// passed says why somebody is not picked who might have been.
func (c *choice) passed(one site) string {
	if len(c.picked) >= c.limit() {
		return c.enough()
	}
	for _, s := range c.spreads {
		if why := s.breaks(one); why != "" && s.hard() {
			return why
		}
	}
	return "" // cannot be: there is room, and nothing breaks
}

// enough says that there are as many as are wanted, and who.
func (c *choice) enough() string {
	return fmt.Sprintf("numberOfClusters is %d, and %s came first", c.limit(), c.names())
}

func (c *choice) names() string {
	var names []string
	for _, one := range c.picked {
		names = append(names, one.Name)
	}
	return fewNames(names)
}

func (c *choice) decision(clusters []v1alpha1.Cluster) (d Decision) {
	picked := map[string]site{}
	for _, one := range c.picked {
		picked[one.Name] = one
		d.Picked = append(d.Picked, one.Name)
	}
	slices.Sort(d.Picked)
	for _, cluster := range clusters {
		v := Verdict{Cluster: cluster.Name, Why: c.why[cluster.Name]}
		if one, ok := picked[cluster.Name]; ok {
			v.Picked = true
			v.Why += one.praise(c.placement.NumberOfClusters != nil)
		}
		d.Verdicts = append(d.Verdicts, v)
	}
	slices.SortFunc(d.Verdicts, func(a, b Verdict) int { return strings.Compare(a.Cluster, b.Cluster) })
	d.Unsatisfied = c.unsatisfied()
	return d
}

// Unsatisfied is what a placement asks for and does not get, as Place says it, for whoever asks of thousands of bundles.
func Unsatisfied(p v1alpha1.Placement, g Ground) []string {
	if !asks(p) {
		return nil
	}
	c := choice{placement: p}
	if c.choose(g) != nil {
		return nil // nobody is picked then, and whoever picks says why
	}
	return c.unsatisfied()
}

// asks says that a placement asks for more than whoever may have it.
func asks(p v1alpha1.Placement) bool {
	return p.NumberOfClusters != nil || len(p.SpreadConstraints) > 0
}

func (c *choice) unsatisfied() (said []string) {
	if n := c.placement.NumberOfClusters; n != nil && len(c.picked) < int(*n) {
		can := "none"
		if picked := len(c.picked); picked > 0 {
			can = fmt.Sprintf("only %d", picked)
		}
		said = append(said, v1alpha1.Counted(*n, "1 cluster is wanted", "%d clusters are wanted")+", and "+can+" can be picked")
	}
	for _, s := range c.spreads {
		said = append(said, s.broken()...)
	}
	return said
}
