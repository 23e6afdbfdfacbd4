package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/render"
)

// inClusters finds what a bundle that would be so changes in the clusters: those where it is to be, and those where it is.
func (d *differ) inClusters(ctx context.Context, b v1alpha1.Bundle, found *difference) (err error) {
	scene, err := d.fleet.everywhere(ctx)
	if err != nil {
		return err
	}
	w := whereabouts{bundle: b, ground: scene.of(b), works: scene.works[b.Name]}
	if w.decision, err = plan.Place(b.Spec.Placement, w.ground); err != nil {
		return err
	}
	clusters, err := d.concerned(w)
	if err != nil {
		return err
	}
	priors, err := d.priors(ctx, b, scene)
	if err != nil {
		return err
	}
	contents := contents{fleet: d.fleet, had: map[string]v1alpha1.BundleContent{}}
	var steps []step
	for _, cluster := range clusters {
		s, err := d.step(ctx, w, &contents, cluster)
		if err != nil {
			return err
		}
		s.runs, s.prior = runsIn(scene.works, cluster), broughtTo(cluster, priors)
		steps = append(steps, s)
	}
	found.Clusters = d.lookAll(ctx, steps, "compared with what it was granted")
	found.waves, err = d.waves(ctx, w, found.Clusters)
	return err
}

// concerned are the clusters where the bundle is, or is to be, or those of them that were named.
func (d *differ) concerned(w whereabouts) ([]string, error) {
	all := map[string]bool{}
	for _, cluster := range w.decision.Picked {
		all[cluster] = true
	}
	for cluster, work := range w.works {
		if has(work) || isHeld(work) {
			all[cluster] = true
		}
	}
	named := d.c.StringSlice("cluster")
	if len(named) == 0 {
		return slices.Sorted(maps.Keys(all)), nil
	}
	for i := range named {
		named[i] = bareCluster(named[i])
		if w.ground.Cluster(named[i]) == nil {
			return nil, noCluster(named[i])
		}
	}
	return slices.DeleteFunc(slices.Sorted(slices.Values(named)), func(cluster string) bool { return !all[cluster] }), nil
}

// step is what a cluster was granted of a bundle, and what it is to have.
type step struct {
	bundle        string
	cluster       string
	loses         bool
	adopts        v1alpha1.AdoptPolicy
	has           bool            // the cluster has the bundle in this form
	runs          map[string]bool // labels of the bundles that the cluster is granted
	orphan        bool            // what leaves the bundle stays in the cluster
	before, after []unstructured.Unstructured
	prior         []unstructured.Unstructured // what bundles that it depends on bring before
	err           error                       // why it cannot be rendered
}

func (d *differ) step(ctx context.Context, w whereabouts, contents *contents, cluster string) (step, error) {
	s := step{bundle: w.bundle.Name, cluster: cluster, adopts: w.bundle.Spec.Adopt, orphan: w.bundle.Spec.Deletion == v1alpha1.DeletionOrphan}
	var err error
	if s.before, err = d.had(ctx, w.works[cluster], contents); err != nil {
		return s, err
	}
	if !slices.Contains(w.decision.Picked, cluster) {
		s.loses = true
		s.orphan, err = contents.letsGo(ctx, w.works[cluster])
		return s, err
	}
	revision := v1alpha1.RevisionName(w.bundle.Name, string(w.bundle.UID), w.bundle.Generation)
	s.after, s.err = render.Render(w.bundle.Spec.BundleContent, w.freeze(revision, cluster))
	return s, nil
}

// had is what a cluster may have of a bundle: what it was granted, and what it ran when it was last heard of.
func (d *differ) had(ctx context.Context, w v1alpha1.Work, contents *contents) (objects []unstructured.Unstructured, err error) {
	granted := cmp.Or(w.Spec.Granted, w.Spec.Held)
	if granted != "" {
		content, err := contents.get(ctx, granted)
		if err != nil {
			return nil, err
		}
		if objects, err = render.Render(content, w.Spec.Frozen); err != nil {
			d.say(fmt.Sprintf("%s: what it was granted cannot be rendered: %v", w.Spec.Cluster, err))
		}
	}
	if runs := w.Status.Applied; runs != "" && runs != granted {
		content, err := contents.get(ctx, runs)
		if isReason(err, metav1.StatusReasonNotFound) {
			d.say(fmt.Sprintf("%s: it runs %s, and nobody remembers what that is", w.Spec.Cluster, runs))
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		content.Overrides, content.Division = nil, nil // nobody remembers what they took from the cluster; they change no object's name
		more, err := render.Render(content, nil)
		if err != nil {
			d.say(fmt.Sprintf("%s: what it runs cannot be rendered: %v", w.Spec.Cluster, err))
		}
		objects = append(objects, compare.Without(more, objects)...)
	}
	return objects, nil
}

// letsGo says that what a cluster has of a bundle stays in it when the bundle is withdrawn: the member goes by what it has, not by what the bundle
// says now. Of one that may have either of two revisions it says so when both do.
func (r *contents) letsGo(ctx context.Context, w v1alpha1.Work) (bool, error) {
	may := mayHave(w)
	for _, revision := range may {
		content, err := r.get(ctx, revision)
		if isReason(err, metav1.StatusReasonNotFound) { // nobody remembers it: in doubt, all goes
			return false, nil
		}
		if err != nil || content.Deletion != v1alpha1.DeletionOrphan {
			return false, err
		}
	}
	return len(may) > 0, nil
}

// mayHave are the revisions of which a cluster has one: what it was granted, and what it ran when it was last heard of. What was taken back it
// has not.
func mayHave(w v1alpha1.Work) (revisions []string) {
	granted, runs := cmp.Or(w.Spec.Granted, w.Spec.Held), w.Status.Applied
	if isHeld(w) && runs != "" {
		return []string{runs}
	}
	for _, revision := range []string{granted, runs} {
		if revision != "" && !slices.Contains(revisions, revision) {
			revisions = append(revisions, revision)
		}
	}
	return revisions
}

// isHeld says that what a cluster was granted, be it a withdrawal, was taken back.
func isHeld(w v1alpha1.Work) bool {
	c := meta.FindStatusCondition(w.Status.Conditions, v1alpha1.ConditionReady)
	return w.Spec.Held != "" || c != nil && c.Reason == v1alpha1.ReasonHeld
}

// runsIn are the labels of the bundles that a cluster is granted.
func runsIn(works map[string]map[string]v1alpha1.Work, cluster string) map[string]bool {
	labels := map[string]bool{}
	for bundle, in := range works {
		labels[v1alpha1.BundleLabel(bundle)] = in[cluster].Spec.Granted != ""
	}
	return labels
}

// contents are those of a bundle's revisions, each read once.
type contents struct {
	fleet *fleet
	had   map[string]v1alpha1.BundleContent
}

func (r *contents) get(ctx context.Context, name string) (v1alpha1.BundleContent, error) {
	if c, ok := r.had[name]; ok {
		return c, nil
	}
	var revision v1alpha1.BundleRevision
	if _, err := r.fleet.read(ctx, request{path: mustKind("BundleRevision").path(name)}, &revision); err != nil {
		return v1alpha1.BundleContent{}, err
	}
	r.had[name] = revision.Spec.BundleContent
	return revision.Spec.BundleContent, nil
}

// lookAll looks at clusters side by side, so many at once. instead says what is done of one that cannot be asked.
func (d *differ) lookAll(ctx context.Context, steps []step, instead string) []prospect {
	all := make([]prospect, len(steps))
	why := make([]error, len(steps))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, s := range steps {
		group.Go(func() error {
			all[i], why[i] = d.look(ctx, s)
			return nil
		})
	}
	_ = group.Wait() // each has its own error
	for i, err := range why {
		if err != nil {
			d.say(fmt.Sprintf("%s: %s: %s", steps[i].cluster, instead, innermost(err)))
		}
		if unasked := all[i].Unasked; len(unasked) > 0 {
			d.say(fmt.Sprintf("%s: %s: %s: %s", steps[i].cluster, few(objectsOf(unasked)), instead, unasked[0].Why))
		}
	}
	return all
}

func objectsOf(all []refusal) (names []string) {
	for _, r := range all {
		names = append(names, plan.Name(r.ObjectRef))
	}
	return names
}

// look finds what is different in one cluster. The error says why the cluster itself was not asked.
func (d *differ) look(ctx context.Context, s step) (prospect, error) {
	p := prospect{Cluster: s.cluster, Loses: s.loses, Granted: d.reach == nil}
	if s.err != nil {
		p.Error = s.err.Error()
		return p, nil
	}
	var err error
	seen := outlook{before: s.before, after: s.after}
	if d.reach != nil {
		if seen, err = d.reach.foresee(ctx, s); err != nil {
			seen, p.Granted = outlook{before: s.before, after: s.after}, true
		}
	}
	seen.asGranted(s)
	p.Refused, p.Unasked, p.Objects = seen.refused, seen.unasked, append(compare.Objects(seen.before, seen.after), seen.replaced...)
	if s.orphan {
		p.letGo()
	}
	return p, err
}

// asGranted takes what could not be asked about as it was granted, and as it is to be.
func (o *outlook) asGranted(s step) {
	was, is := compare.ByIdentity(s.before), compare.ByIdentity(s.after)
	for _, r := range o.unasked {
		if before, granted := was[plan.Identify(r.ObjectRef)]; granted {
			o.before = append(o.before, before)
		}
		if after, wanted := is[plan.Identify(r.ObjectRef)]; wanted {
			o.after = append(o.after, after)
		}
	}
}

// letGo turns what would be deleted into what stays.
func (p *prospect) letGo() {
	p.Objects = slices.DeleteFunc(p.Objects, func(o compare.Object) bool {
		if o.Fate == compare.Deleted {
			p.Orphans = append(p.Orphans, o.ObjectRef)
		}
		return o.Fate == compare.Deleted
	})
}
