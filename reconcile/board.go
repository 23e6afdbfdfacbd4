package reconcile

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// Reasons of the condition Ready.
const (
	reasonReady       = "Ready"
	reasonApplying    = "Applying"
	reasonInProgress  = "InProgress"
	reasonFailed      = "Failed"
	reasonWithdrawing = "Withdrawing"
	reasonOldGrant    = v1alpha1.ReasonOldGrant
	reasonObserving   = v1alpha1.ReasonObserving
	reasonSuspended   = v1alpha1.ReasonSuspended
	// The reconciler does not act now, so how the bundle is, is not known:
	reasonStarting    = "Starting"
	reasonUnreachable = "Unreachable"
	reasonLeaseHeld   = "LeaseHeld"
	reasonLeaseFailed = "LeaseFailed"
)

// board is where bundles post how they are, and from where it is reported: changes only, and not too often. It
// outlives sessions, so what is counted since the member started is counted here. Safe for concurrent use.
type board struct {
	report func([]Report)
	least  time.Duration
	bell   chan struct{}

	mu      sync.Mutex
	away    ready
	bundles map[string]*posted
}

// ready is a condition Ready to be.
type ready struct {
	status  metav1.ConditionStatus
	reason  string
	message string
}

// posted is what the board has of one bundle.
type posted struct {
	uid    string
	status v1alpha1.WorkStatus
	ready  ready
	// current says that the status was posted in the session that goes on now.
	current    bool
	corrected  int64
	carried    string
	lastDrift  *v1alpha1.Drift
	conditions []metav1.Condition
	sent       *v1alpha1.WorkStatus
}

func newBoard(report func([]Report), least time.Duration) *board {
	return &board{
		report: report, least: least, bell: make(chan struct{}, 1), bundles: map[string]*posted{},
		away: ready{metav1.ConditionUnknown, reasonStarting, "the member has not looked at the cluster yet"},
	}
}

// run reports until ctx ends.
func (b *board) run(ctx context.Context) {
	for {
		select {
		case <-b.bell:
		case <-ctx.Done():
			return
		}
		if news := b.collect(); len(news) > 0 {
			b.report(news)
		}
		if !pause.For(ctx, b.least) {
			return
		}
	}
}

func (b *board) ring() {
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

// expect makes the board's bundles those that are granted.
func (b *board) expect(grants []Grant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	have := b.bundles
	b.bundles = map[string]*posted{}
	for _, g := range grants {
		p := have[g.Bundle]
		if p == nil || p.uid != g.BundleUID {
			p = &posted{uid: g.BundleUID}
		}
		b.bundles[g.Bundle] = p
	}
	b.ring()
}

// setAway makes everything unknown until it is posted again.
func (b *board) setAway(reason, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = ready{metav1.ConditionUnknown, reason, clip(message, maxMessage)}
	for _, p := range b.bundles {
		p.current = false
	}
	b.ring()
}

// isAway says that setAway was called with this reason last, and nothing was posted since.
func (b *board) isAway(reason string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.bundles {
		if p.current {
			return false
		}
	}
	return b.away.reason == reason
}

// post sets how a bundle is. Counters, SeenAt and conditions of status are the board's.
func (b *board) post(bundle, uid string, status v1alpha1.WorkStatus, r ready) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.bundles[bundle]
	if p == nil || p.uid != uid {
		return
	}
	p.status, p.ready, p.current = status, r, true
	b.ring()
}

// carriedOut says that what the cluster runs of a bundle is another revision from now on.
func (b *board) carriedOut(bundle, uid, revision string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.bundles[bundle]; p != nil && p.uid == uid {
		p.carried = revision
	}
}

// drift counts an object that somebody else changed.
func (b *board) drift(bundle, uid string, d v1alpha1.Drift, corrected bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.bundles[bundle]
	if p == nil || p.uid != uid {
		return
	}
	p.lastDrift = &d
	if corrected {
		p.corrected++
	}
	b.ring()
}

// collect is what changed since the last time.
func (b *board) collect() []Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	var news []Report
	for name, p := range b.bundles {
		status := b.compose(p)
		if p.sent != nil && equality.Semantic.DeepEqual(*p.sent, status) {
			continue
		}
		p.sent = &status
		news = append(news, Report{Bundle: name, BundleUID: p.uid, Status: status, CarriedOut: p.carried})
	}
	slices.SortFunc(news, func(a, b Report) int { return strings.Compare(a.Bundle, b.Bundle) })
	return news
}

func (b *board) compose(p *posted) v1alpha1.WorkStatus {
	status, r := p.status, p.ready
	if !p.current {
		status.Health, r = v1alpha1.HealthUnknown, b.away
	}
	status.DriftCorrected, status.LastDrift = p.corrected, p.lastDrift
	meta.SetStatusCondition(&p.conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: r.status, Reason: r.reason, Message: r.message,
	})
	status.Conditions = slices.Clone(p.conditions)
	return status
}
