package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// upgrade is a fleet of daemons that run one program or the other, and people who write meanwhile.
type upgrade struct {
	*realm
	daemons map[string]*Daemon
	load    *load
}

// A fleet of real daemons goes to a program that can apply the next version of the log, and back, and there again, one
// member after the other, while people write through three of them.
func TestARollingUpgradeUnderWrites(t *testing.T) {
	t.Parallel()
	now, next := hanseBinary(t), binary(t, "hanse-next", "HANSE_NEXT_BINARY")
	daemons := gather(t, now, "acme", place{"fra", "eu"}, place{"iad", "us"}, place{"sin", "ap"}, place{"gru", "sa"})
	u := &upgrade{realm: realmOf(now, daemons), daemons: map[string]*Daemon{}}
	for _, d := range daemons {
		u.daemons[d.Cluster] = d
	}
	u.load = u.writeThrough(t, "fra", "sin", "gru")
	u.load.goesOn(t, u.realm)

	t.Run("one after the other is upgraded, and the last one keeps the log at its version", func(t *testing.T) {
		u.run(t, next, "fra", "iad", "sin")
		until(t, comesBack, u.seat(t, "iad").warns("the log stays at version 1 until gru can apply 2"))
	})
	t.Run("they go back, in another order", func(t *testing.T) {
		u.run(t, now, "iad", "sin", "fra")
		u.atVersion(t, 1)
	})
	t.Run("all are upgraded, in yet another order, and with the last one the version is raised", func(t *testing.T) {
		u.run(t, next, "gru", "sin", "fra", "iad")
		u.atVersion(t, 2)
	})
	t.Run("an older program stops at the raised version, and says so", func(t *testing.T) {
		u.restart(t, "iad", now)
		until(t, comesBack, u.seat(t, "iad").warns("this member stopped applying the log", "written by a newer version"))
		t.Logf("%s", ended(t, 3, u.tell(t, "iad", nil, "status"), []string{"status"}))
		if said := u.must(t, "iad", nil, "get", "users"); !strings.Contains(said.Talk, "warning") {
			t.Errorf("it reads without a warning: %s", said)
		}
		if leader := u.status(t, "fra").Leader; leader == "iad" {
			t.Error("it leads")
		}
		u.load.goesOn(t, u.realm)
	})
	t.Run("an older program does not join", func(t *testing.T) {
		late, err := NewDaemon(now, folder(t), "late", "eu")
		if err != nil {
			t.Fatal(err)
		}
		token := u.must(t, "fra", nil, "token", "create").Out
		refused(t, joins(t, late, token), token, "join with a newer hanse")
	})
	t.Run("upgraded again it has all that it missed", func(t *testing.T) {
		u.restart(t, "iad", next)
		u.load.goesOn(t, u.realm)
		u.atVersion(t, 2)
		u.load.allThere(t, u.realm)
	})
	for _, w := range u.load.writers {
		t.Logf("through %s: %d writes acknowledged, the slowest after %s", w.name, len(w.written()), round(w.slowest))
	}
}

// run makes members run a program, one after the other. A write through another member than the one that is stopped does
// not fail: a planned change of leader only makes it wait.
func (u *upgrade) run(t *testing.T, program string, names ...string) {
	t.Helper()
	for _, name := range names {
		failed := map[string]int{}
		for _, w := range u.load.writers {
			failed[w.name] = w.failed()
		}
		leads := u.status(t, name).Leader == name
		begun := time.Now()
		u.restart(t, name, program)
		until(t, comesBack, func(ctx context.Context) error { return atWork(ctx, u.daemons[name], 3) })
		t.Logf("%s is back after %s; it led: %t", name, round(time.Since(begun)), leads)
		u.load.goesOn(t, u.realm)
		for _, w := range u.load.writers {
			if n := w.failed() - failed[w.name]; n > 0 && w.name != name {
				t.Errorf("while %s was restarted, %d writes through %s failed: %v", name, n, w.name, w.lastError())
			}
		}
	}
}

func (u *upgrade) restart(t *testing.T, name, program string) {
	t.Helper()
	d := u.daemons[name]
	ctx, cancel := context.WithTimeoutCause(t.Context(), comesBack, errors.New("it does not stop"))
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	d.hanse = program
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
}

// atVersion waits until every member applies the log by a version.
func (u *upgrade) atVersion(t *testing.T, version uint64) {
	t.Helper()
	for _, m := range u.seats {
		until(t, comesBack, m.sees(func(s v1alpha1.FleetStatus) error {
			if s.LogVersion != version {
				return fmt.Errorf("%s is at version %d of the log", m.name, s.LogVersion)
			}
			return nil
		}))
	}
}

// warns checks that one warning of a member's status has all those words.
func (s seat) warns(words ...string) func(context.Context) error {
	return s.sees(func(status v1alpha1.FleetStatus) error {
		for _, w := range status.Warnings {
			if containsAll(w, words) {
				return nil
			}
		}
		return fmt.Errorf("%s warns of %q", s.name, status.Warnings)
	})
}
