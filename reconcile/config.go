package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Grant is what the log allows this cluster to run of one bundle, rendered. It is a value: neither side changes
// Objects after handing it over.
type Grant struct {
	Bundle, BundleUID string
	// Revision names the BundleRevision that Objects come from.
	Revision string
	// At is the revision of the log that wrote the grant: what is reported is about this one, and no other of the same revision.
	At int64
	// Frozen tells two renderings of a revision apart.
	Frozen string
	// Fault is why the revision could not be rendered. Then there are no Objects, and what runs is gone on with.
	Fault string
	// StoreRevision is where in the log the grant was decided, and Epoch the life of the log. A grant that is older than what
	// the cluster already carries out is not acted on. Zero: not known, not checked.
	StoreRevision uint64
	Epoch         Epoch
	// Withdraw tells to remove the bundle, by the deletion policy of what ran last. Objects are not looked at then.
	Withdraw bool
	// Observe tells to find out what carrying the grant out would do, to say so, and to do nothing.
	Observe bool
	// Suspended is why, when a person stopped the bundle or the cluster.
	Suspended string
	Drift     v1alpha1.DriftPolicy
	Deletion  v1alpha1.DeletionPolicy
	Adopt     v1alpha1.AdoptPolicy
	Objects   []unstructured.Unstructured
	// Correct is what of them to put right once, though Drift says Report.
	Correct v1alpha1.Correction
	// Gates are what to look at and report of, beside the objects, while a rollout waits for it. Each names an object and a condition.
	Gates []v1alpha1.RolloutGate
}

// Grants is where the reconciler learns what it may run. It is asked from one goroutine and must not block.
type Grants interface {
	// Current is all grants of this cluster. False means that they are not known yet: nothing is touched.
	Current() ([]Grant, bool)
	// Changed is closed, or receives, when Current may have changed since it was called. It is called before Current.
	Changed() <-chan struct{}
}

// Report is how one bundle is in this cluster.
type Report struct {
	Bundle, BundleUID string
	Status            v1alpha1.WorkStatus
	// CarriedOut is the revision that the member made the cluster run; empty as long as the cluster runs what the member found there.
	CarriedOut string
}

// Config is what a Reconciler needs. All but Beside, Timing and Logger is required.
type Config struct {
	// REST reaches the cluster's kube-apiserver.
	REST *rest.Config
	// Fleet and Cluster are written into what lies in the cluster, for people; Member is the holder of the Lease.
	Fleet, Cluster, Member string
	Grants                 Grants
	// Report is called, from one goroutine, with the bundles whose status changed; at most once in Timing.Coalesce.
	// It must not block for long.
	Report func([]Report)
	// Withdrawn is called when a withdrawn bundle has left nothing in the cluster, until it succeeds.
	Withdrawn func(ctx context.Context, bundle, uid string) error
	// Beside runs while the Lease is held, for whoever else writes into the cluster in the member's name. It must return soon
	// after ctx ends. May be nil.
	Beside func(ctx context.Context)
	Timing Timing
	Logger *slog.Logger
}

// Timing is how long the reconciler waits for what. The zero value of each field is that of DefaultTiming.
type Timing struct {
	// LeaseDuration is how long another must see the Lease unchanged before it may take it.
	LeaseDuration time.Duration
	// RenewDeadline is how long after its last renewal the holder stops acting; less than LeaseDuration by more than
	// a request that is being cut off takes.
	RenewDeadline time.Duration
	// RenewPeriod is the time between two renewals, and between two looks at a Lease that another holds.
	RenewPeriod time.Duration
	// Request bounds each request except watches; admission webhooks may take 30 s.
	Request time.Duration
	// Establish bounds how long the rest of a bundle waits for its definitions and namespaces.
	Establish time.Duration
	// Retry is the first wait before something that failed is tried again; it doubles up to RetryMax.
	Retry, RetryMax time.Duration
	// Patience is how long objects that are being deleted may take before that is a problem, and before a withdrawal
	// goes on to what is deleted after them.
	Patience time.Duration
	// Leave is how long an object that is to be made anew may take to go before that is a problem. Pods may end slowly, and a problem
	// stops a rollout at once.
	Leave time.Duration
	// Look is how long a bundle that is only observed is not looked at when no watch says that an object of it changed, and LookLeast when
	// one does, at least: looking asks the cluster about each object.
	Look, LookLeast time.Duration
	// Coalesce is the least time between two reports.
	Coalesce time.Duration
}

// DefaultTiming suits a kube-apiserver in the same cluster.
func DefaultTiming() Timing {
	return Timing{
		LeaseDuration: 15 * time.Second,
		RenewDeadline: 10 * time.Second,
		RenewPeriod:   2 * time.Second,
		Request:       45 * time.Second,
		Establish:     60 * time.Second,
		Retry:         500 * time.Millisecond,
		RetryMax:      60 * time.Second,
		Patience:      15 * time.Second,
		Leave:         5 * time.Minute,
		Look:          30 * time.Second,
		LookLeast:     2 * time.Second,
		Coalesce:      100 * time.Millisecond,
	}
}

// workers is how many objects of a cluster are applied or deleted at the same time. kube-apiserver takes 200 writes at once by default.
const workers = 32

func (t Timing) completed() Timing {
	d := DefaultTiming()
	for _, f := range []struct{ have, fallback *time.Duration }{
		{&t.LeaseDuration, &d.LeaseDuration}, {&t.RenewDeadline, &d.RenewDeadline}, {&t.RenewPeriod, &d.RenewPeriod},
		{&t.Request, &d.Request}, {&t.Establish, &d.Establish}, {&t.Retry, &d.Retry}, {&t.RetryMax, &d.RetryMax},
		{&t.Patience, &d.Patience}, {&t.Leave, &d.Leave}, {&t.Look, &d.Look}, {&t.LookLeast, &d.LookLeast}, {&t.Coalesce, &d.Coalesce},
	} {
		if *f.have == 0 {
			*f.have = *f.fallback
		}
	}
	return t
}

func (c Config) validate() error {
	var errs []error
	require := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what+" is missing"))
		}
	}
	require(c.REST != nil, "REST")
	require(c.Fleet != "", "Fleet")
	require(c.Cluster != "", "Cluster")
	require(c.Member != "", "Member")
	require(c.Grants != nil, "Grants")
	require(c.Report != nil, "Report")
	require(c.Withdrawn != nil, "Withdrawn")
	if c.Timing.RenewPeriod >= c.Timing.RenewDeadline || c.Timing.RenewDeadline >= c.Timing.LeaseDuration {
		errs = append(errs, errors.New("lease times are not RenewPeriod < RenewDeadline < LeaseDuration"))
	}
	return errors.Join(errs...)
}
