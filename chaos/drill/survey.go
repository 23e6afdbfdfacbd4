package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Survey is all that lies in a cluster, by what each object is: "group/version/resource namespace/name". Events and Leases
// are left out: they come and go by themselves. So is the fleet's own group, which the cluster only passes on.
type Survey map[string]Find

// lives begins the names of Jobs of which each takes the place of the one before: one object here.
const lives = "hanse-alive-"

// Find is an object: the bundle that its label names, and what tells whether it was made anew or written to.
type Find struct {
	Bundle  string
	UID     types.UID
	Version string
}

// Look makes a survey, by asking for every kind that the cluster knows.
func Look(ctx context.Context, config *rest.Config) (Survey, error) {
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{} // of kinds that are deprecated: they are looked at too
	known, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	lists, err := known.ServerPreferredResources()
	if err != nil && !onlyOurs(err) {
		return nil, fmt.Errorf("survey: %w", err)
	}
	s := Survey{}
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("survey: %w", err)
		}
		for _, r := range l.APIResources {
			if gv.Group == v1alpha1.GroupName || !slices.Contains(r.Verbs, "list") || r.Name == "events" || r.Name == "leases" {
				continue
			}
			if err := s.add(ctx, client, gv.WithResource(r.Name)); err != nil {
				return nil, fmt.Errorf("survey: %w", err)
			}
		}
	}
	return s, nil
}

// onlyOurs says that no group but the fleet's could not be discovered, which is served by a member that may be dead.
func onlyOurs(err error) bool {
	failed, partial := discovery.GroupDiscoveryFailedErrorGroups(err)
	for gv := range failed {
		partial = partial && gv.Group == v1alpha1.GroupName
	}
	return partial
}

func (s Survey) add(ctx context.Context, client metadata.Interface, what schema.GroupVersionResource) error {
	list, err := client.Resource(what).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
		return nil // its definition went meanwhile
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", what.Resource, err)
	}
	for _, o := range list.Items {
		name := o.Name
		if strings.HasPrefix(name, lives) {
			name = lives + "…"
		}
		s[strings.Join([]string{what.Group, what.Version, what.Resource}, "/")+" "+o.Namespace+"/"+name] = Find{
			Bundle: o.Labels[v1alpha1.LabelBundle], UID: o.UID, Version: o.ResourceVersion,
		}
	}
	return nil
}

// Beyond are the objects that an earlier survey does not have, sorted.
func (s Survey) Beyond(earlier Survey) []string {
	var more []string
	for o := range s {
		if _, ok := earlier[o]; !ok {
			more = append(more, o)
		}
	}
	slices.Sort(more)
	return more
}

// Of are the objects whose label names a bundle, sorted.
func (s Survey) Of(bundle string) []string {
	var its []string
	for o, f := range s {
		if f.Bundle == bundle {
			its = append(its, o)
		}
	}
	slices.Sort(its)
	return its
}

// Touched are the objects of a bundle in an earlier survey that have gone since, were made anew or were written to,
// sorted.
func (s Survey) Touched(earlier Survey, bundle string) []string {
	return slices.DeleteFunc(earlier.Of(bundle), func(o string) bool { return s[o] == earlier[o] })
}
