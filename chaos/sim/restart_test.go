package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

func write(t *testing.T, m *sim.Member, key string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := m.Write(ctx, key, n); err != nil {
		t.Fatalf("write %s through %s: %v", key, m.Name, err)
	}
}

func TestAMemberThatStartsAloneIsNotBehindWhatItActedOn(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		write(t, f.Members[0], "before", 1)
		survivor := f.Members[2]
		f.Await("the write is everywhere", time.Minute, func() bool { return survivor.Has("before") == 1 })
		acted := survivor.Core.Store().View()
		if err := survivor.Core.Node().Record(acted); err != nil {
			t.Fatal(err)
		}
		for _, m := range f.Members {
			m.Kill()
		}
		survivor.Start() // alone, and no member ever took a snapshot
		if got := survivor.Core.Store().View().Revision(); got < acted.Revision() {
			t.Errorf("it acted on revision %d, and started with %d", acted.Revision(), got)
		}
		if survivor.Has("before") != 1 {
			t.Error("what it had is gone")
		}
		time.Sleep(10 * time.Second)
		for _, m := range f.Members {
			if !m.Running() {
				m.Start()
			}
		}
		write(t, f.Members[4], "after", 2)
		f.Await("all go on", time.Minute, func() bool {
			for _, m := range f.Members {
				if m.Has("before") != 1 || m.Has("after") != 2 {
					return false
				}
			}
			return true
		})
	})
}
