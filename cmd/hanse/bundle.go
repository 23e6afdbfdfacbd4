package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// change is one object to apply.
type change struct {
	kind   kind
	name   string
	object map[string]any
	// origins are where each of a bundle's manifests was read, when they are documents of their own.
	origins []document
	// raw says that the object was made of manifests: what it does not say stays as it is in the fleet.
	raw bool
}

// title is the change as people read it: bundle shop.
func (c change) title() string { return c.kind.singular() + " " + c.name }

// given is what a person asked apply for, apart from the documents.
type given struct {
	bundle   string
	to       string
	clusters []string
}

// changes sorts out documents: objects of the fleet as they are, or else all manifests as one bundle.
func changes(documents []document, g given) ([]change, error) {
	if g.bundle != "" {
		return bundleOf(documents, g)
	}
	if g.to != "" || len(g.clusters) > 0 {
		return nil, usage("--to and --clusters say where a bundle made of manifests goes; they need --bundle NAME")
	}
	var all []change
	for _, d := range documents {
		if !d.ours() {
			return nil, usage(fmt.Sprintf("%s: %s is not a kind of the fleet", d.at("kind"), d.kind()),
				hint{"to run it in clusters, make it part of a bundle", "apply --bundle NAME --to all -f " + d.source})
		}
		if err := checkStrict(d); err != nil {
			return nil, err
		}
		k, _ := kindNamed(d.kind())
		object := d.unstructured()
		all = append(all, change{kind: k, name: object.GetName(), object: ownFields(d.object)})
	}
	return all, nil
}

// ownFields drops what only the API sets, so that what `get -o yaml` printed can be applied.
func ownFields(object map[string]any) map[string]any {
	delete(object, "status")
	if metadata, ok := object["metadata"].(map[string]any); ok {
		for _, field := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"} {
			delete(metadata, field)
		}
	}
	return object
}

func bundleOf(documents []document, g given) ([]change, error) {
	manifests := []any{}
	for _, d := range documents {
		if d.ours() {
			return nil, usagef("%s: a %s of the fleet cannot be part of a bundle; apply it without --bundle", d.at("kind"), d.kind())
		}
		manifests = append(manifests, d.object)
	}
	placement, err := placementOf(g)
	if err != nil {
		return nil, err
	}
	spec := map[string]any{"manifests": manifests}
	if placement != nil {
		spec["placement"] = placement
	}
	return []change{{
		kind: mustKind("Bundle"), name: g.bundle, origins: documents, raw: true,
		object: map[string]any{
			"apiVersion": apiVersion, "kind": "Bundle",
			"metadata": map[string]any{"name": g.bundle}, "spec": spec,
		},
	}}, nil
}

// placementOf reads --to and --clusters; nil when neither is given.
func placementOf(g given) (map[string]any, error) {
	if g.to == "" && len(g.clusters) == 0 {
		return nil, nil
	}
	placement := map[string]any{}
	if len(g.clusters) > 0 {
		names := []any{}
		for _, name := range g.clusters {
			names = append(names, name)
		}
		placement["clusters"] = names
	}
	switch g.to {
	case "":
	case "all":
		placement["clusterSelector"] = map[string]any{}
	default:
		selector, err := metav1.ParseToLabelSelector(g.to)
		if err != nil {
			return nil, usage(fmt.Sprintf("--to %s: not a label selector", g.to),
				hint{words: "all, or labels as tier=prod,zone!=b; clusters by name: --clusters fra,iad"})
		}
		asMap, err := toMap(selector)
		if err != nil {
			return nil, err
		}
		placement["clusterSelector"] = asMap
	}
	return placement, nil
}

func toMap(value any) (map[string]any, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	var m map[string]any
	return m, json.Unmarshal(data, &m)
}

func fromMap(m map[string]any, into any) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return json.Unmarshal(data, into)
}

// unsaid is what fields of a bundle's spec are when nobody said anything. Repeating it would make it ours.
var unsaid = map[string]any{
	"drift": string(v1alpha1.DriftCorrect), "deletion": string(v1alpha1.DeletionPrune), "adopt": string(v1alpha1.AdoptNever),
}

// complete fills in what a bundle made of manifests leaves unsaid: everything but the manifests stays as it is in
// the fleet. A new one must say where it goes.
func (c change) complete(current *unstructured.Unstructured) error {
	if !c.raw {
		return nil
	}
	spec := c.object["spec"].(map[string]any)
	if current == nil {
		if spec["placement"] == nil {
			return usage("it is new: say where it goes", hint{words: "--to all, --to tier=prod or --clusters fra,iad"})
		}
		return nil
	}
	old, _, _ := unstructured.NestedMap(current.Object, "spec")
	delete(old, fieldPlainSecrets) // that is said each time
	for field, value := range old {
		if _, said := spec[field]; !said && value != unsaid[field] {
			spec[field] = value
		}
	}
	metadata := c.object["metadata"].(map[string]any)
	for _, field := range []string{"labels", "annotations"} {
		if value, ok, _ := unstructured.NestedMap(current.Object, "metadata", field); ok {
			metadata[field] = value
		}
	}
	return nil
}

// manifests are the objects that a Bundle holds.
func manifests(bundle map[string]any) []unstructured.Unstructured {
	spec, _ := bundle["spec"].(map[string]any)
	list, _ := spec["manifests"].([]any)
	var objects []unstructured.Unstructured
	for _, item := range list {
		object, _ := item.(map[string]any)
		objects = append(objects, unstructured.Unstructured{Object: object})
	}
	return objects
}

// fieldPlainSecrets is where a bundle says that its Secrets may be read.
const fieldPlainSecrets = "plainSecrets"

// allowPlainSecrets says so, if there are any.
func (c change) allowPlainSecrets() {
	if slices.ContainsFunc(manifests(c.object), func(o unstructured.Unstructured) bool { return v1alpha1.PlainSecret(o.Object) }) {
		c.object["spec"].(map[string]any)[fieldPlainSecrets] = string(v1alpha1.PlainSecretsAllow)
	}
}

func (c change) allowsPlainSecrets() bool {
	said, _, _ := unstructured.NestedString(c.object, "spec", fieldPlainSecrets)
	return said == string(v1alpha1.PlainSecretsAllow)
}

// guard asks plan whether the change looks meant.
func (c change) guard(current *unstructured.Unstructured, allow plan.Allowance) error {
	var before []unstructured.Unstructured
	if current != nil {
		before = manifests(current.Object)
	}
	allow.PlainSecrets = allow.PlainSecrets || c.allowsPlainSecrets()
	objections := plan.Guard(before, manifests(c.object), allow)
	if len(objections) == 0 {
		return nil
	}
	out := &failure{code: exitUsage}
	var why []string
	for _, o := range objections {
		why = append(why, c.words(o))
		if o.Reason == plan.Drops {
			out.code = exitError // only the fleet could know
		}
		out.hints = append(out.hints, guardHint(o)...)
	}
	out.why = "refused: " + strings.Join(why, "; ")
	return out
}

// drops says that so much leaves a bundle that a person had to say so.
func (c change) drops(current *unstructured.Unstructured) bool {
	if c.kind.name != "Bundle" || current == nil {
		return false
	}
	objections := plan.Guard(manifests(current.Object), manifests(c.object), plan.Allowance{PlainSecrets: true})
	return slices.ContainsFunc(objections, func(o plan.Objection) bool { return o.Reason == plan.Drops })
}

// words adds to an objection where the objects stand.
func (c change) words(o plan.Objection) string {
	if o.Reason != plan.Twice || c.origins == nil {
		return o.Error()
	}
	var places []string
	for _, d := range c.origins {
		if plan.SameObject(plan.Ref(d.unstructured()), o.Objects[0]) {
			places = append(places, d.at())
		}
	}
	return fmt.Sprintf("%s (%s)", o.Error(), strings.Join(places, ", "))
}

func guardHint(o plan.Objection) []hint {
	switch o.Reason {
	case plan.Empty:
		return []hint{{"to remove a bundle from the fleet", "delete bundle NAME"}}
	case plan.Drops:
		return []hint{{words: fmt.Sprintf("if that is meant: --allow-delete=%d", len(o.Objects))}}
	case plan.PlainSecret:
		return []hint{{words: "if that is meant: --plain-secrets"}}
	}
	return nil
}
