package events

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/chaos/testbed/testbedtest"
)

// heard is a log, and what was said in it.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) count(words string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Count(h.text.String(), words)
}

func start(t *testing.T, c *rest.Config) (*Teller, *heard) {
	t.Helper()
	h := new(heard)
	teller, err := New(Config{REST: c, Instance: "fra", Logger: slog.New(slog.NewTextHandler(h, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- teller.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return teller, h
}

func TestAClusterIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real cluster: left out by -short")
	}
	config, err := testbedtest.Cluster(t).REST()
	if err != nil {
		t.Fatal(err)
	}
	teller, _ := start(t, config)
	shop := drifted("shop")
	shop.Regarding = corev1.ObjectReference{APIVersion: "fleet.hanse.dev/v1alpha1", Kind: "Bundle", Name: "shop", UID: "b1"}
	teller.Tell(shop)
	eventually(t, func() bool { return len(told(t, teller)) == 1 })
	teller.Tell(shop)
	teller.mu.Lock() // so long ago that the count may be written
	teller.ledger.all[shop.key()].written = time.Now().Add(-seriesPause)
	teller.mu.Unlock()
	teller.Tell(shop)
	eventually(t, func() bool {
		all := told(t, teller)
		return len(all) == 1 && all[0].Series != nil && all[0].Series.Count == 3
	})
	if e := told(t, teller)[0]; e.Regarding.UID != "b1" || e.Type != "Normal" || e.ReportingController != Controller || e.ReportingInstance != "fra" {
		t.Errorf("told: %+v", e)
	}

	t.Run("and one that lets nobody tell is asked no more than it must be", func(t *testing.T) {
		nobody := rest.CopyConfig(config)
		nobody.Impersonate.UserName = "nobody"
		quiet, h := start(t, nobody)
		quiet.Tell(drifted("a"))
		quiet.Tell(drifted("b"))
		eventually(t, func() bool {
			quiet.mu.Lock()
			defer quiet.mu.Unlock()
			s, _ := quiet.ledger.due(time.Now().Add(time.Hour))
			return s == nil
		})
		if n := h.count("events are not told in this cluster"); n != 1 {
			t.Errorf("it is said %d times", n)
		}
	})
}

func told(t *testing.T, teller *Teller) []eventsv1.Event {
	t.Helper()
	list, err := teller.client.Events("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var ours []eventsv1.Event
	for _, e := range list.Items {
		if e.ReportingController == Controller {
			ours = append(ours, e)
		}
	}
	return ours
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(3 * time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("not within a minute")
		}
	}
}
