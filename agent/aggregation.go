package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/aggregate"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/project"
	"github.com/hanse-fleet/hanse/proxy"
)

// aggregation is the fleet's API in the member's own cluster: kept there, taken out, or neither when there is no cluster.
type aggregation struct {
	keeps   *aggregate.Aggregation
	cluster *rest.Config
	self    self
	log     *slog.Logger
}

func (c *Core) aggregation(o Options, cluster *rest.Config) (a aggregation, err error) {
	a = aggregation{cluster: cluster, self: c.self, log: c.log.With("room", "aggregate")}
	if cluster == nil || !o.Aggregate {
		return a, nil
	}
	key, err := signer(c.identity)
	if err != nil {
		return a, err
	}
	a.keeps, err = aggregate.New(aggregate.Config{
		REST: a.cluster, Fleet: c.self.Fleet, Cluster: c.self.Cluster, Address: c.self.Addresses.APIAdvertise, Key: key, Logger: a.log,
	})
	return a, err
}

// frontProxy is how apiserver knows the cluster's kube-apiserver; nil when the API is not in the cluster.
func (a aggregation) frontProxy() *apiserver.FrontProxy {
	if a.keeps == nil {
		return nil
	}
	return &apiserver.FrontProxy{Certificate: a.keeps.Certificate(), Known: a.keeps.Known, Authenticator: a.keeps, Authorizer: a.keeps}
}

// Reasons why the API is not in the cluster that are no fault.
const (
	reasonDisabled  = "Disabled"
	reasonNoCluster = "NoCluster"
)

// standing is whether the API is in the cluster.
func (a aggregation) standing() aggregate.Standing {
	switch {
	case a.cluster == nil:
		return aggregate.Standing{Status: metav1.ConditionFalse, Reason: reasonNoCluster, Message: "the member runs without a kubeconfig"}
	case a.keeps == nil:
		return aggregate.Standing{Status: metav1.ConditionFalse, Reason: reasonDisabled, Message: "the member runs with --aggregate=false"}
	}
	return a.keeps.Standing()
}

// withdrawPause is how long a withdrawal that failed waits until it is tried again.
const withdrawPause = 10 * time.Second

// partingTime is how long a removed member tries to leave nothing behind before it ends.
const partingTime = 30 * time.Second

// run keeps the API in the cluster, or takes it out and is done.
func (a aggregation) run(ctx context.Context) error {
	if a.keeps != nil {
		return a.keeps.Run(ctx)
	}
	withdraw(ctx, func() error { return aggregate.Remove(ctx, a.cluster, a.self.Fleet, a.self.Cluster) }, a.log)
	return nil
}

// withdraw takes something out of the cluster, however often that must be tried, until ctx ends.
func withdraw(ctx context.Context, remove func() error, log *slog.Logger) {
	for {
		err := remove()
		if err == nil || ctx.Err() != nil {
			return
		}
		log.Warn("something of the fleet's is still in this cluster", "err", err)
		if !pause.For(ctx, withdrawPause) {
			return
		}
	}
}

// parting takes out of a member's cluster what shows or serves the fleet there, when the member ends because it was removed.
// The API comes first: a dead one would hold up the deletion of namespaces. Should it fail, the next start of the removed
// member tries again.
func parting(err error, o Options, me self) error {
	if !errors.Is(err, ErrRemoved) || o.Kubeconfig == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), partingTime)
	defer cancel()
	config, failed := clusterConfig(o.Kubeconfig)
	if failed == nil {
		failed = errors.Join(
			aggregate.Remove(ctx, config, me.Fleet, me.Cluster), project.Remove(ctx, config, me.Fleet), proxy.Remove(ctx, config, me.Fleet, me.Cluster),
		)
	}
	if failed != nil {
		o.Logger.Warn("something of the fleet's is still in this cluster; docs/kubectl.md says how to take it out by hand", "err", failed)
	}
	return err
}
