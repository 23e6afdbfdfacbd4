package project

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Config is what a Projector needs. All but InstallCRDs, Left, Timing and Logger is required.
type Config struct {
	// REST reaches the cluster's kube-apiserver.
	REST   *rest.Config
	Source Source
	// InstallCRDs makes the definitions of the kinds when they are not there. One that is there is never changed.
	InstallCRDs bool
	// Left is told, once each, of objects that lie where ours should be and are not ours. May be nil.
	Left   func(kind, namespace, name string)
	Timing Timing
	Logger *slog.Logger
}

// Timing is how long a Projector waits for what. The zero value of each field is that of DefaultTiming.
type Timing struct {
	// Pause is the least time between two passes over one kind; a repair that is undone again and again waits twice as
	// long each time, up to RetryMax.
	Pause time.Duration
	// Retry is the first wait after a failure, or when a kind is not there; it doubles up to RetryMax.
	Retry, RetryMax time.Duration
	// Request bounds each request except watches.
	Request time.Duration
	// Rate is how many requests are made a second.
	Rate int
}

// DefaultTiming is gentle to a kube-apiserver: nobody waits for these objects.
func DefaultTiming() Timing {
	return Timing{Pause: time.Second, Retry: time.Second, RetryMax: time.Minute, Request: 30 * time.Second, Rate: 20}
}

func (t Timing) completed() Timing {
	d := DefaultTiming()
	for _, f := range []struct {
		at    *time.Duration
		other time.Duration
	}{{&t.Pause, d.Pause}, {&t.Retry, d.Retry}, {&t.RetryMax, d.RetryMax}, {&t.Request, d.Request}} {
		if *f.at <= 0 {
			*f.at = f.other
		}
	}
	if t.Rate <= 0 {
		t.Rate = d.Rate
	}
	return t
}

// Projector keeps the projections of one cluster as the fleet is.
type Projector struct {
	config Config
	client dynamic.Interface
}

// New makes the client. It does not reach out to the cluster.
func New(c Config) (*Projector, error) {
	c.Timing = c.Timing.completed()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Left == nil {
		c.Left = func(string, string, string) {}
	}
	config := rest.CopyConfig(c.REST)
	config.QPS, config.Burst = float32(c.Timing.Rate), c.Timing.Rate
	config.UserAgent, config.WarningHandler = FieldManager, rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("configure projections: %w", err)
	}
	return &Projector{config: c, client: client}, nil
}

// Run projects until ctx ends. Only one Projector may run in a cluster at a time. That kube-apiserver is away, or knows
// none of the kinds, does not end it.
func (p *Projector) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, s := range standards {
		all.Go(func() { p.newProjection(s).run(ctx) })
	}
	all.Wait()
}

func (p *Projector) newProjection(s standard) *projection {
	resource := p.client.Resource(s.resource)
	pr := &projection{
		standard: s, config: p.config, client: resource, namespaces: p.client.Resource(namespaces),
		logger: p.config.Logger.With("kind", s.kind), retry: backoff{first: p.config.Timing.Retry, most: p.config.Timing.RetryMax},
		install: func(context.Context) error { return nil },
	}
	if s.namespace != "" {
		pr.client = resource.Namespace(s.namespace)
	}
	if p.config.InstallCRDs {
		pr.install = func(ctx context.Context) error { return installCRD(ctx, p.client, s) }
	}
	return pr
}

// backoff doubles from first to most.
type backoff struct{ first, most, wait time.Duration }

func (b *backoff) next() time.Duration {
	wait := max(b.wait, b.first)
	b.wait = min(2*wait, b.most)
	return min(wait, b.most)
}

func (b *backoff) reset() { b.wait = 0 }
