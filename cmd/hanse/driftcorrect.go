package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
	"github.com/hanse-fleet/hanse/plan"
)

// correct has members put right once what differs in their clusters: just that, and where it was seen. It is written into the bundle, so
// any member takes it.
func (d *drifting) correct(ctx context.Context, b v1alpha1.Bundle, works map[string]v1alpha1.Work, named []string) error {
	if b.Spec.Drift != v1alpha1.DriftReport {
		return fmt.Errorf("its drift is Correct: members put it right by themselves, but where it is suspended")
	}
	steps, err := d.granted(ctx, b, works, named)
	if err != nil {
		return err
	}
	objects, err := objectsIn(steps, d.c.Args().Tail())
	if err != nil {
		return err
	}
	all := d.lookAll(ctx, steps, "not known what differs, so nothing is ordered there")
	for i := range all {
		all[i].only(objects)
	}
	d.note(b, all)
	if len(d.found) == 0 {
		d.say("nothing differs" + d.butUnknown() + "; nothing was written")
		return nil
	}
	v := diffView{out: d.c.App.Writer, paint: newPaint(d.c.App.Writer)}
	for _, group := range alikeIn(d.found[0].clusters) {
		v.group(group)
	}
	now := time.Now()
	order := v1alpha1.NextCorrection(&b, now)
	if order.In = differing(d.found[0].clusters); len(order.In) == 0 {
		d.say("nothing of it can be put right; nothing was written")
		return nil
	}
	if d.c.Bool("dry-run") {
		return nil
	}
	if err := d.mayCorrect(ctx, b, order); err != nil {
		return err
	}
	var fleet v1alpha1.FleetStatus
	if _, err := d.fleet.read(ctx, request{path: v1alpha1.PathStatus}, &fleet); err != nil {
		return err
	}
	order.Epoch = fleet.EpochID
	if open := v1alpha1.CorrectionOf(&b); open.Holds(now) {
		d.say(fmt.Sprintf("an order from before holds until %s: what is not put right of it yet, and not in this one, stays", open.Until.Format(time.TimeOnly+" MST")))
	}
	return d.order(ctx, b, order)
}

// butUnknown names the clusters that could not be asked.
func (d *drifting) butUnknown() string {
	if len(d.unknown) == 0 {
		return ""
	}
	return " where it could be asked, which is not " + few(slices.Sorted(maps.Keys(d.unknown)))
}

// differing is what differs, and where; clusters with the same are together.
func differing(clusters []prospect) (in []v1alpha1.CorrectionIn) {
	for _, p := range clusters {
		var objects []v1alpha1.ObjectRef
		for _, o := range p.Objects {
			objects = append(objects, o.ObjectRef)
		}
		if len(objects) == 0 {
			continue
		}
		alike := func(one v1alpha1.CorrectionIn) bool { return slices.Equal(one.Objects, objects) }
		if i := slices.IndexFunc(in, alike); i >= 0 {
			in[i].Clusters = append(in[i].Clusters, p.Cluster)
		} else {
			in = append(in, v1alpha1.CorrectionIn{Clusters: []string{p.Cluster}, Objects: objects})
		}
	}
	return in
}

// mayCorrect asks a person who would change several fault domains at once, and named no cluster.
func (d *drifting) mayCorrect(ctx context.Context, b v1alpha1.Bundle, order v1alpha1.Correction) error {
	if len(d.c.StringSlice("cluster")) > 0 {
		return nil
	}
	var clusters v1alpha1.ClusterList
	if _, err := d.fleet.read(ctx, request{path: mustKind("Cluster").path()}, &clusters); err != nil {
		return err
	}
	domains, err := d.fleet.domainsOf(ctx, b, order, clusters.Items)
	if err != nil || len(domains) < 2 {
		return err
	}
	return typedName(d.c, changesAtOnce(domains)+"; --cluster takes a part", b.Name)
}

func changesAtOnce(domains []string) string {
	return fmt.Sprintf("this changes %s at once, with no wave between", few(domains))
}

// domainsOf are the fault domains of a bundle that an order is about.
func (f *fleet) domainsOf(ctx context.Context, b v1alpha1.Bundle, order v1alpha1.Correction, clusters []v1alpha1.Cluster) ([]string, error) {
	policy, err := f.rolloutPolicy(ctx)
	own := ""
	if b.Spec.Rollout != nil {
		own = b.Spec.Rollout.Domain
	}
	return domainsOf(order, clusters, policy.Domain, own), err
}

// domainsOf are the fault domains that an order is about: by the label of the fleet, and within one by that of the bundle, if it has its own.
func domainsOf(order v1alpha1.Correction, clusters []v1alpha1.Cluster, fleet, own string) (domains []string) {
	for _, c := range clusters {
		if order.For(c.Name).Number == 0 {
			continue
		}
		domain := cmp.Or(c.Labels[fleet], "clusters of no "+fleet)
		if own != "" && own != fleet {
			domain += " " + cmp.Or(c.Labels[own], "of no "+own)
		}
		domains = append(domains, domain)
	}
	slices.Sort(domains)
	return slices.Compact(domains)
}

// order writes a correction into the bundle, as it was seen: of two people who order at once, one is refused. The leader writes its status
// meanwhile, which is no reason to give up.
func (d *drifting) order(ctx context.Context, b v1alpha1.Bundle, order v1alpha1.Correction) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	if len(text) > v1alpha1.MaxCorrection {
		return usage("it is too much for one order", hint{words: "take a part of it: --cluster NAME, or objects behind the bundle's name"})
	}
	for look := 1; ; look++ {
		body, err := d.fleet.merge(ctx, request{path: mustKind("Bundle").path(b.Name)}, map[string]any{"metadata": map[string]any{
			"resourceVersion": b.ResourceVersion, "annotations": map[string]any{v1alpha1.AnnotationCorrect: string(text)},
		}})
		if isReason(err, metav1.StatusReasonConflict) && look < ordersTries {
			if b, err = d.asSeen(ctx, b); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		d.say(fmt.Sprintf("bundle %s has it put right once%s; whether it is: hanse drift %[1]s", b.Name, atRevision(body)))
		return nil
	}
}

// asSeen is a bundle as it is now, if people have changed nothing of what was seen of it: neither what it says nor what was ordered.
func (d *drifting) asSeen(ctx context.Context, b v1alpha1.Bundle) (v1alpha1.Bundle, error) {
	now, err := d.fleet.rolledOut(ctx, b.Name)
	if err != nil {
		return b, err
	}
	same := now.UID == b.UID && now.Generation == b.Generation &&
		now.Annotations[v1alpha1.AnnotationCorrect] == b.Annotations[v1alpha1.AnnotationCorrect]
	if !same {
		return b, &failure{code: exitError, why: "somebody changed the bundle, or ordered something of it, in between, and nothing was written",
			hints: []hint{{"see what differs now", "drift " + b.Name}}}
	}
	return *now, nil
}

// objectsIn are the objects of steps that a person named, each once; without names, none: all are meant.
func objectsIn(steps []step, names []string) (objects []v1alpha1.ObjectRef, err error) {
	for _, name := range names {
		wanted, err := wantedObjects([]string{name})
		if err != nil {
			return nil, err
		}
		found := false
		for _, s := range steps {
			for _, o := range s.after {
				ref := plan.Ref(o)
				if !wanted(ref) {
					continue
				}
				found = true
				if !slices.ContainsFunc(objects, func(had v1alpha1.ObjectRef) bool { return plan.SameObject(had, ref) }) {
					objects = append(objects, ref)
				}
			}
		}
		if !found {
			return nil, usage(name + ": the bundle has no such object there")
		}
	}
	return objects, nil
}

// forget drops what is said of some objects.
func (p *prospect) forget(objects []refusal) {
	p.Objects = slices.DeleteFunc(p.Objects, func(o compare.Object) bool {
		return slices.ContainsFunc(objects, func(r refusal) bool { return plan.SameObject(r.ObjectRef, o.ObjectRef) })
	})
}

// only leaves of what is different what is about some objects; without any, all of it.
func (p *prospect) only(objects []v1alpha1.ObjectRef) {
	if len(objects) == 0 {
		return
	}
	other := func(ref v1alpha1.ObjectRef) bool {
		return !slices.ContainsFunc(objects, func(named v1alpha1.ObjectRef) bool { return plan.SameObject(named, ref) })
	}
	p.Objects = slices.DeleteFunc(p.Objects, func(o compare.Object) bool { return other(o.ObjectRef) })
	p.Refused = slices.DeleteFunc(p.Refused, func(r refusal) bool { return other(r.ObjectRef) })
	p.Unasked = slices.DeleteFunc(p.Unasked, func(r refusal) bool { return other(r.ObjectRef) })
}
