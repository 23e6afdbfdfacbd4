package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// askedOf is a fleet whose member answers so.
func askedOf(t *testing.T, answers http.HandlerFunc) *fleet {
	t.Helper()
	server := httptest.NewServer(answers)
	t.Cleanup(server.Close)
	client, err := rest.UnversionedRESTClientFor(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{NegotiatedSerializer: statusOnly()}})
	if err != nil {
		t.Fatal(err)
	}
	return &fleet{rest: client, server: server.URL}
}

// The member answers once it was asked of all: who asks one after the other hears of none.
func TestRolloutsAreAskedForAtOnce(t *testing.T) {
	goals := []goal{{bundle: "a", revision: "a-1"}, {bundle: "b", revision: "b-1"}, {bundle: "c", revision: "c-1"}}
	var asked sync.WaitGroup
	asked.Add(len(goals))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f := askedOf(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Done()
		all := make(chan struct{})
		go func() { asked.Wait(); close(all) }()
		select {
		case <-all:
			var rollout v1alpha1.Rollout
			rollout.Name = path.Base(r.URL.Path)
			answer(w, 200, rollout)
		case <-ctx.Done():
		}
	})
	p := &progress{rollouts: map[string]v1alpha1.Rollout{}}
	var mu sync.Mutex
	f.askRollouts(ctx, goals, func(update func(*progress)) error {
		mu.Lock()
		defer mu.Unlock()
		update(p)
		return nil
	})
	for _, g := range goals {
		if got := p.rollouts[g.bundle].Name; got != g.revision {
			t.Errorf("of %s it is told %q", g.bundle, got)
		}
	}
}
