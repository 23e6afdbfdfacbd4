package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/render"
)

// taken is an object of a bundle that a cluster has otherwise than it was granted.
type taken struct {
	ref v1alpha1.ObjectRef
	// patch makes of what was granted what is there, and says nothing else; paths are the fields of the manifest in which they differ.
	patch v1alpha1.Patch
	paths []string
}

// settle lets a bundle agree with what its clusters have: by overrides that say the same, or by leaving the fields to others.
func (d *drifting) settle(ctx context.Context, b v1alpha1.Bundle, works map[string]v1alpha1.Work, named []string) error {
	steps, err := d.granted(ctx, b, works, named)
	if err != nil {
		return err
	}
	found, err := d.takeAll(ctx, b, steps)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		d.say("nothing differs that could be taken over; nothing was written")
		return nil
	}
	field, all := "overrides", any(append(slices.Clone(b.Spec.Overrides), overridesOf(found)...))
	added := any(overridesOf(found))
	if d.c.Bool("ignore") {
		field, all, added = "ignore", append(slices.Clone(b.Spec.Ignore), ignoring(found)...), ignoring(found)
	}
	shown, err := yaml.Marshal(map[string]any{field: added})
	if err != nil {
		return err
	}
	fmt.Fprint(d.c.App.Writer, escapedLines(string(shown)))
	if d.c.Bool("dry-run") {
		return nil
	}
	return d.writeSpec(ctx, b, field, all)
}

// writeSpec writes one field of the bundle as it was looked at. The leader writes its status meanwhile, which is no reason to give up;
// what people write is.
func (d *drifting) writeSpec(ctx context.Context, b v1alpha1.Bundle, field string, value any) error {
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/generation", "value": b.Generation},
		{"op": "add", "path": "/spec/" + field, "value": value},
	})
	if err != nil {
		return err
	}
	body, err := d.fleet.write(ctx, request{verb: "PATCH", path: mustKind("Bundle").path(b.Name), body: patch, bodyType: "application/json-patch+json"})
	if err != nil {
		return err
	}
	d.say(fmt.Sprintf("bundle %s says so%s; if its file lies elsewhere, write it there too, or the next apply takes it back", b.Name, atRevision(body)))
	return nil
}

// takeAll asks the clusters what they have. What cannot be taken over is said.
func (d *drifting) takeAll(ctx context.Context, b v1alpha1.Bundle, steps []step) (map[string][]taken, error) {
	var mu sync.Mutex
	found := map[string][]taken{}
	wanted, err := wantedObjects(d.c.Args().Tail())
	if err != nil {
		return nil, err
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, s := range steps {
		group.Go(func() error {
			all, notes := d.take(ctx, b, s, wanted)
			mu.Lock()
			defer mu.Unlock()
			for _, note := range notes {
				d.say(s.cluster + ": " + note)
			}
			if len(all) > 0 {
				found[s.cluster] = all
			}
			return nil
		})
	}
	return found, group.Wait()
}

// take finds what one cluster has otherwise.
func (d *drifting) take(ctx context.Context, b v1alpha1.Bundle, s step, wanted func(v1alpha1.ObjectRef) bool) (all []taken, notes []string) {
	if s.err != nil {
		return nil, []string{s.err.Error()}
	}
	seen, err := d.reach.foresee(ctx, s)
	if err != nil {
		return nil, []string{"not known: " + innermost(err)}
	}
	is, would := compare.ByIdentity(seen.before), compare.ByIdentity(seen.after)
	for _, o := range s.after {
		ref := plan.Ref(o)
		there, would := is[plan.Identify(ref)], would[plan.Identify(ref)]
		if !wanted(ref) {
			continue
		}
		t, note := taken{}, seen.whyUnknown(ref)
		if note == "" && would.Object != nil {
			if !d.c.Bool("ignore") {
				var parts string
				if there, parts = withParts(b.Spec.BundleContent, there, would); parts != "" {
					notes = append(notes, plan.Name(ref)+": "+parts)
				}
			}
			t, note = takeOne(o, there, would, d.c.Bool("ignore"))
		}
		switch {
		case note != "":
			notes = append(notes, plan.Name(ref)+": "+note)
		case len(t.paths) > 0:
			all = append(all, t)
		}
	}
	return all, notes
}

// whyUnknown says why a cluster does not tell how an object differs: it would refuse what was granted, as it does where nobody can change a
// field. Empty when it tells.
func (o outlook) whyUnknown(ref v1alpha1.ObjectRef) string {
	const then = "; if it is to stay as it is there, write the override by hand"
	for _, r := range o.refused {
		if plan.SameObject(r.ObjectRef, ref) {
			return "the cluster would not take what was granted: " + r.Why + then
		}
	}
	for _, r := range o.unasked {
		if plan.SameObject(r.ObjectRef, ref) {
			return "not known: " + r.Why
		}
	}
	for _, r := range o.replaced {
		if plan.SameObject(r.ObjectRef, ref) {
			return "nobody can change " + strings.Join(r.Immutable, ", ") + " there, so it would be deleted and made anew" + then
		}
	}
	return ""
}

// withParts is an object as it is in a cluster, but with its part of what the bundle divides: a part is set after all overrides, so none can take
// it over. The note says which part is another there.
func withParts(c v1alpha1.BundleContent, live, after unstructured.Unstructured) (as unstructured.Unstructured, note string) {
	if live.Object == nil {
		return live, ""
	}
	as = *live.DeepCopy()
	for _, name := range render.Divided(c, after) {
		part, found, err := unstructured.NestedFieldNoCopy(after.Object, "spec", name)
		is, _, _ := unstructured.NestedFieldNoCopy(live.Object, "spec", name)
		if !found || err != nil || reflect.DeepEqual(is, part) {
			continue
		}
		if err := unstructured.SetNestedField(as.Object, part, "spec", name); err != nil {
			return live, err.Error()
		}
		note = "/spec/" + name + " is its part of spec.division, which is set after all overrides; change spec.division or its weights, or --ignore it"
	}
	return as, note
}

// takeOne finds how an object differs; what is to be ignored needs no patch. The note says why that cannot be taken over.
func takeOne(manifest, live, after unstructured.Unstructured, ignore bool) (t taken, note string) {
	if live.Object == nil {
		return t, "it is not there; if it is to stay away, take it out of the bundle"
	}
	said, paths := compare.Taken(manifest, live, after)
	if len(paths) == 0 {
		return t, ""
	}
	t = taken{ref: plan.Ref(manifest), paths: paths}
	if ignore {
		return t, ""
	}
	if t.ref.Kind == "Secret" {
		return taken{}, "values of a Secret are not copied into the fleet's log"
	}
	if t.patch, note = patchTo(manifest, said, paths); note != "" {
		return taken{}, note
	}
	t.patch.Target = v1alpha1.Target(t.ref)
	return t, ""
}

// patchTo is the patch that makes an object what it is to be, where they differ in some paths. It leaves to the bundle what did not change, so
// that later changes of it reach the cluster: a merge patch has lists whole only. The note says why there is none.
func patchTo(from, to unstructured.Unstructured, paths []string) (patch v1alpha1.Patch, note string) {
	merge, err := mergePatch(from, to)
	if err != nil {
		return patch, err.Error()
	}
	inItem := slices.IndexFunc(paths, func(path string) bool { return passesList(from.Object, path) })
	if inItem < 0 {
		patch.Merge = &runtime.RawExtension{Raw: merge}
	} else if strategic, ok := render.StrategicPatch(from, to); ok {
		patch.Strategic = &runtime.RawExtension{Raw: strategic}
	} else {
		return patch, paths[inItem] + " is in a list, and could be taken over only with the whole list, so that nothing of it would change with the bundle; write the override by hand, or --ignore it"
	}
	if strings.Contains(string(merge), "${") && strings.Contains(string(merge), "cluster.") {
		return patch, "what is there would be read as an expression; write the override by hand"
	}
	return patch, ""
}

func mergePatch(from, to unstructured.Unstructured) ([]byte, error) {
	before, err := from.MarshalJSON()
	if err != nil {
		return nil, err
	}
	after, err := to.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return jsonpatch.CreateMergePatch(before, after)
}

// passesList says that a path, a JSON pointer of an object, leads to an item of a list, or into one.
func passesList(object any, path string) bool {
	step, rest, more := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch at := object.(type) {
	case map[string]any:
		return more && passesList(at[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)], rest)
	case []any:
		return true
	}
	return false
}

// wantedObjects are those that a person named, as KIND/NAME or KIND/NAMESPACE/NAME; without names, all.
func wantedObjects(names []string) (func(v1alpha1.ObjectRef) bool, error) {
	for _, name := range names {
		if n := strings.Count(name, "/"); n < 1 || n > 2 {
			return nil, usagef("%s: name objects as KIND/NAME, or KIND/NAMESPACE/NAME", name)
		}
	}
	return func(ref v1alpha1.ObjectRef) bool {
		is := func(name string) bool {
			return strings.EqualFold(name, ref.Kind+"/"+ref.Name) || strings.EqualFold(name, ref.Kind+"/"+ref.Namespace+"/"+ref.Name)
		}
		return len(names) == 0 || slices.ContainsFunc(names, is)
	}, nil
}

// overridesOf are overrides that say what was found; clusters that have the same share one.
func overridesOf(found map[string][]taken) (all []v1alpha1.Override) {
	for _, cluster := range slices.Sorted(maps.Keys(found)) {
		var patches []v1alpha1.Patch
		for _, t := range found[cluster] {
			patches = append(patches, t.patch)
		}
		i := slices.IndexFunc(all, func(o v1alpha1.Override) bool { return reflect.DeepEqual(o.Patches, patches) })
		if i < 0 {
			i, all = len(all), append(all, v1alpha1.Override{Patches: patches})
		}
		all[i].Clusters = append(all[i].Clusters, cluster)
	}
	return all
}

// ignoring are rules for the fields that were found, an object each.
func ignoring(found map[string][]taken) (all []v1alpha1.IgnoredFields) {
	at := map[v1alpha1.ObjectRef]int{}
	for _, cluster := range slices.Sorted(maps.Keys(found)) {
		for _, t := range found[cluster] {
			i, known := at[t.ref]
			if !known {
				i = len(all)
				at[t.ref], all = i, append(all, v1alpha1.IgnoredFields{Target: v1alpha1.Target(t.ref)})
			}
			for _, path := range t.paths {
				if !slices.Contains(all[i].Paths, path) {
					all[i].Paths = append(all[i].Paths, path)
				}
			}
		}
	}
	return all
}
