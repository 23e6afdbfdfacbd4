package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
)

// running is a member on loopback.
type running struct {
	*Core
	stop func()
}

func start(t *testing.T, dir string) running {
	t.Helper()
	return startWith(t, dir, Seams{})
}

func startWith(t *testing.T, dir string, seams Seams) running {
	t.Helper()
	return startOpened(t, dir, nil, seams)
}

func startOpened(t *testing.T, dir string, with *age.HybridIdentity, seams Seams) running {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	core, err := OpenCore(CoreConfig{DataDir: dir, DataIdentity: with, Conn: conn, Timing: consensus.DefaultTiming(), Logger: slog.New(slog.DiscardHandler), Seams: seams, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		conn.Close()
		t.Fatalf("start %s: %v", dir, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- core.Run(ctx) }()
	return running{core, func() {
		cancel()
		if err := errors.Join(<-done, core.Close()); err != nil {
			t.Error(err)
		}
	}}
}

// lonely is the data directory of a stopped member whose two fellow voters are lost: by its log, and nowhere else, because
// here only the files count.
func lonely(t *testing.T) string { return lonelyOpened(t, nil) }

func lonelyOpened(t *testing.T, with *age.HybridIdentity) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fra")
	if _, err := Init(InitOptions{DataDir: dir, DataIdentity: with, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"}}); err != nil {
		t.Fatal(err)
	}
	m := startOpened(t, dir, with, Seams{})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := m.store.WaitFor(ctx, 1); err != nil {
		t.Fatal(err)
	}
	for ctx.Err() == nil {
		s, err := m.dir.self()
		if err != nil {
			t.Fatal(err)
		}
		if s.Begun {
			break
		}
	}
	m.stop()
	return dir
}

// copyDir copies a data directory, as a disk is found after a crash.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// recoveryOf is what a stopped member is, the state of the new epoch, and the steps to that.
func recoveryOf(t *testing.T, dir dataDir, me self) (before epoch.Statement, next *store.Snapshot, steps []func() error) {
	t.Helper()
	before, found, v, err := dir.survey(me)
	if err != nil {
		t.Fatal(err)
	}
	if next, err = dir.succeed(me, v, found, RecoverOptions{Version: "test"}); err != nil {
		t.Fatal(err)
	}
	return before, next, dir.recovery(next, found, store.MemberID(me.Incarnation), v.Epoch().Number)
}

// A kill -9 after any step leaves a member that is as before, or that recover finishes; never one that is half of each.
func TestARecoveryThatIsCutOffIsFinishedByTheNext(t *testing.T) {
	origin := lonely(t)
	steps := 0
	for cut := 0; cut == 0 || cut <= steps; cut++ {
		dir := dataDir{folder: copyDir(t, origin)}
		me, err := dir.self()
		if err != nil {
			t.Fatal(err)
		}
		before, next, all := recoveryOf(t, dir, me)
		steps = len(all)
		for _, step := range all[:cut] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		switch _, err := Survey(dir.folder, nil); {
		case errors.Is(err, ErrUnfinished):
			if _, err := OpenCore(CoreConfig{DataDir: dir.folder, Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrUnfinished) || !strings.Contains(err.Error(), "hanse recover") {
				t.Errorf("after step %d its agent starts: %v", cut, err)
			}
			e, err := Recover(RecoverOptions{DataDir: dir.folder})
			if err != nil || e.Epoch != next.View().Epoch() {
				t.Errorf("after step %d it is not finished: %+v, %v", cut, e, err)
			}
		case err != nil:
			t.Errorf("after step %d: %v", cut, err)
		}
		after, _, v, err := dir.survey(me)
		switch {
		case err != nil:
			t.Errorf("after step %d: %v", cut, err)
		case after.Epoch == before.Epoch && after.LastIndex != before.LastIndex:
			t.Errorf("after step %d it is neither: %+v", cut, after)
		case after.Epoch != before.Epoch:
			if yes := epoch.NobodyActs(v); !yes || after.Revision < before.Revision+store.Jump || after.EpochID == before.EpochID {
				t.Errorf("after step %d it has begun %+v, observing: %v", cut, after, yes)
			}
		}
		if old := filepath.Join(dir.folder, "raft.epoch-1"); after.Epoch == 2 {
			if _, err := os.Stat(old); err != nil {
				t.Errorf("after step %d the old log is gone: %v", cut, err)
			}
		}
		// Whatever it is, it starts, and leads.
		m := start(t, dir.folder)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		if err := letIn(ctx, m, "anna"); err != nil {
			t.Errorf("after step %d it takes no write: %v", cut, err)
		}
		cancel()
		m.stop()
	}
	if steps == 0 {
		t.Error("there were no steps")
	}
}

// What an interrupted recovery left is of the log that was there then, and of no other.
func TestARecoveryThatWasGivenUpIsNotBelievedLater(t *testing.T) {
	origin := lonely(t)
	givenUp := func(t *testing.T) dataDir { // the new log is whole, and the old one was never put by
		t.Helper()
		dir := dataDir{folder: copyDir(t, origin)}
		me, err := dir.self()
		if err != nil {
			t.Fatal(err)
		}
		_, found, v, err := dir.survey(me)
		if err != nil {
			t.Fatal(err)
		}
		next, err := dir.succeed(me, v, found, RecoverOptions{Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := consensus.Begin(dir.nextRaft(), nil, store.MemberID(me.Incarnation), next, found); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	refused := func(t *testing.T, dir dataDir, why string) {
		t.Helper()
		if _, err := Recover(RecoverOptions{DataDir: dir.folder}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("it is recovered: %v", err)
		}
		if _, err := os.Stat(dir.raft()); err == nil {
			t.Error("it has become the log")
		}
	}
	t.Run("it goes when the agent starts again", func(t *testing.T) {
		dir := givenUp(t)
		start(t, dir.folder).stop()
		if _, err := os.Stat(dir.nextRaft()); err == nil {
			t.Error("it is there still")
		}
	})
	t.Run("nor when the log is lost", func(t *testing.T) {
		dir := givenUp(t)
		if err := os.RemoveAll(dir.raft()); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, "there is no log of fra")
	})
	t.Run("nor beside a log that has gone on since", func(t *testing.T) {
		dir, other := givenUp(t), copyDir(t, origin)
		m := start(t, other)
		if err := letIn(t.Context(), m, "anna"); err != nil {
			t.Fatal(err)
		}
		m.stop()
		if err := errors.Join(os.RemoveAll(dir.raft()), os.Rename(dataDir{folder: other}.raft(), dir.oldRaft(1))); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, "is left from another recovery")
	})
}

func TestARestoreThatIsCutOffCanBeRepeated(t *testing.T) {
	dir := dataDir{folder: t.TempDir()}
	// As if it had been killed before member.json: half a log, and a whole one, of nobody.
	for _, left := range []string{dir.raft(), dir.nextRaft()} {
		if err := os.MkdirAll(filepath.Join(left, "snapshots"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(left, "log.bolt"), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, found := emptyState(t)
	if err := dir.begin(s, found, "id"); err != nil {
		t.Fatal(err)
	}
	st := store.New(nil)
	if _, err := consensus.Inspect(dir.raft(), nil, st); err != nil || st.View().Epoch().ID != "next" {
		t.Errorf("got epoch %+v: %v", st.View().Epoch(), err)
	}
	if _, err := os.Stat(dir.nextRaft()); err == nil {
		t.Error("something is left over")
	}
}

func emptyState(t *testing.T) (*store.Snapshot, consensus.Survey) {
	t.Helper()
	var found consensus.Survey
	m := store.Member{ID: "id", Cluster: "fra", Region: "eu", Eligible: true, Pin: store.Pin{1}}
	s, err := store.New(nil).View().Succeed(store.Succession{ID: "next", Index: found.NextIndex(), Ops: []store.Op{store.PutMember(m)}})
	if err != nil {
		t.Fatal(err)
	}
	return s, found
}

func TestAnOldLogIsNeverOverwritten(t *testing.T) {
	d := dataDir{folder: t.TempDir()}
	for _, want := range []string{"raft.epoch-1", "raft.epoch-1-2", "raft.epoch-1-3"} {
		got := d.oldRaft(1)
		if filepath.Base(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if err := os.Mkdir(got, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// letIn writes a user, in the member's own name.
func letIn(ctx context.Context, m running, name string) error {
	user, err := law.Put(v1alpha1.KeyUsers+name, &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err != nil {
		return err
	}
	p, err := m.recorded(apiserver.Asker{}, store.Txn{Then: []store.Op{user}})
	if err == nil {
		_, err = m.node.Propose(ctx, p)
	}
	return err
}
