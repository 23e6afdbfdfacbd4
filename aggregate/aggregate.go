package aggregate

import (
	"context"
	"crypto"
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Aggregation is a member's API inside the member's own cluster.
type Aggregation struct {
	authorizer.Authorizer // asks the cluster what somebody may do there
	*frontProxy           // knows the cluster's kube-apiserver

	config      Config
	certificate serving
	backend     backend
	client      dynamic.Interface
	changed     chan struct{} // wakes keep
	standing    atomic.Pointer[Standing]
	life        life  // keep's
	rival       rival // keep's
	// left is how the last apply left each object: keep's.
	left map[string]applyLeft
}

// requestTimeout bounds each request to the cluster, but no watch.
const requestTimeout = 10 * time.Second

// New checks the configuration and makes the clients. It does not reach out to the cluster.
func New(c Config) (*Aggregation, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure aggregation: %w", err)
	}
	a := &Aggregation{config: c, frontProxy: new(frontProxy), changed: make(chan struct{}, 1), left: map[string]applyLeft{}}
	var err error
	if a.backend, err = parseBackend(c.Address); err != nil {
		return nil, fmt.Errorf("configure aggregation: %w", err)
	}
	if a.certificate, err = newServing(c.Key, c.owner()); err != nil {
		return nil, err
	}
	if a.client, err = newClient(c.REST); err != nil {
		return nil, fmt.Errorf("configure aggregation: %w", err)
	}
	if a.Authorizer, err = newReviewer(c.REST); err != nil {
		return nil, fmt.Errorf("configure aggregation: %w", err)
	}
	return a, nil
}

func (c Config) owner() string { return c.Fleet + "/" + c.Cluster }

func newClient(c *rest.Config) (dynamic.Interface, error) {
	c = rest.CopyConfig(c)
	c.QPS, c.UserAgent, c.WarningHandler = -1, manager, rest.NoWarnings{}
	return dynamic.NewForConfig(c)
}

// Certificate is what a member shows, with this key, to whoever asks for ServerName.
func Certificate(key crypto.Signer, fleet, cluster string) (tls.Certificate, error) {
	s, err := newServing(key, Config{Fleet: fleet, Cluster: cluster}.owner())
	return s.Certificate, err
}

// Certificate is what the member shows to whoever asks for ServerName.
func (a *Aggregation) Certificate() tls.Certificate { return a.certificate.Certificate }

// Run registers the member's API, keeps it registered, and follows whom to believe, until ctx ends. That the cluster
// does not answer, or refuses, does not end it. What is registered stays for a moment: a member that stops comes back.
func (a *Aggregation) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { a.followTrust(ctx) })
	parts.Go(func() { a.followRegistration(ctx) })
	parts.Go(func() { a.keep(ctx) })
	parts.Wait()
	a.part()
	return nil
}
