package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/internal/pause"
)

// Reconciler carries out the grants of one cluster.
type Reconciler struct {
	config   Config
	dynamic  dynamic.Interface
	core     corev1client.CoreV1Interface
	discover *discovery.DiscoveryClient
	lease    *lease
	board    *board
	grants   *grantsNow
}

// New checks the configuration and makes the clients. It does not reach out to the cluster.
func New(c Config) (*Reconciler, error) {
	c.Timing = c.Timing.completed()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure reconciler: %w", err)
	}
	r := &Reconciler{config: c, board: newBoard(c.Report, c.Timing.Coalesce), grants: newGrantsNow()}
	if err := r.connect(rest.CopyConfig(c.REST)); err != nil {
		return nil, fmt.Errorf("configure reconciler: %w", err)
	}
	return r, nil
}

// connect makes the clients. Their rate is bounded by the number of workers and by the server, not by the client.
func (r *Reconciler) connect(c *rest.Config) error {
	c.QPS, c.UserAgent, c.WarningHandler = -1, FieldManager, rest.NoWarnings{}
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		return err
	}
	var errs [4]error
	r.dynamic, errs[0] = dynamic.NewForConfigAndClient(c, client)
	r.core, errs[1] = corev1client.NewForConfigAndClient(c, client)
	r.discover, errs[2] = discovery.NewDiscoveryClientForConfigAndClient(c, client)
	r.lease, errs[3] = r.newLease(rest.CopyConfig(c))
	return errors.Join(errs[:]...)
}

// newLease makes the lease, with a connection of its own: renewing it must not queue behind megabytes of manifests.
func (r *Reconciler) newLease(c *rest.Config) (*lease, error) {
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	client, err := coordinationclient.NewForConfig(c)
	if err != nil {
		return nil, err
	}
	return &lease{client: client.Leases(Namespace), member: r.config.Member, timing: r.config.Timing}, nil
}

// Run carries out grants until ctx ends. That kube-apiserver is away, or another holds the Lease, does not end it.
// When it returns, nothing of it runs any more.
func (r *Reconciler) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { r.board.run(ctx) })
	parts.Go(func() { r.followGrants(ctx) })
	parts.Go(func() { r.lead(ctx) })
	parts.Wait()
	return nil
}

// followGrants is the one consumer of Config.Grants.
func (r *Reconciler) followGrants(ctx context.Context) {
	for {
		changed := r.config.Grants.Changed()
		if grants, known := r.config.Grants.Current(); known {
			r.board.expect(grants)
			r.grants.set(grants)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// lead takes the lease, and acts while it holds it, again and again.
func (r *Reconciler) lead(ctx context.Context) {
	retry := backoff{first: r.config.Timing.Retry, most: 10 * time.Second}
	for ctx.Err() == nil {
		began := time.Now()
		holder, err := r.takeLease(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			r.away(whyAway(err), err.Error())
			pause.For(ctx, retry.next())
		case holder != r.config.Member:
			retry.reset()
			r.away(reasonLeaseHeld, fmt.Sprintf("another agent, %q, acts in this cluster; this one touches nothing", holder))
			pause.For(ctx, r.config.Timing.RenewPeriod)
		default:
			retry.reset()
			r.act(ctx, began)
		}
	}
}

func whyAway(err error) string {
	if isAway(err) {
		return reasonUnreachable
	}
	return reasonLeaseFailed
}

// away says, once for each reason, that the reconciler does not act.
func (r *Reconciler) away(reason, message string) {
	if r.board.isAway(reason) {
		return
	}
	r.config.Logger.Warn("not acting", logReason, reason, logError, message)
	r.board.setAway(reason, message)
}

// takeLease tries to take the lease, and makes its namespace when that is what is missing.
func (r *Reconciler) takeLease(ctx context.Context) (holder string, err error) {
	holder, err = r.lease.attempt(ctx)
	if !apierrors.IsNotFound(err) {
		return holder, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.Timing.RenewDeadline)
	defer cancel()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
	_, err = r.core.Namespaces().Create(ctx, ns, metav1.CreateOptions{FieldManager: FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create namespace %s: %w", Namespace, err)
	}
	return r.lease.attempt(ctx)
}

// act runs a session for as long as the lease is held. It returns once the session has ended, which is before
// another may take the lease.
func (r *Reconciler) act(ctx context.Context, taken time.Time) {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	r.config.Logger.Info("acting", logHolder, r.config.Member)
	r.board.setAway(reasonStarting, "the member begins to look at the cluster")
	var running sync.WaitGroup
	running.Go(func() { r.newSession().run(within, r.grants) })
	if r.config.Beside != nil {
		running.Go(func() { r.config.Beside(within) })
	}
	err := r.lease.keep(ctx, taken)
	cancel()
	running.Wait()
	if ctx.Err() == nil {
		r.away(whyAway(err), cmp.Or(err, errors.New("the lease was lost")).Error())
		return
	}
	if err := r.lease.release(context.WithoutCancel(ctx)); err != nil {
		r.config.Logger.Info("lease not released", logError, err)
	}
}

func (r *Reconciler) newSession() *session {
	slots := make(slots, workers)
	s := &session{
		timing: r.config.Timing, logger: r.config.Logger, board: r.board, withdrawn: r.config.Withdrawn,
		client: r.dynamic, kinds: &kinds{discover: r.discover}, tracker: newTracker(),
		inventories: newInventories(&heads{
			client: r.core.ConfigMaps(Namespace), fleet: r.config.Fleet, cluster: r.config.Cluster, slots: slots, request: r.config.Timing.Request,
		}),
		slots: slots, bundles: map[string]*bundle{},
	}
	s.watches = &watches{client: r.dynamic, tracker: s.tracker, changed: s.changed, timing: s.timing, logger: s.logger, running: map[schema.GroupKind]*watching{}}
	return s
}

// grantsNow is the newest grants, for whoever acts on them.
type grantsNow struct {
	mu      sync.Mutex
	grants  []Grant
	known   bool
	changed chan struct{} // closed and replaced by set
}

func newGrantsNow() *grantsNow { return &grantsNow{changed: make(chan struct{})} }

func (g *grantsNow) set(grants []Grant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.grants, g.known = grants, true
	close(g.changed)
	g.changed = make(chan struct{})
}

// get is the newest grants, whether there were any yet, and what is closed when there are newer ones.
func (g *grantsNow) get() ([]Grant, bool, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.grants, g.known, g.changed
}
