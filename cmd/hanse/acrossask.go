package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// askAll asks the clusters side by side, so many at once, and sends each when it has answered, or will not.
func (a *across) askAll(ctx context.Context, replies []*reply, answered chan<- *reply) {
	var group sync.WaitGroup
	defer group.Wait()
	seats := make(chan struct{}, atOnce)
	for _, r := range replies {
		seats <- struct{}{}
		group.Go(func() {
			defer func() { answered <- r; <-seats }()
			r.err = a.ask(ctx, r)
		})
	}
}

// ask lists what is wanted in one cluster.
func (a *across) ask(ctx context.Context, r *reply) error {
	line, err := a.reach.open(ctx, r.cluster)
	if err != nil {
		return err
	}
	defer line.hangUp() // or the tunnel would stay for as long as idle connections do, and there may not be many
	client, err := rest.UnversionedRESTClientFor(line.Config)
	if err != nil {
		return err
	}
	mapping, err := a.find(ctx, client)
	switch {
	case errors.Is(err, errNoKind):
		return err
	case err != nil: // discovery does not repeat what the cluster says
		return cmp.Or(client.Get().AbsPath("/api").MaxRetries(0).Do(ctx).Error(), err)
	}
	r.kind, r.namespaced = strings.ToLower(mapping.GroupVersionKind.Kind), mapping.Scope.Name() == meta.RESTScopeNameNamespace
	for _, query := range a.queries() {
		for more := true; more; {
			chunk, err := a.list(ctx, client, mapping, query)
			if err != nil {
				return err
			}
			var h struct {
				Metadata struct{ Continue string } `json:"metadata"`
			}
			if err := json.Unmarshal(chunk, &h); err != nil {
				return fmt.Errorf("read answer: %w", err)
			}
			r.chunks = append(r.chunks, chunk)
			query.Set("continue", h.Metadata.Continue)
			more = h.Metadata.Continue != ""
		}
	}
	return nil
}

// find asks a cluster what it calls a kind.
func (a *across) find(ctx context.Context, client rest.Interface) (*meta.RESTMapping, error) {
	asks := discovery.NewDiscoveryClient(client)
	groups, err := restmapper.GetAPIGroupResourcesWithContext(ctx, asks)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewShortcutExpanderWithContext(restmapper.NewDiscoveryRESTMapperWithContext(groups), asks, nil)
	resource, err := mapper.ResourceForWithContext(ctx, schema.ParseGroupResource(strings.ToLower(a.kind)).WithVersion(""))
	if meta.IsNoMatchError(err) {
		return nil, errNoKind
	}
	if err != nil {
		return nil, err
	}
	kind, err := mapper.KindForWithContext(ctx, resource)
	if err != nil {
		return nil, err
	}
	mapping, err := mapper.RESTMappingWithContext(ctx, kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	mapping.Resource = resource
	return mapping, nil
}

// queries are what to ask: everything, or each name by itself.
func (a *across) queries() (all []url.Values) {
	for _, name := range a.names {
		all = append(all, url.Values{"fieldSelector": {"metadata.name=" + name}})
	}
	if len(all) == 0 {
		all = append(all, url.Values{})
	}
	for _, q := range all {
		q.Set("limit", chunkSize)
		if l := a.c.String("selector"); l != "" {
			q.Set("labelSelector", l)
		}
		if s := a.c.String("field-selector"); s != "" {
			q.Set("fieldSelector", strings.Trim(q.Get("fieldSelector")+","+s, ","))
		}
	}
	return all
}

func (a *across) list(ctx context.Context, client rest.Interface, m *meta.RESTMapping, query url.Values) ([]byte, error) {
	path := "/apis/" + m.Resource.Group + "/" + m.Resource.Version
	if m.Resource.Group == "" {
		path = "/api/" + m.Resource.Version
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace && !a.c.Bool("all-namespaces") {
		path += "/namespaces/" + url.PathEscape(namespaceOf(a.c))
	}
	accept := typeJSON
	if a.isTable() {
		accept = typeTable
	}
	r := client.Get().AbsPath(path, m.Resource.Resource).SetHeader("Accept", accept).MaxRetries(0)
	for key, values := range query {
		for _, v := range values {
			r.Param(key, v)
		}
	}
	result := r.Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	return result.Raw()
}

func namespaceOf(c *cli.Context) string {
	if n := c.String("namespace"); n != "" {
		return n
	}
	return metav1.NamespaceDefault
}
