package agent

import (
	"context"
	"encoding/pem"
	"net"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/project"
)

// projections tell the projector what the fleet is. As with grants, the state that this comes from is recorded as the last
// good one before anybody acts on it. A cluster that only looks is told nothing.
type projections struct {
	core *Core
	decoded.Kinds
	latest[project.Fleet]
}

func newProjections(c *Core) *projections { return &projections{core: c, Kinds: c.decoded} }

// projectionsPause is the least time between two states that are shown: nobody waits for them, and a rollout writes many.
const projectionsPause = time.Second

// projected are the keys that projections show.
var projected = append([]string{v1alpha1.KeyClusters, v1alpha1.KeyGrants, v1alpha1.KeyObserving, store.KeyMembers}, v1alpha1.RolledOutPrefixes...)

// follow keeps the fleet as the log says, until ctx ends.
func (p *projections) follow(ctx context.Context) error {
	return p.core.follow(ctx, projected, func(v *store.View) error {
		if v.Revision() == 0 {
			return nil
		}
		if epoch.Looks(v, p.core.self.Cluster) {
			p.set(project.Fleet{}, false)
			return nil
		}
		next, err := p.read(v)
		if err != nil {
			return err
		}
		if err := p.core.node.Record(v); err != nil {
			return err
		}
		p.set(next, true)
		pause.For(ctx, projectionsPause)
		return nil
	})
}

func (p *projections) read(v *store.View) (project.Fleet, error) {
	f := project.Fleet{Name: p.core.self.Fleet, Cluster: p.core.self.Cluster, Epoch: v.Epoch().ID, Revision: uint64(v.Revision())}
	clusters, err := p.Clusters.List(v)
	if err != nil {
		return f, err
	}
	bundles, err := p.Bundles.List(v)
	if err != nil {
		return f, err
	}
	granted, err := p.granted(v)
	if err != nil {
		return f, err
	}
	members := map[string]store.Member{}
	for _, m := range v.Members() {
		members[m.Cluster] = m
	}
	for _, c := range clusters {
		f.Members = append(f.Members, projectedMember(c.Value, members[c.Value.Name]))
	}
	for _, b := range bundles {
		f.Bundles = append(f.Bundles, project.Bundle{Name: b.Value.Name, UID: string(b.Value.UID), Clusters: granted[string(b.Value.UID)]})
	}
	return f, nil
}

// granted are the clusters that run each bundle, by its UID, or will at once.
func (p *projections) granted(v *store.View) (map[string][]string, error) {
	grants, err := p.Standing(v)
	if err != nil {
		return nil, err
	}
	granted := map[string][]string{}
	for _, g := range grants {
		if !g.Value.Withdraw {
			cluster, _ := v1alpha1.CutGrantKey(g.Key)
			granted[g.Value.BundleUID] = append(granted[g.Value.BundleUID], cluster)
		}
	}
	for _, clusters := range granted {
		slices.Sort(clusters)
	}
	return granted, nil
}

func projectedMember(c *v1alpha1.Cluster, m store.Member) project.Member {
	p := project.Member{
		Cluster: c.Name, UID: string(c.UID), Labels: c.Labels, Region: c.Spec.Region, Zone: c.Spec.Zone,
		Kubernetes: c.Status.KubernetesVersion, Server: m.Server, Joined: c.CreationTimestamp,
		Healthy: meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionControlPlaneHealthy),
	}
	if len(m.Certificate) > 0 {
		p.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Certificate})
	}
	return p
}

// projector keeps the projections in the member's own cluster; nil when the options say that there are none.
func (c *Core) projector(o Options, cluster *rest.Config, source project.Source, left func(kind, namespace, name string)) (*project.Projector, error) {
	if !o.Project {
		return nil, nil
	}
	return project.New(project.Config{REST: cluster, Source: source, InstallCRDs: o.InstallCRDs, Left: left, Logger: c.log.With("room", "project")})
}

// apiHost is the host under which people reach the member's API.
func (c *Core) apiHost() string {
	host, _, _ := net.SplitHostPort(c.self.Addresses.APIAdvertise) // it was checked when it was completed
	return host
}
