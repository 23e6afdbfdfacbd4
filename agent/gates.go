package agent

import (
	"context"
	"maps"
	"net/http"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/plan"
)

// gatesAtOnce is how many gates are asked at a time.
const gatesAtOnce = 8

// gateReadings are what gates said to this leader last, by rollout and gate.
type gateReadings struct {
	mu sync.Mutex
	by map[string]map[string]plan.Reading
	// asking are the gates that have not answered yet.
	asking map[[2]string]bool
}

func newGateReadings() *gateReadings {
	return &gateReadings{by: map[string]map[string]plan.Reading{}, asking: map[[2]string]bool{}}
}

// begin says that nobody waits for an answer of a gate, and that one does from now on, until end.
func (r *gateReadings) begin(ask plan.Ask) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := [2]string{ask.Rollout, ask.Gate.Name}
	if r.asking[at] {
		return false
	}
	r.asking[at] = true
	return true
}

func (r *gateReadings) end(ask plan.Ask) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.asking, [2]string{ask.Rollout, ask.Gate.Name})
}

// all are the readings.
func (r *gateReadings) all() map[string]map[string]plan.Reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]map[string]plan.Reading, len(r.by))
	for rollout, of := range r.by {
		all[rollout] = maps.Clone(of)
	}
	return all
}

// forget drops what is of rollouts that are not there any more, or have ended.
func (r *gateReadings) forget(there []decoded.Object[v1alpha1.Rollout]) {
	runs := map[string]bool{}
	for _, o := range there {
		runs[o.Value.Name] = !o.Value.Status.Phase.Ended()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.by, func(rollout string, _ map[string]plan.Reading) bool { return !runs[rollout] })
}

func (r *gateReadings) put(ask plan.Ask, said plan.Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by[ask.Rollout] == nil {
		r.by[ask.Rollout] = map[string]plan.Reading{}
	}
	r.by[ask.Rollout][ask.Gate.Name] = said
}

// askGates asks the gates of rollouts, for as long as this member leads. It is beside what the leader decides, which waits for no Prometheus.
func (l *leader) askGates(ctx context.Context) {
	carrier := http.DefaultTransport.(*http.Transport).Clone()
	defer carrier.CloseIdleConnections()
	client := &http.Client{Transport: carrier, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var asks errgroup.Group
	asks.SetLimit(gatesAtOnce)
	for pause.For(ctx, leaderTick) {
		rollouts, err := l.decoded.Rollouts.List(l.store.View())
		if err != nil {
			continue // the decision says it
		}
		l.gates.forget(rollouts)
		for _, ask := range plan.Asks(decoded.Values(rollouts), l.gates.all(), l.lasting()) {
			if !l.gates.begin(ask) {
				continue // it has not answered yet
			}
			if !asks.TryGo(func() error { l.askGate(ctx, client, ask); return nil }) {
				l.gates.end(ask) // too many are asked: it has its turn
			}
		}
	}
	asks.Wait()
}

func (l *leader) askGate(ctx context.Context, client *http.Client, ask plan.Ask) {
	defer l.gates.end(ask)
	said := plan.Reading{At: l.lasting()}
	passes, message, err := askMetric(ctx, client, *ask.Gate.Metric)
	if said.Passes, said.Message = passes, message; err != nil {
		said.Message = err.Error()
	}
	if ctx.Err() == nil {
		l.gates.put(ask, said)
	}
}
