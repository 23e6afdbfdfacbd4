package agent

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/report"
)

// A leader that cannot decide says so once for as long as the reason is the same, and decides again and again meanwhile.
func TestALeaderThatCannotDecideSaysSoOnce(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		c := &Core{
			store: store.New(nil), decoded: decoded.NewKinds(), reports: report.New(report.Config{}), now: time.Now,
			log: slog.New(slog.NewTextHandler(&logged, nil)),
		}
		is := func(index uint64, cluster string) {
			storetest.Apply(t, c.store, index, storetest.Entry(t, "", store.Put(v1alpha1.KeyClusters+"fra", []byte(cluster))))
		}
		is(1, `{"spec": 1}`)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { c.lead(ctx, 2); close(ended) }()
		pause.For(ctx, time.Minute)
		is(2, `{"status": 1}`)
		pause.For(ctx, time.Minute)
		cancel()
		<-ended
		for _, message := range []string{"leader could not write a decision", "leader could not write who votes"} {
			if n := strings.Count(logged.String(), message); n != 2 {
				t.Errorf("%q is in the log %d times:\n%s", message, n, &logged)
			}
		}
	})
}
