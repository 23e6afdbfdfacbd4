package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
	"github.com/hanse-fleet/hanse/plan"
)

// triedAtOnce is how many objects are tried at once in a cluster.
const triedAtOnce = 8

// foresight is a cluster that is asked what objects would become.
type foresight struct {
	dynamic.Interface
	kinds meta.RESTMapperWithContext
	// brings are the namespaces and kinds that the bundle itself brings, or one that it depends on: what needs them cannot be tried before they are there.
	namespaces map[string]bool
	brings     map[schema.GroupKind]bool
	step       step
	granted    map[plan.Identity]unstructured.Unstructured

	mu sync.Mutex
	outlook
}

// outlook is what a cluster says of a step.
type outlook struct {
	before, after []unstructured.Unstructured
	replaced      []compare.Object
	refused       []refusal
	// unasked are objects that the person who asks may not look at, or try, there.
	unasked []refusal
}

// foresee asks a cluster what of a step is there, and lets it try the rest, as the person who asks. An error says why it was not
// asked, or does not let the person ask.
func (r *reach) foresee(ctx context.Context, s step) (outlook, error) {
	line, err := r.open(ctx, s.cluster)
	if err != nil {
		return outlook{}, err
	}
	defer line.hangUp()
	carrier := &http.Client{Transport: line.Transport}
	asks, err := discovery.NewDiscoveryClientForConfigAndClient(line.Config, carrier)
	if err != nil {
		return outlook{}, err
	}
	f := &foresight{step: s, granted: compare.ByIdentity(s.before), namespaces: map[string]bool{}, brings: map[schema.GroupKind]bool{}}
	if f.Interface, err = dynamic.NewForConfigAndClient(line.Config, carrier); err != nil {
		return outlook{}, err
	}
	if f.kinds, err = kindsOf(ctx, asks); err != nil {
		return outlook{}, err
	}
	for _, o := range slices.Concat(s.prior, s.after) {
		f.learn(o)
	}
	gone := compare.Without(s.before, s.after)
	if err = each(ctx, s.after, f.orAsGranted(f.try)); err == nil {
		err = each(ctx, gone, f.orAsGranted(f.find))
	}
	if n := len(f.unasked); err == nil && n > 0 && n == len(s.after)+len(gone) {
		err = errors.New(f.sorted().unasked[0].Why)
	}
	return f.sorted(), err
}

// orAsGranted does something with an object, and takes it as it was granted where the person may not.
func (f *foresight) orAsGranted(do func(context.Context, unstructured.Unstructured) error) func(context.Context, unstructured.Unstructured) error {
	return func(ctx context.Context, o unstructured.Unstructured) error {
		err := do(ctx, o)
		if !apierrors.IsForbidden(err) {
			return err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.unasked = append(f.unasked, refusal{plan.Ref(o), innermost(err)})
		return nil
	}
}

// learn notes what an object brings that others may need.
func (f *foresight) learn(o unstructured.Unstructured) {
	switch o.GetKind() {
	case "Namespace":
		f.namespaces[o.GetName()] = true
	case "CustomResourceDefinition":
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		f.brings[schema.GroupKind{Group: group, Kind: kind}] = true
	}
}

// each does something with objects side by side; the first that fails ends it.
func each(ctx context.Context, objects []unstructured.Unstructured, do func(context.Context, unstructured.Unstructured) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(triedAtOnce)
	for _, o := range objects {
		group.Go(func() error { return do(ctx, o) })
	}
	return group.Wait()
}

// resource is where a cluster serves an object; nil when it does not know the kind.
func (f *foresight) resource(ctx context.Context, o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := o.GroupVersionKind()
	m, err := f.kinds.RESTMappingWithContext(ctx, gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		return f.Resource(m.Resource), nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	return f.Resource(m.Resource).Namespace(o.GetNamespace()), nil
}

// find notes an object that would go, if it is there.
func (f *foresight) find(ctx context.Context, o unstructured.Unstructured) error {
	o = *o.DeepCopy()
	resource, err := f.resource(ctx, &o)
	if err != nil || resource == nil {
		return err
	}
	live, err := resource.Get(ctx, o.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		f.note(live, nil)
	}
	return err
}

// try finds an object as it is, and lets the cluster say what it would be.
func (f *foresight) try(ctx context.Context, o unstructured.Unstructured) error {
	o = *o.DeepCopy()
	resource, err := f.resource(ctx, &o)
	switch {
	case err != nil:
		return err
	case resource == nil && f.brings[o.GroupVersionKind().GroupKind()]:
		f.note(nil, &o)
		return nil
	case resource == nil:
		f.refuse(o, "the cluster does not serve the kind "+o.GroupVersionKind().String())
		return nil
	}
	live, err := resource.Get(ctx, o.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		live, err = nil, nil
	}
	if err != nil {
		return err
	}
	taking := f.taking(o, live)
	if taking == plan.Leaves {
		f.refuse(o, f.whyLeft(live))
		return nil
	}
	after, err := f.dryRun(ctx, resource, o, live)
	if why := unequal(live, after); taking == plan.TakesEqual && why != "" {
		f.refuse(o, why)
		return nil
	}
	switch {
	case err == nil:
		f.note(live, after)
	case apierrors.IsNotFound(err) && f.namespaces[o.GetNamespace()]:
		f.note(nil, &o)
	case apierrors.IsInvalid(err) && live != nil:
		return f.tryAnew(ctx, resource, o, live, err)
	case apierrors.IsNotFound(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		f.refuse(o, err.Error())
	default:
		return err
	}
	return nil
}

// tryAnew finds out whether an object that the cluster does not let be changed would be replaced.
func (f *foresight) tryAnew(ctx context.Context, resource dynamic.ResourceInterface, o unstructured.Unstructured, live *unstructured.Unstructured, refused error) error {
	why := plan.WhyKept(&o, live, refused)
	if !plan.Replaces(&o) {
		hint := ""
		if why == "" {
			hint = "; with the annotation " + v1alpha1.AnnotationReplace + ": " + v1alpha1.ReplaceWhenImmutable + " it would be deleted and made anew"
		}
		f.refuse(o, refused.Error()+hint)
		return nil
	}
	if why == "" && live.GetLabels()[v1alpha1.LabelBundle] == "" {
		why = "it is not of this bundle"
	}
	if why == "" {
		_, err := resource.Create(ctx, plan.Trial(&o, live), metav1.CreateOptions{FieldManager: v1alpha1.FieldManager, DryRun: []string{metav1.DryRunAll}})
		switch {
		case err == nil:
			f.replace(o, refused)
			return nil
		case !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err):
			return err
		}
		why = "the cluster would not take it: " + err.Error()
	}
	f.refuse(o, refused.Error()+"; it would not be deleted to be made anew: "+why)
	return nil
}

// taking says what the bundle does with what is there. What bears its label is its own, as far as can be told from here.
func (f *foresight) taking(o unstructured.Unstructured, live *unstructured.Unstructured) plan.Taking {
	if live == nil {
		return plan.Takes
	}
	of := live.GetLabels()[v1alpha1.LabelBundle]
	if of == v1alpha1.BundleLabel(f.step.bundle) {
		return plan.Takes
	}
	_, granted := f.granted[plan.Identify(plan.Ref(o))]
	runs := f.step.runs[of]
	return plan.TakingOver(f.step.adopts, runs && (f.step.has || granted), runs)
}

// whyLeft says why the bundle will not touch what is there.
func (f *foresight) whyLeft(live *unstructured.Unstructured) string {
	if of := live.GetLabels()[v1alpha1.LabelBundle]; of != "" {
		return fmt.Sprintf("it belongs to %s; take it out of one of the two", v1alpha1.RolledOutOf(of).Title())
	}
	return "it is there already, and is not of this bundle; with adopt: Always it would be taken over"
}

// unequal says why a bundle that takes over what is equal will not touch what is there.
func unequal(live, after *unstructured.Unstructured) string {
	if live == nil || after == nil {
		return ""
	}
	fields := compare.Fields(*live, *after)
	if len(fields) == 0 {
		return ""
	}
	return fmt.Sprintf("it is there already, and is otherwise than the bundle says in %s; with adopt: Always it would be overwritten", compare.Paths(fields))
}

// dryRun lets the cluster say what it would make of an object.
func (f *foresight) dryRun(ctx context.Context, resource dynamic.ResourceInterface, o unstructured.Unstructured, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if live != nil { // or it would lose the marks
		labels := live.GetLabels()
		maps.DeleteFunc(labels, func(key, _ string) bool { return !compare.Mark(key) })
		maps.Copy(labels, o.GetLabels())
		o.SetLabels(labels)
	}
	body, err := o.MarshalJSON()
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return resource.Patch(ctx, o.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: v1alpha1.FieldManager, Force: new(true),
	})
}

// note keeps an object as it is and as it would be; nil is not there.
func (f *foresight) note(before, after *unstructured.Unstructured) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if before != nil {
		f.before = append(f.before, *before)
	}
	if after != nil {
		f.after = append(f.after, *after)
	}
}

func (f *foresight) refuse(o unstructured.Unstructured, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = append(f.refused, refusal{plan.Ref(o), why})
}

// replace notes an object that would be replaced.
func (f *foresight) replace(o unstructured.Unstructured, refused error) {
	fields, _ := plan.Immutable(refused)
	found := compare.Object{ObjectRef: plan.Ref(o), Fate: compare.Replaced, Immutable: fields}
	if granted, was := f.granted[plan.Identify(found.ObjectRef)]; was {
		found.Fields = compare.Fields(granted, o)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replaced = append(f.replaced, found)
}

// sorted is in an order that is not that of the answers, so that clusters that answer alike are told together.
func (f *foresight) sorted() outlook {
	for _, all := range [][]refusal{f.refused, f.unasked} {
		slices.SortFunc(all, func(a, b refusal) int { return compareRefs(a.ObjectRef, b.ObjectRef) })
	}
	slices.SortFunc(f.replaced, func(a, b compare.Object) int { return compareRefs(a.ObjectRef, b.ObjectRef) })
	return f.outlook
}

func compareRefs(a, b v1alpha1.ObjectRef) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.APIVersion, b.APIVersion))
}
