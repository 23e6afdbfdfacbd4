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
	"time"

	"github.com/urfave/cli/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// asking is the clusters being asked, until it is over.
type asking struct {
	*across
	pages chan page
	over  chan struct{}
}

// all asks the clusters side by side, so many at once.
func (a asking) all(replies []*reply) {
	var group sync.WaitGroup
	defer group.Wait()
	seats := make(chan struct{}, atOnce)
	for _, r := range replies {
		seats <- struct{}{}
		group.Go(func() {
			defer func() { <-seats }()
			a.send(page{of: r, last: true, err: a.ask(r)})
		})
	}
}

// send hands a page over once the one before it is printed.
func (a asking) send(p page) {
	select {
	case <-p.of.ready:
	case <-a.over:
		return
	}
	select {
	case a.pages <- p:
	case <-a.over:
	}
}

// ask lists what is wanted in one cluster.
func (a asking) ask(r *reply) error {
	line, err := a.reach.open(r.ctx, r.cluster)
	if err != nil {
		return err
	}
	defer line.hangUp() // or the tunnel would stay for as long as idle connections do, and there may not be many
	client, err := rest.UnversionedRESTClientFor(line.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, a.answerTime())
	defer cancel()
	mapping, err := a.find(ctx, client)
	switch {
	case errors.Is(err, errNoKind):
		return err
	case err != nil: // discovery does not repeat what the cluster says
		return cmp.Or(client.Get().AbsPath("/api").MaxRetries(0).Do(ctx).Error(), err)
	}
	r.kind, r.namespaced = strings.ToLower(mapping.GroupVersionKind.Kind), mapping.Scope.Name() == meta.RESTScopeNameNamespace
	for _, query := range a.queries() {
		if err := a.listAll(r, client, mapping, query); err != nil {
			return err
		}
	}
	return nil
}

// listAll sends a list page by page. A cluster that has forgotten the list's revision says from where to go on with the present
// one: who waits for the turn of a long list before theirs must not lose theirs.
func (a asking) listAll(r *reply, client rest.Interface, m *meta.RESTMapping, query url.Values) error {
	for more, forgotten := true, false; more; more = query.Get("continue") != "" {
		chunk, err := a.list(r.ctx, client, m, query)
		if next := goOn(err); next != "" && !forgotten {
			query.Set("continue", next)
			forgotten = true
			continue
		}
		if forgotten = false; err != nil {
			return err
		}
		var h struct {
			Metadata struct{ Continue string } `json:"metadata"`
		}
		if err := json.Unmarshal(chunk, &h); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		query.Set("continue", h.Metadata.Continue)
		a.send(page{of: r, chunk: chunk})
	}
	return nil
}

// goOn is where a list goes on whose revision is forgotten, if its cluster says so.
func goOn(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().Continue
}

// find asks a cluster what it calls a kind.
func (a *across) find(ctx context.Context, client rest.Interface) (*meta.RESTMapping, error) {
	asks := discovery.NewDiscoveryClient(client)
	kinds, err := kindsOf(ctx, asks)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewShortcutExpanderWithContext(kinds, asks, nil)
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

// kindsOf asks a cluster which kinds it serves, and where.
func kindsOf(ctx context.Context, asks discovery.DiscoveryInterfaceWithContext) (meta.RESTMapperWithContext, error) {
	groups, err := restmapper.GetAPIGroupResourcesWithContext(ctx, asks)
	if err != nil {
		return nil, err
	}
	return restmapper.NewDiscoveryRESTMapperWithContext(groups), nil
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

// answerTime is how long a cluster may take for a page. One that has taken the request and says nothing must not keep the others
// from being printed until the time for all is over.
func (a *across) answerTime() time.Duration {
	const most = 20 * time.Second
	if d := a.c.Duration("timeout"); d > 0 {
		return min(most, d/2)
	}
	return most
}

func (a *across) list(ctx context.Context, client rest.Interface, m *meta.RESTMapping, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, a.answerTime())
	defer cancel()
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
