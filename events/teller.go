package events

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	eventsclient "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// Controller is the reportingController of all Events that are written.
const Controller = "fleet.hanse.dev/member"

const (
	// perSecond and atOnce bound how many requests are made, whatever happens.
	perSecond, atOnce = 0.2, 10
	requestTimeout    = 10 * time.Second
	maxNote           = 1000
)

// Config is what a Teller needs; all of it.
type Config struct {
	// REST reaches the cluster.
	REST *rest.Config
	// Instance is which member reports.
	Instance string
	Logger   *slog.Logger
}

// Teller writes Events into one cluster. Its Tell never waits; a nil one tells nobody.
type Teller struct {
	config Config
	client eventsclient.EventsV1Interface
	rate   flowcontrol.RateLimiter
	news   chan struct{}

	mu     sync.Mutex
	ledger *ledger

	failing string // what the log says of it; of Run alone
}

// New makes the client. It does not reach out to the cluster.
func New(c Config) (*Teller, error) {
	config := rest.CopyConfig(c.REST)
	config.QPS, config.UserAgent, config.Timeout = -1, "hanse-events", requestTimeout
	client, err := eventsclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("configure events: %w", err)
	}
	return &Teller{
		config: c, client: client, ledger: newLedger(), news: make(chan struct{}, 1),
		rate: flowcontrol.NewTokenBucketRateLimiter(perSecond, atOnce),
	}, nil
}

// Tell takes down an event. What happens again is counted; what is too much is left out.
func (t *Teller) Tell(e Event) {
	if t == nil {
		return
	}
	t.mu.Lock()
	room := t.ledger.take(e, time.Now())
	t.mu.Unlock()
	if !room {
		t.config.Logger.Debug("too much happens: an event is not told", "reason", e.Reason, "note", e.Note)
	}
	select {
	case t.news <- struct{}{}:
	default: // it is awake
	}
}

// Run writes what is told until ctx ends. What then is unwritten stays so. That the cluster is away, or lets the member
// write no Events, is said once and does not end it.
func (t *Teller) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		next, wait := t.next()
		if next == nil {
			t.idle(ctx, wait)
			continue
		}
		if t.rate.Wait(ctx) != nil {
			return nil
		}
		t.settle(next, t.write(ctx, next))
	}
	return nil
}

// next is a copy of what is due, as it is now.
func (t *Teller) next() (*series, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, wait := t.ledger.due(time.Now())
	if s == nil {
		return nil, wait
	}
	s.written = time.Now()
	now := *s
	return &now, 0
}

func (t *Teller) idle(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-t.news:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// settle takes down how a write ended. What the cluster refuses is given up; what it did not answer is tried again.
func (t *Teller) settle(wrote *series, err error) {
	t.mu.Lock()
	if s := t.ledger.all[wrote.key()]; s != nil {
		if s.name = wrote.name; err == nil {
			s.unsaid = s.count > wrote.count
		} else if refused(err) {
			t.ledger.drop(s)
		}
	}
	t.mu.Unlock()
	switch {
	case err == nil:
		t.failing = ""
	case errors.Is(err, context.Canceled):
	case t.failing == "":
		t.failing = err.Error()
		t.config.Logger.Warn("events are not told in this cluster", "err", err)
	}
}

// refused says that trying again would not help.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err)
}

// write makes the Event, or says how often it has happened by now.
func (t *Teller) write(ctx context.Context, s *series) error {
	in := t.client.Events(s.namespace())
	if s.name != "" {
		patch, err := json.Marshal(map[string]any{"series": s.counted()})
		if err == nil {
			_, err = in.Patch(ctx, s.name, types.MergePatchType, patch, metav1.PatchOptions{})
		}
		if !apierrors.IsNotFound(err) {
			return err
		} // it has expired: there is a new one
	}
	made, err := in.Create(ctx, s.object(t.config.Instance), metav1.CreateOptions{})
	if err == nil {
		s.name = made.Name
	}
	return err
}

// namespace is where Kubernetes wants events about what has none.
func (s *series) namespace() string {
	if s.Regarding.Namespace == "" {
		return metav1.NamespaceDefault
	}
	return s.Regarding.Namespace
}

func (s *series) counted() *eventsv1.EventSeries {
	if s.count < 2 {
		return nil
	}
	return &eventsv1.EventSeries{Count: s.count, LastObservedTime: metav1.NewMicroTime(s.last)}
}

func (s *series) object(instance string) *eventsv1.Event {
	kind, note := corev1.EventTypeNormal, s.Note
	if s.Warning {
		kind = corev1.EventTypeWarning
	}
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote], "") + "..."
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v %d", s.key(), s.last.UnixNano()))
	var related *corev1.ObjectReference
	if s.Related != (corev1.ObjectReference{}) {
		related = &s.Related
	}
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", s.Regarding.Name, sum[:8]), Namespace: s.namespace()},
		EventTime:  metav1.NewMicroTime(s.first), Series: s.counted(), ReportingController: Controller, ReportingInstance: instance,
		Action: s.Action, Reason: s.Reason, Regarding: s.Regarding, Related: related, Note: note, Type: kind,
	}
}
