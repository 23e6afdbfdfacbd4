package agent

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-fleet/hanse/facts"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// InCluster, as Options.Kubeconfig, means the service account of the pod that the member runs in.
const InCluster = "in-cluster"

// clusterConfig reads how to reach the member's own cluster; nil for a member without one.
func clusterConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return nil, nil
	}
	if kubeconfig == InCluster {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("find own cluster: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %q: %w", kubeconfig, err)
	}
	return config, nil
}

// askPause is how often a member asks its cluster how it is.
const askPause = 30 * time.Second

// askControlPlane keeps the version of the member's cluster, and whether its kube-apiserver is ready. A version that does
// not come changes nothing.
func (c *Core) askControlPlane(ctx context.Context, config *rest.Config) error {
	config = rest.CopyConfig(config)
	config.Timeout = askPause / 3
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("ask cluster how it is: %w", err)
	}
	var plane facts.ControlPlane
	for {
		if v, err := client.ServerVersion(); err == nil {
			c.kubernetes.Store(&v.GitVersion)
		}
		c.controlPlane.Store(plane.Ask(ctx, client.RESTClient()))
		if !pause.For(ctx, askPause) {
			return nil
		}
	}
}
