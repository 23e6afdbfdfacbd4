package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// mapping is where the objects of a kind are served.
type mapping struct {
	resource   schema.GroupVersionResource
	namespaced bool
}

// errUnknownKind means that the cluster, having been asked, does not serve a kind.
var errUnknownKind = errors.New("the cluster does not serve this kind")

// kinds is what the cluster serves, as it was last asked. Safe for concurrent use.
type kinds struct {
	discover interface {
		ServerGroupsAndResourcesWithContext(ctx context.Context) ([]*metav1.APIGroup, []*metav1.APIResourceList, error)
	}

	mu     sync.Mutex
	asked  time.Time
	served map[schema.GroupVersionKind]mapping
	// preferred is the version to watch and delete a kind in.
	preferred map[schema.GroupKind]string
	// silent are groups that did not answer, so that it is not known what they serve.
	silent map[string]bool
}

// kindsMinAge is how old an answer may be before a kind that is missing in it is asked for again. It bounds what a
// bundle with an unknown kind costs the cluster.
const kindsMinAge = 250 * time.Millisecond

// exactly finds a kind in one version.
func (k *kinds) exactly(ctx context.Context, gvk schema.GroupVersionKind) (mapping, error) {
	return k.find(ctx, gvk.GroupKind(), func() (mapping, bool) {
		m, found := k.served[gvk]
		return m, found
	})
}

// any finds a kind in the version that the server prefers.
func (k *kinds) any(ctx context.Context, gk schema.GroupKind) (mapping, error) {
	return k.find(ctx, gk, func() (mapping, bool) {
		version, found := k.preferred[gk]
		return k.served[gk.WithVersion(version)], found
	})
}

func (k *kinds) find(ctx context.Context, gk schema.GroupKind, look func() (mapping, bool)) (mapping, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m, found := look(); found {
		return m, nil
	}
	if time.Since(k.asked) > kindsMinAge {
		if err := k.ask(ctx); err != nil {
			return mapping{}, err
		}
	}
	if m, found := look(); found {
		return m, nil
	}
	if k.silent[gk.Group] {
		return mapping{}, fmt.Errorf("group %q does not answer now", gk.Group)
	}
	return mapping{}, errUnknownKind
}

// forget makes the next look for any kind ask again.
func (k *kinds) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked, k.served, k.preferred = time.Time{}, nil, nil
}

func (k *kinds) ask(ctx context.Context) error {
	groups, lists, err := k.discover.ServerGroupsAndResourcesWithContext(ctx)
	silent := map[string]bool{}
	if failed := (*discovery.ErrGroupDiscoveryFailed)(nil); errors.As(err, &failed) {
		for gv := range failed.Groups {
			silent[gv.Group] = true
		}
	} else if err != nil {
		return fmt.Errorf("ask for served kinds: %w", err)
	}
	k.asked, k.silent = time.Now(), silent
	k.served, k.preferred = map[schema.GroupVersionKind]mapping{}, map[schema.GroupKind]string{}
	for _, list := range lists {
		k.add(list)
	}
	for _, g := range groups {
		k.prefer(g)
	}
	return nil
}

func (k *kinds) add(list *metav1.APIResourceList) {
	gv, err := schema.ParseGroupVersion(list.GroupVersion)
	if err != nil {
		return
	}
	for _, r := range list.APIResources {
		gvk := gv.WithKind(r.Kind)
		if _, taken := k.served[gvk]; taken || !canWatch(r) {
			continue // a subresource, a second resource of the kind, or nothing that can be kept right
		}
		k.served[gvk] = mapping{gv.WithResource(r.Name), r.Namespaced}
		if _, known := k.preferred[gvk.GroupKind()]; !known {
			k.preferred[gvk.GroupKind()] = gv.Version
		}
	}
}

// prefer sets the version that the group prefers, for the kinds that it has in it.
func (k *kinds) prefer(g *metav1.APIGroup) {
	for gvk := range k.served {
		if gvk.Group == g.Name && gvk.Version == g.PreferredVersion.Version {
			k.preferred[gvk.GroupKind()] = gvk.Version
		}
	}
}

func canWatch(r metav1.APIResource) bool {
	verbs := map[string]bool{}
	for _, v := range r.Verbs {
		verbs[v] = true
	}
	for i := range r.Name {
		if r.Name[i] == '/' {
			return false
		}
	}
	return verbs["get"] && verbs["list"] && verbs["watch"] && verbs["patch"] && verbs["delete"]
}
