package agent

import (
	"context"
	"errors"
	"net/http"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/proxy"
)

// clusterAPI is the API of the member's own cluster for people of the fleet: served, or why not.
type clusterAPI struct {
	serves *proxy.Proxy
	core   *Core
	// cluster is nil for a member without one.
	cluster *rest.Config
}

func (c *Core) clusterAPI(o Options, cluster *rest.Config) (a clusterAPI, err error) {
	a = clusterAPI{core: c, cluster: cluster}
	if cluster == nil || !o.ClusterAPI {
		return a, nil
	}
	a.serves, err = proxy.New(proxy.Config{
		REST: cluster, Fleet: c.self.Fleet, Cluster: c.self.Cluster, Logger: c.log.With("room", "proxy"), Person: personOf,
	})
	return a, err
}

// peoplePatience is how long a person may leave a log unread, or a shell: as long as kubelets let one be idle. There are so many of
// each person's as the rooms proxy and tunnel let there be, and each holds little.
const peoplePatience = 4 * time.Hour

// personOf is who sent a request, if it is a person of the fleet.
func personOf(r *http.Request) (proxy.Person, bool) {
	asker := apiserver.Asking(r.Context())
	p := proxy.Person{Name: asker.Person, UID: apiserver.UID(r.Context()), Role: apiserver.Role(r.Context()), IP: asker.SourceIP}
	return p, p.Name != "" && p.Role != ""
}

func (a clusterAPI) endpoint() apiserver.Endpoint {
	e := apiserver.Endpoint{Path: v1alpha1.PathCluster, Role: v1alpha1.RoleViewer, Streams: true, Patience: peoplePatience, Handler: a.serves}
	if a.serves == nil {
		why := errors.New("the member of " + a.core.self.Cluster + " has no cluster")
		if a.cluster != nil {
			why = errors.New("the member of " + a.core.self.Cluster + " does not serve its cluster's API: it runs with --cluster-api=false")
		}
		e.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, why) })
	}
	return e
}

// run keeps the roles of the fleet bound in the cluster, or takes them out and is done.
func (a clusterAPI) run(ctx context.Context) error {
	if a.serves != nil {
		return a.serves.Run(ctx)
	}
	withdraw(ctx, func() error { return proxy.Remove(ctx, a.cluster, a.core.self.Fleet, a.core.self.Cluster) }, a.core.log)
	return nil
}
