package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// past is what is remembered of an object, of all of a kind, or of all kinds.
type past struct {
	fleet *fleet
	kind  kind
	name  string
	// at is the revision that the fleet was at when it was asked.
	at      uint64
	changes []v1alpha1.Change // oldest first
	// strikes are the changes that struck off what was before one of those, oldest first.
	strikes []v1alpha1.Change
	// reveals are the changes that say who was told a secret, oldest first. They made nothing different.
	reveals []v1alpha1.Change
}

func (f *fleet) past(ctx context.Context, k kind, name string) (*past, error) {
	p := &past{fleet: f, kind: k, name: name}
	var fields []string
	if k.plural != "" {
		fields = append(fields, "spec.resource="+k.plural)
	}
	if name != "" {
		fields = append(fields, "spec.name="+name)
	}
	all, at, err := f.changes(ctx, fields...)
	if err != nil {
		return nil, err
	}
	p.at = at
	for _, c := range all {
		switch {
		case c.Spec.Resource == keyed:
			p.strikes = append(p.strikes, c)
		case c.Spec.Revealed:
			p.reveals = append(p.reveals, c)
		default:
			p.changes = append(p.changes, c)
		}
	}
	if len(fields) > 0 && len(p.changes) > 0 {
		if all, _, err = f.changes(ctx, "spec.resource="+keyed); err != nil {
			return nil, err
		}
		p.strikes = slices.DeleteFunc(all, func(s v1alpha1.Change) bool {
			return !slices.ContainsFunc(p.changes, func(c v1alpha1.Change) bool { return c.Name == s.Spec.Name })
		})
	}
	return p, nil
}

// changes are those that the fields select, oldest first, and the revision that the fleet was at when it was asked.
func (f *fleet) changes(ctx context.Context, fields ...string) (changes []v1alpha1.Change, at uint64, err error) {
	var list v1alpha1.ChangeList
	r := request{path: mustKind("Change").path(), query: url.Values{"fieldSelector": {strings.Join(fields, ",")}}}
	if _, err := f.read(ctx, r, &list); err != nil {
		return nil, 0, err
	}
	slices.SortFunc(list.Items, byRevision)
	return list.Items, number(list.ResourceVersion), nil
}

// number is a resourceVersion of a member, which is the fleet's revision.
func number(resourceVersion string) uint64 {
	n, _ := strconv.ParseUint(resourceVersion, 10, 64)
	return n
}

func (p *past) title() string { return p.kind.singular() + " " + p.name }

// form is an object at some revision; nil when it was not there.
type form map[string]any

// text is what people wrote of it.
func (f form) text() ([]byte, error) {
	if f == nil {
		return nil, nil
	}
	return yaml.Marshal(f.peoples())
}

// noState are annotations that are no state to come back to: an order to put something right, which is done or not, and the note that a
// secret was revealed.
var noState = []string{v1alpha1.AnnotationCorrect, v1alpha1.AnnotationRevealed}

// peoples is the object without what the API and the leader say of it, and without annotations that are no state.
func (f form) peoples() map[string]any {
	metadata := map[string]any{}
	full, _ := f["metadata"].(map[string]any)
	for _, field := range []string{"name", "labels"} {
		if value := full[field]; value != nil {
			metadata[field] = value
		}
	}
	said, _ := full["annotations"].(map[string]any)
	said = maps.Clone(said)
	for _, annotation := range noState {
		delete(said, annotation)
	}
	if len(said) > 0 {
		metadata["annotations"] = said
	}
	object := map[string]any{"apiVersion": f["apiVersion"], "kind": f["kind"], "metadata": metadata}
	if f["spec"] != nil {
		object["spec"] = f["spec"]
	}
	return object
}

// alike says whether people wrote the same.
func alike(a, b form) bool {
	textA, errA := a.text()
	textB, errB := b.text()
	return errA == nil && errB == nil && bytes.Equal(textA, textB)
}

// present is the object as it is.
func (p *past) present(ctx context.Context) (form, error) {
	body, err := p.fleet.read(ctx, request{path: p.kind.path(p.name)}, nil)
	if isReason(err, metav1.StatusReasonNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return p.form(body)
}

func (p *past) form(value []byte) (f form, err error) {
	if err := utiljson.Unmarshal(value, &f); err != nil {
		return nil, fmt.Errorf("read %s: %w", p.title(), err)
	}
	f["apiVersion"], f["kind"] = apiVersion, p.kind.name
	return f, nil
}

// formAt a revision is what was before the first change after it, or what is there now.
func (p *past) formAt(ctx context.Context, revision uint64) (form, error) {
	if revision > p.at {
		return nil, usagef("there is no revision %d yet: the fleet is at %d", revision, p.at)
	}
	i := slices.IndexFunc(p.changes, func(c v1alpha1.Change) bool { return number(c.ResourceVersion) > revision })
	if i < 0 {
		return p.present(ctx)
	}
	if first := p.changes[0].Spec; i == 0 && (first.Since == 0 || revision < uint64(first.Since)) {
		return nil, p.forgotten(revision)
	}
	if i > 0 && !follows(p.changes[i-1].Spec, p.changes[i].Spec) {
		return nil, p.unsure(revision, i)
	}
	if p.changes[i].Spec.Verb == v1alpha1.ChangeCreate {
		return nil, nil
	}
	var c v1alpha1.Change
	if _, err := p.fleet.read(ctx, request{path: mustKind("Change").path(p.changes[i].Name, "before")}, &c); err != nil {
		return nil, err
	}
	if c.Spec.Before == nil {
		return nil, p.struckOff(revision, i)
	}
	return p.form(c.Spec.Before.Raw)
}

// follows says that nothing of people's lies between a change and the one that is remembered next: what the first one left is what
// the next one found.
func follows(a, b v1alpha1.ChangeSpec) bool {
	if a.Verb == v1alpha1.ChangeDelete || b.Verb == v1alpha1.ChangeCreate {
		return a.Verb == v1alpha1.ChangeDelete && b.Verb == v1alpha1.ChangeCreate
	}
	return a.UID == b.UID
}

// unsure refuses a revision before the change at i, as one between that and the change before it is missing.
func (p *past) unsure(revision uint64, i int) error {
	return &failure{code: exitError, why: fmt.Sprintf("how it was at %d is not known: of what was done between %s and %s something is not remembered",
		revision, p.changes[i-1].ResourceVersion, p.changes[i].ResourceVersion), hints: []hint{p.seeWhatIs()}}
}

// struckOff refuses a revision that the change at i replaced: that it did is remembered, and what was there no longer.
func (p *past) struckOff(revision uint64, i int) error {
	if s := p.strikeOf(p.changes[i]); s != nil {
		return &failure{code: exitError, why: fmt.Sprintf("how it was at %d is forgotten: %s struck it off at %s", revision, who(s.Spec), s.ResourceVersion), hints: []hint{p.seeWhatIs()}}
	}
	return &failure{code: exitError, why: fmt.Sprintf("how it was at %d is not remembered any more, only that %s changed it at %s",
		revision, who(p.changes[i].Spec), p.changes[i].ResourceVersion), hints: []hint{p.seeWhatIs()}}
}

func (p *past) seeWhatIs() hint {
	return hint{"see what is", "history " + p.kind.singular() + "/" + p.name}
}

// who did it: a member in its own name has none.
func who(c v1alpha1.ChangeSpec) string {
	if c.By == "" && c.Through == "" {
		return "–" // who made a token is forgotten before whom it let in
	}
	return cmp.Or(c.By, "the member of "+c.Through)
}

// forgotten says which revisions are remembered.
func (p *past) forgotten(revision uint64) error {
	first := p.changes[0]
	since := number(first.ResourceVersion)
	if first.Spec.Since > 0 {
		since = uint64(first.Spec.Since)
	}
	return &failure{code: exitError, why: fmt.Sprintf("revision %d is not remembered of it: from %d on it is", revision, since),
		hints: []hint{p.seeWhatIs()}}
}

// unified is a diff of what people wrote; empty when that is the same.
func unified(oldName string, before form, newName string, after form) ([]byte, error) {
	a, err := before.text()
	if err != nil {
		return nil, fmt.Errorf("print %s: %w", oldName, err)
	}
	b, err := after.text()
	if err != nil {
		return nil, fmt.Errorf("print %s: %w", newName, err)
	}
	_, text, _ := bytes.Cut(diff.Diff(oldName, a, newName, b), []byte("\n")) // the first line repeats the names
	return text, nil
}
