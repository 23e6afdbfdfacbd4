package main

import (
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

const (
	group      = "fleet.hanse.dev"
	apiVersion = group + "/v1alpha1"
	apiPath    = "/apis/" + apiVersion + "/"
)

// kind is one kind of the fleet as the command line knows it.
type kind struct {
	name   string // Bundle
	plural string // bundles
	short  []string
	// example is an empty object to decode into; nil for kinds that nobody may apply.
	example func() any
	// why nobody may
	why string
}

func kinds() []kind {
	return []kind{
		{name: "Bundle", plural: "bundles", short: []string{"bu"}, example: func() any { return new(v1alpha1.Bundle) }},
		{name: "BundleRevision", plural: "bundlerevisions", short: []string{"brev"}, why: "it is written with its bundle"},
		{name: "Change", plural: "changes", short: []string{"chg"}, why: "it is written with what it tells of"},
		{name: "Cluster", plural: "clusters", short: []string{"cl"}, example: func() any { return new(v1alpha1.Cluster) }},
		{name: "ClusterMetrics", plural: "clustermetrics", short: []string{"clm"}, why: "it is computed, not stored"},
		{name: "Fleet", plural: "fleets", short: []string{"fl"}, example: func() any { return new(v1alpha1.Fleet) }},
		{name: "FleetSecret", plural: "fleetsecrets", short: []string{"fs"}, example: func() any { return new(v1alpha1.FleetSecret) }},
		{name: "RecipientGroup", plural: "recipientgroups", short: []string{"rg"}, example: func() any { return new(v1alpha1.RecipientGroup) }},
		{name: "Rollout", plural: "rollouts", short: []string{"ro"}, why: "the leader makes it; order it with hanse rollout"},
		{name: "User", plural: "users", example: func() any { return new(v1alpha1.User) }},
		{name: "Work", plural: "works", short: []string{"wk"}, why: "it is computed, not stored"},
	}
}

// singular is the kind as people say it: bundle.
func (k kind) singular() string { return strings.ToLower(k.name) }

// path is where the API serves the kind, or one object of it.
func (k kind) path(name ...string) string {
	return apiPath + strings.Join(append([]string{k.plural}, name...), "/")
}

// kindCalled finds a kind by any of its names, as typed: bundle, bundles, Bundle, bu, bundles.fleet.hanse.dev.
func kindCalled(word string) (kind, error) {
	short, _, _ := strings.Cut(strings.ToLower(word), ".")
	var words []string
	for _, k := range kinds() {
		if k.plural == short || k.singular() == short || slices.Contains(k.short, short) {
			return k, nil
		}
		words = append(words, k.plural)
	}
	return kind{}, usage(word+": unknown kind"+didYouMean(short, words), hint{words: "kinds: " + strings.Join(words, ", ")},
		hint{"what is in the clusters", "get " + word + " --all-clusters"})
}

// kindNamed finds a kind by its name in manifests.
func kindNamed(name string) (kind, bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}

// mustKind is for names that are written in this program.
func mustKind(name string) kind {
	k, ok := kindNamed(name)
	if !ok {
		panic("no kind " + name)
	}
	return k
}

// objectsNamed reads KIND [NAME…] or KIND/NAME…, and secret.NAME, as the secrets of the fleet are called where they are rolled out.
func objectsNamed(args []string) (kind, []string, error) {
	if len(args) == 0 {
		return kind{}, nil, usage("which kind?", hint{"for example", "get bundles"})
	}
	word, name, slash := strings.Cut(args[0], "/")
	if r := v1alpha1.RolledOutOf(word); r.IsSecret() && !slash {
		word, name, slash = r.Kind, r.Name, true
	}
	k, err := kindCalled(word)
	if err != nil || !slash {
		return k, args[1:], err
	}
	names := []string{name}
	for _, arg := range args[1:] {
		w, n, _ := strings.Cut(arg, "/")
		if other, err := kindCalled(w); err != nil || other.name != k.name || n == "" {
			return k, nil, usagef("%s: after %s, name every object as %s/NAME", arg, args[0], k.singular())
		}
		names = append(names, n)
	}
	return k, names, nil
}
