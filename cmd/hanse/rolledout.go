package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// storedName is what somebody named that is rolled out, web, secret.db, bundle/web or fleetsecret/db, under the name that it is stored as.
func storedName(word string) (string, error) {
	if !strings.Contains(word, "/") {
		return word, nil
	}
	k, names, err := objectsNamed([]string{word})
	switch {
	case err != nil:
		return "", err
	case !v1alpha1.IsRolledOut(k.name):
		return "", usagef("%s: what is rolled out are bundles and fleetsecrets", word)
	}
	return v1alpha1.RolledOut{Kind: k.name, Name: names[0]}.String(), nil
}

// rolledOut is what goes through the fleet under a name: a bundle, or a secret as if it were one.
func (f *fleet) rolledOut(ctx context.Context, name string) (*v1alpha1.Bundle, error) {
	rolled := v1alpha1.RolledOutOf(name)
	if !rolled.IsSecret() {
		b := &v1alpha1.Bundle{}
		_, err := f.read(ctx, request{path: mustKind(rolled.Kind).path(rolled.Name)}, b)
		return b, err
	}
	var s v1alpha1.FleetSecret
	if _, err := f.read(ctx, request{path: mustKind(rolled.Kind).path(rolled.Name)}, &s); err != nil {
		return nil, err
	}
	var g v1alpha1.RecipientGroup
	_, err := f.read(ctx, request{path: mustKind("RecipientGroup").path(s.Spec.Group)}, &g)
	if isReason(err, metav1.StatusReasonNotFound) {
		return s.AsBundle(nil), nil
	}
	return s.AsBundle(&g), err
}

// allRolledOut are the bundles, and behind them the secrets.
func (f *fleet) allRolledOut(ctx context.Context) ([]v1alpha1.Bundle, error) {
	r, err := f.rolledOutNow(ctx)
	return r.bundles(), err
}

// rolledOut is everything that is rolled out, and the groups that secrets are for.
type rolledOut struct {
	plain   []v1alpha1.Bundle
	secrets []v1alpha1.FleetSecret
	groups  map[string]v1alpha1.RecipientGroup
}

func (f *fleet) rolledOutNow(ctx context.Context) (rolledOut, error) {
	var bundles v1alpha1.BundleList
	if _, err := f.read(ctx, request{path: mustKind("Bundle").path()}, &bundles); err != nil {
		return rolledOut{}, err
	}
	var secrets v1alpha1.FleetSecretList
	if _, err := f.read(ctx, request{path: mustKind("FleetSecret").path()}, &secrets); err != nil {
		return rolledOut{}, err
	}
	var groups v1alpha1.RecipientGroupList
	if _, err := f.read(ctx, request{path: mustKind("RecipientGroup").path()}, &groups); err != nil {
		return rolledOut{}, err
	}
	r := rolledOut{plain: bundles.Items, secrets: secrets.Items, groups: map[string]v1alpha1.RecipientGroup{}}
	for _, g := range groups.Items {
		r.groups[g.Name] = g
	}
	return r, nil
}

// bundles are all of it as bundles.
func (r rolledOut) bundles() []v1alpha1.Bundle {
	all := slices.Clone(r.plain)
	for _, s := range r.secrets {
		var group *v1alpha1.RecipientGroup
		if g, there := r.groups[s.Spec.Group]; there {
			group = &g
		}
		all = append(all, *s.AsBundle(group))
	}
	return all
}

// with is all of it with some of it as it would be.
func (r rolledOut) with(then wouldBe) rolledOut {
	r.groups, r.secrets = maps.Clone(r.groups), slices.Clone(r.secrets)
	maps.Copy(r.groups, then.groups)
	for _, name := range slices.Sorted(maps.Keys(then.secrets)) {
		i := slices.IndexFunc(r.secrets, func(s v1alpha1.FleetSecret) bool { return s.Name == name })
		if i < 0 {
			r.secrets = append(r.secrets, then.secrets[name])
			continue
		}
		r.secrets[i] = then.secrets[name]
	}
	return r
}
