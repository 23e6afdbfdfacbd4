package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

func explainVerb() *cli.Command {
	return &cli.Command{
		Name:  "explain",
		Usage: "say why a bundle is in a cluster, or why not, and what it waits for there",
		UsageText: `hanse explain BUNDLE
hanse explain BUNDLE --cluster CLUSTER`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.StringFlag{Name: "cluster", Usage: "this CLUSTER only"}),
		Action: explainAction,
	}
}

func explainAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("explain", usage("which bundle?", hint{"see what there is", "get bundles"}))
	}
	doing := "explain " + c.Args().First()
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	name, err := storedName(c.Args().First())
	if err != nil {
		return during(doing, err)
	}
	w, err := f.whereabouts(ctx, name)
	if isReason(err, metav1.StatusReasonNotFound) {
		return during(doing, f.explainDeleted(ctx, c, name, err))
	}
	if err != nil {
		return during(doing, err)
	}
	if cluster := bareCluster(c.String("cluster")); cluster != "" {
		err = w.one(c.App.Writer, cluster)
	} else {
		w.all(c.App.Writer)
	}
	if err != nil {
		return during(doing, err)
	}
	return during(doing, f.explainRollout(ctx, c, w.bundle.Name, v1alpha1.Suspension(&w.bundle)))
}

// explainRollout says what the change that is on its way waits for, and what to do; suspended is how what is rolled out is, if it is.
func (f *fleet) explainRollout(ctx context.Context, c *cli.Context, bundle, suspended string) error {
	r, all, err := f.newestRollout(ctx, bundle)
	if err == nil && suspended != "" && (r == nil || r.Status.Reason != v1alpha1.RolloutSuspended) { // or else the rollout says so
		rolled := v1alpha1.RolledOutOf(bundle)
		fmt.Fprintf(c.App.Writer, "\n%s is %s\n  next: hanse unsuspend %s\n", rolled.Title(), suspended, rolled.Arg())
	}
	if err != nil || r == nil {
		return err
	}
	defer func() { fmt.Fprint(c.App.Writer, besideText(r, all)) }()
	if r.Status.Phase.Ended() && r.Status.Phase != v1alpha1.RolloutAborted {
		if len(r.Status.Owed) > 0 {
			fmt.Fprintf(c.App.Writer, "\nrollout %s is %s, and owed to %s\n", r.Name, inWords(string(r.Status.Phase)), few(r.Status.Owed))
		}
		return nil
	}
	fmt.Fprintf(c.App.Writer, "\nrollout %s is %s%s: %s\n", r.Name, inWords(string(r.Status.Phase)), rolloutSince(r), r.Status.Message)
	for i, s := range r.Status.Waves {
		if s.Open() && i < len(r.Spec.Waves) {
			fmt.Fprintf(c.App.Writer, "  wave %d, %s, was granted %s\n", i+1, dash(r.Spec.Waves[i].Domain), moment(*s.Granted))
		}
	}
	for _, said := range []string{rolloutHolds(r), rolloutWaits(r), rolloutDespite(r)} {
		if said != "" {
			fmt.Fprintln(c.App.Writer, said)
		}
	}
	if next := rolloutNext(r, all); next != "" {
		fmt.Fprintf(c.App.Writer, "  next: %s\n", next)
	}
	return nil
}

// explainDeleted says where a bundle still is that the fleet has no more, and what that waits for; notFound when it is nowhere.
func (f *fleet) explainDeleted(ctx context.Context, c *cli.Context, bundle string, notFound error) error {
	all, err := f.works(ctx)
	if err != nil {
		return err
	}
	there := all[bundle]
	if len(there) == 0 {
		return notFound
	}
	fmt.Fprintf(c.App.Writer, "%s is deleted, and still in %s\n", bundle, clusterCount(len(there)))
	leaving := whereabouts{works: there}
	for _, cluster := range slices.Sorted(maps.Keys(there)) {
		stands := ""
		if ready := leaving.stands(cluster); ready != nil {
			stands = "  (" + readyText(ready) + ")"
		}
		fmt.Fprintf(c.App.Writer, "  %s%s\n", cluster, stands)
	}
	return f.explainRollout(ctx, c, bundle, "")
}

// whereabouts is a bundle, where it is placed, and how it is there.
type whereabouts struct {
	bundle   v1alpha1.Bundle
	ground   plan.Ground
	decision plan.Decision
	works    map[string]v1alpha1.Work // by cluster
}

func (f *fleet) whereabouts(ctx context.Context, bundle string) (w whereabouts, err error) {
	b, err := f.rolledOut(ctx, bundle)
	if err != nil {
		return w, err
	}
	w.bundle = *b
	if w.ground, w.works, err = f.ground(ctx, w.bundle); err != nil {
		return w, err
	}
	w.decision, err = plan.Place(w.bundle.Spec.Placement, w.ground)
	return w, err
}

// ground is what a bundle's placement is decided on, as the member knows it that is asked, and its works by cluster.
func (f *fleet) ground(ctx context.Context, b v1alpha1.Bundle) (g plan.Ground, works map[string]v1alpha1.Work, err error) {
	s, err := f.everywhere(ctx)
	if err != nil {
		return g, nil, err
	}
	return s.of(b), s.works[b.Name], nil
}

// scene is what placements are decided on, whatever the bundle.
type scene struct {
	ground  plan.Ground
	works   map[string]map[string]v1alpha1.Work // by bundle and cluster
	errands plan.Errands
}

// of is what the placement of a bundle is decided on, as the leader does: who has it keeps it, and so does who is about to get it.
func (s scene) of(b v1alpha1.Bundle) plan.Ground {
	g := s.ground
	g.Has = map[string]bool{}
	for cluster, w := range s.works[b.Name] {
		g.Has[cluster] = has(w)
	}
	s.errands.Of(string(b.UID), b.Generation).Remember(g.Has)
	return g
}

// has says that a cluster was granted a bundle, even if that was taken back: what it runs of it is there still.
func has(w v1alpha1.Work) bool { return w.Spec.Granted != "" || w.Spec.Held != "" }

func (f *fleet) everywhere(ctx context.Context) (s scene, err error) {
	var clusters v1alpha1.ClusterList
	if _, err := f.read(ctx, request{path: mustKind("Cluster").path()}, &clusters); err != nil {
		return s, err
	}
	var metrics v1alpha1.ClusterMetricsList
	if _, err := f.read(ctx, request{path: mustKind("ClusterMetrics").path()}, &metrics); err != nil {
		return s, err
	}
	var rollouts v1alpha1.RolloutList
	if _, err := f.read(ctx, request{path: mustKind("Rollout").path()}, &rollouts); err != nil {
		return s, err
	}
	s.ground = plan.Ground{Clusters: clusters.Items, Metrics: map[string]v1alpha1.ClusterMetricsStatus{}}
	for _, m := range metrics.Items {
		s.ground.Metrics[m.Name] = m.Status
	}
	var all []*v1alpha1.Rollout
	for i := range rollouts.Items {
		all = append(all, &rollouts.Items[i])
	}
	s.errands = plan.ErrandsOf(all)
	s.works, err = f.works(ctx)
	return s, err
}

// works are what there is in clusters, by bundle and cluster.
func (f *fleet) works(ctx context.Context) (map[string]map[string]v1alpha1.Work, error) {
	var list v1alpha1.WorkList
	if _, err := f.read(ctx, request{path: mustKind("Work").path()}, &list); err != nil {
		return nil, err
	}
	all := map[string]map[string]v1alpha1.Work{}
	for _, w := range list.Items {
		if all[w.Spec.Bundle] == nil {
			all[w.Spec.Bundle] = map[string]v1alpha1.Work{}
		}
		all[w.Spec.Bundle][w.Spec.Cluster] = w
	}
	return all, nil
}

// all prints a line for each cluster, and, where they are many, for all of which the same is to be said: those first that are not well, then
// those where it is placed.
func (w whereabouts) all(out io.Writer) {
	fmt.Fprintf(out, "%s is placed in %d of %d clusters\n", w.bundle.Name, len(w.decision.Picked), len(w.decision.Verdicts))
	for _, said := range w.decision.Unsatisfied {
		fmt.Fprintln(out, "  not as asked: "+said)
	}
	groups, left := w.groups(), 0
	if len(groups) > mostGroups {
		for _, g := range groups[mostGroups:] {
			left += len(g.clusters)
		}
		groups = groups[:mostGroups]
	}
	width := len("cluster")
	for _, g := range groups {
		width = max(width, len(g.names()))
	}
	for _, g := range groups {
		fmt.Fprintf(out, "  %-*s  %-3s  %s\n", width, g.names(), map[bool]string{true: "yes", false: "no"}[g.picked], g.text())
	}
	if left > 0 {
		fmt.Fprintf(out, "  and %s: hanse explain %s --cluster CLUSTER\n", v1alpha1.Counted(left, "one more", "%d more"), w.bundle.Name)
	}
}

const (
	// mostLines is how many clusters have a line of their own, and mostGroups how many lines there are.
	mostLines  = 10
	mostGroups = 20
)

// likeness is what is to be said of clusters, all of them the same.
type likeness struct {
	clusters []string
	picked   bool
	why      string
	// ready is what the first of them says that is not ready, and is so for longest; nil: all is well.
	ready *metav1.Condition
}

// groups are the clusters, those together of which the same is to be said, if they are many.
func (w whereabouts) groups() (all []*likeness) {
	by := map[string]*likeness{}
	for _, v := range w.decision.Verdicts {
		c := w.stands(v.Cluster)
		key := v.Cluster
		if len(w.decision.Verdicts) > mostLines {
			key = fmt.Sprint(v.Picked, v.Why)
			if c != nil {
				key += "\n" + c.Reason + c.Message
			}
		}
		g := by[key]
		if g == nil {
			g = &likeness{picked: v.Picked, why: v.Why, ready: c}
			by[key], all = g, append(all, g)
		}
		g.clusters = append(g.clusters, v.Cluster)
		if c != nil && c.LastTransitionTime.Before(&g.ready.LastTransitionTime) {
			g.ready = c
		}
	}
	slices.SortStableFunc(all, func(a, b *likeness) int { return cmp.Compare(a.rank(), b.rank()) })
	return all
}

// rank orders groups: who has the least is to be seen first.
func (g *likeness) rank() int {
	switch {
	case g.ready != nil && !slices.Contains([]string{v1alpha1.ReasonWaiting, v1alpha1.ReasonOwed}, g.ready.Reason):
		return 0
	case g.ready != nil:
		return 1
	case g.picked:
		return 2
	}
	return 3
}

// names are the clusters' names; of many that are well, how many they are.
func (g *likeness) names() string {
	if n := len(g.clusters); n > 5 && g.ready == nil {
		return fmt.Sprintf("%d clusters", n)
	}
	return few(g.clusters)
}

func (g *likeness) text() string {
	if g.ready == nil {
		return g.why
	}
	return g.why + "  (" + readyText(g.ready) + ")"
}

// stands is how the bundle is in a cluster, nil when all is well.
func (w whereabouts) stands(cluster string) *metav1.Condition {
	work := w.works[cluster]
	c := meta.FindStatusCondition(work.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status == metav1.ConditionTrue {
		return nil
	}
	return c
}

// one prints what there is to say of one cluster.
func (w whereabouts) one(out io.Writer, cluster string) error {
	i := slices.IndexFunc(w.decision.Verdicts, func(v plan.Verdict) bool { return v.Cluster == cluster })
	if i < 0 {
		return noCluster(cluster)
	}
	v := w.decision.Verdicts[i]
	fmt.Fprintf(out, "%s is %splaced in %s\n", w.bundle.Name, map[bool]string{false: "not "}[v.Picked], cluster)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "  %-10s %s\n", name, text)
		}
	}
	line("placement", v.Why)
	line("overrides", overrideNumbers(w.works[cluster].Spec.Frozen))
	work := w.works[cluster]
	line("granted", work.Spec.Granted)
	line("held", work.Spec.Held)
	if work.Spec.Wanted != work.Spec.Granted {
		line("wanted", work.Spec.Wanted)
	}
	if c := meta.FindStatusCondition(work.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		line("there", readyText(c))
	}
	for _, said := range problemLines(work) {
		line(said[0], said[1])
	}
	if c := w.ground.Cluster(cluster); v.Picked && v1alpha1.Suspension(c) != "" {
		line("suspended", fmt.Sprintf("cluster %s is %s; to let it go on: hanse unsuspend cluster %[1]s", cluster, v1alpha1.Suspension(c)))
	}
	for _, said := range w.decision.Unsatisfied {
		line("not as asked", said)
	}
	if !v.Picked {
		line("to change:", toChange(w.bundle, w.ground.Cluster(cluster)))
	}
	return nil
}

// mostProblems is how many objects are told of that are not as they are to be.
const mostProblems = 5

// problemLines are the objects of a bundle that are not as they are to be in a cluster, and where to look at the first.
func problemLines(w v1alpha1.Work) (lines [][2]string) {
	all := w.Status.Problems
	if len(all) == 0 {
		return nil
	}
	if len(all) > 1 { // or the condition has said it
		for _, p := range all[:min(mostProblems, len(all))] {
			lines = append(lines, [2]string{"problem", plan.Name(p.ObjectRef) + ": " + p.Message})
		}
	}
	if more := len(all) - mostProblems; more > 0 {
		lines = append(lines, [2]string{"", fmt.Sprintf("and %d more: hanse get work %s -o yaml", more, w.Name)})
	}
	return append(lines, [2]string{"look", lookAt(w, all[0])})
}

// lookAt is the command that shows an object that is there, and not as it is to be; of others it shows what the cluster is to have.
func lookAt(w v1alpha1.Work, p v1alpha1.Problem) string {
	if !slices.Contains([]string{"Conflict", "NotEstablished", "Unhealthy", "PruneFailed"}, p.Reason) {
		return "hanse render " + w.Spec.Bundle + " --cluster " + w.Spec.Cluster
	}
	command := "hanse kubectl --cluster " + w.Spec.Cluster + " -- describe " + strings.ToLower(p.Kind)
	if group, _, grouped := strings.Cut(p.APIVersion, "/"); grouped {
		command += "." + group
	}
	command += " " + p.Name
	if p.Namespace != "" {
		command += " -n " + p.Namespace
	}
	return command
}

// toChange is what may bring a bundle to a cluster where it is not placed, as commands where there are such; empty where it is not to be told.
func toChange(b v1alpha1.Bundle, c *v1alpha1.Cluster) string {
	p, title := b.Spec.Placement, v1alpha1.RolledOutOf(b.Name).Title()
	said, known := toBeMeant(b, c)
	if !known {
		return ""
	}
	if c.Spec.Availability == v1alpha1.AvailabilityCordoned || c.Spec.Availability == v1alpha1.AvailabilityDrained {
		said = append(said, "hanse uncordon "+c.Name)
	}
	if p.NumberOfClusters != nil && v1alpha1.Suspension(c) != "" {
		said = append(said, "hanse unsuspend cluster "+c.Name)
	}
	for _, t := range c.Spec.Taints {
		if !slices.ContainsFunc(p.Tolerations, func(tol v1alpha1.Toleration) bool { return tol.Tolerates(t) }) {
			said = append(said, fmt.Sprintf("tolerate %s in spec.placement.tolerations of %s, or take it out of spec.taints of cluster %s", t.Key, title, c.Name))
		}
	}
	if len(said) == 0 && p.NumberOfClusters != nil {
		said = append(said, "raise spec.placement.numberOfClusters of "+title)
		if len(p.SpreadConstraints) > 0 {
			said[0] += ", or loosen its spreadConstraints"
		}
	}
	return strings.Join(said, "; and ")
}

// toBeMeant is what makes a placement speak of a cluster, nothing of one that it speaks of; false where it is not to be told.
func toBeMeant(b v1alpha1.Bundle, c *v1alpha1.Cluster) (said []string, known bool) {
	p := b.Spec.Placement
	switch {
	case slices.Contains(p.Clusters, c.Name):
		return nil, true
	case p.ClusterSelector == nil && p.Expression == "" && len(p.Clusters) > 0:
		return []string{"add " + c.Name + " to spec.placement.clusters of " + v1alpha1.RolledOutOf(b.Name).Title()}, true
	case p.ClusterSelector == nil:
		return nil, false
	}
	selector, err := metav1.LabelSelectorAsSelector(p.ClusterSelector)
	if err != nil {
		return nil, false
	}
	var give []string
	requirements, _ := selector.Requirements()
	for _, r := range requirements {
		if r.Matches(labels.Set(c.Labels)) {
			continue
		}
		values := r.Values().List()
		if given := strings.HasPrefix(r.Key(), "topology.kubernetes.io/"); given || len(values) == 0 || r.Operator() == selection.NotIn {
			return nil, false // who has which region is said when it joins
		}
		give = append(give, r.Key()+"="+values[0])
	}
	if len(give) == 0 {
		return nil, p.Expression == ""
	}
	return []string{"hanse label cluster " + c.Name + " " + strings.Join(give, " ")}, true
}

// readyText is what a condition says, and since when it is so.
func readyText(c *metav1.Condition) string {
	text := inWords(c.Reason)
	if !c.LastTransitionTime.IsZero() {
		if c.Status == metav1.ConditionFalse {
			text += ", not ready" // for so long, whatever the reason was before
		}
		text += " since " + moment(c.LastTransitionTime)
	}
	return text + ": " + c.Message
}

func noCluster(name string) error {
	return &failure{code: exitError, why: "the fleet has no cluster " + name, hints: []hint{{"see what there is", "get clusters"}}}
}

// overrideNumbers names the overrides that are for a cluster, as the bundle counts them.
func overrideNumbers(f *v1alpha1.Frozen) string {
	if f == nil || len(f.Overrides) == 0 {
		return ""
	}
	var names []string
	for _, i := range f.Overrides {
		names = append(names, fmt.Sprintf("spec.overrides[%d]", i))
	}
	return strings.Join(names, ", ")
}
