package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
	"github.com/hanse-fleet/hanse/plan"
)

// correct has members put right once what differs in their clusters. That is written into the bundle, so any member takes it, and a
// cluster that cannot be asked now does it when it hears of it.
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
	all := d.lookAll(ctx, steps, "not known what differs")
	for i := range all {
		all[i].only(objects)
	}
	d.note(b, all)
	if len(d.found)+len(d.unknown) == 0 {
		d.say("nothing differs; nothing was written")
		return nil
	}
	v := diffView{out: d.c.App.Writer, paint: newPaint(d.c.App.Writer)}
	for _, one := range d.found {
		for _, group := range alikeIn(one.clusters) {
			v.group(group)
		}
	}
	if d.c.Bool("dry-run") {
		return nil
	}
	order := v1alpha1.Correction{ID: rand.Text(), Clusters: d.c.StringSlice("cluster"), Objects: objects}
	return d.order(ctx, b, order)
}

// order writes a correction into the bundle.
func (d *drifting) order(ctx context.Context, b v1alpha1.Bundle, order v1alpha1.Correction) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationCorrect: string(text)}}})
	if err != nil {
		return err
	}
	body, err := d.fleet.write(ctx, request{verb: "PATCH", path: mustKind("Bundle").path(b.Name), body: patch, bodyType: typeMerge})
	if err != nil {
		return err
	}
	d.say(fmt.Sprintf("bundle %s has it put right once%s; whether it is: hanse drift %[1]s", b.Name, atRevision(body)))
	return nil
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
