package agent

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

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

// versionPause is how often a member asks its cluster for its version.
const versionPause = 30 * time.Second

// askVersion keeps the version of the member's cluster, for people. An answer that does not come changes nothing.
func (c *Core) askVersion(ctx context.Context, config *rest.Config) error {
	config = rest.CopyConfig(config)
	config.Timeout = versionPause / 3
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("ask cluster for its version: %w", err)
	}
	for {
		if v, err := client.ServerVersion(); err == nil {
			c.kubernetes.Store(&v.GitVersion)
		}
		if !pause.For(ctx, versionPause) {
			return nil
		}
	}
}
