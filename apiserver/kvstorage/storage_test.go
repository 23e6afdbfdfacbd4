package kvstorage

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/storage"

	"github.com/hanse-fleet/hanse/apiserver/internal/onemember"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

// follower is a store whose local state stays behind until somebody reads.
type follower struct {
	*onemember.Store
	local atomic.Pointer[store.View]
}

func newFollower(s *onemember.Store) *follower {
	f := &follower{Store: s}
	f.local.Store(s.View())
	return f
}

func (f *follower) View() *store.View { return f.local.Load() }

func (f *follower) Read(ctx context.Context) (store.Revision, error) {
	rev, err := f.Store.Read(ctx)
	if err == nil {
		f.local.Store(f.Store.View())
	}
	return rev, err
}

func pod(name string) *example.Pod {
	return &example.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n"}}
}

// behind is a storage over a follower that has not heard of the pod at /pods/n/a yet, and that pod.
func behind(t *testing.T) (context.Context, *Storage, *follower, *example.Pod) {
	t.Helper()
	ctx, s, one := podStorage(t)
	f := newFollower(one)
	made := &example.Pod{}
	if err := s.Create(ctx, "/pods/n/a", pod("a"), made, 0); err != nil {
		t.Fatal(err)
	}
	s.Store = f
	return ctx, s, f, made
}

func TestAMemberThatIsBehindCatchesUpBeforeItRefuses(t *testing.T) {
	relabel := func(in runtime.Object, _ storage.ResponseMeta) (runtime.Object, *uint64, error) {
		in.(*example.Pod).Labels = map[string]string{"new": "label"}
		return in, nil, nil
	}
	t.Run("an update of what it does not have yet", func(t *testing.T) {
		ctx, s, _, made := behind(t)
		out := &example.Pod{}
		only := &storage.Preconditions{ResourceVersion: &made.ResourceVersion}
		if err := s.GuaranteedUpdate(ctx, "/pods/n/a", out, false, only, relabel, nil); err != nil || out.Labels["new"] != "label" {
			t.Errorf("%v, %v", err, out.Labels)
		}
	})
	t.Run("a delete of what it does not have yet", func(t *testing.T) {
		ctx, s, f, _ := behind(t)
		if err := s.Delete(ctx, "/pods/n/a", &example.Pod{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		if _, there := f.Store.View().Get("/pods/n/a"); there {
			t.Error("it is still there")
		}
	})
	t.Run("an update that seems to change nothing", func(t *testing.T) {
		ctx, s, f, _ := behind(t)
		if _, err := f.Read(ctx); err != nil { // now it has the pod, without the label
			t.Fatal(err)
		}
		other := &Storage{Config: s.Config}
		other.Store = f.Store
		if err := other.GuaranteedUpdate(ctx, "/pods/n/a", &example.Pod{}, false, nil, relabel, nil); err != nil {
			t.Fatal(err)
		}
		out := &example.Pod{}
		unlabel := func(in runtime.Object, _ storage.ResponseMeta) (runtime.Object, *uint64, error) {
			in.(*example.Pod).Labels = nil
			return in, nil, nil
		}
		if err := s.GuaranteedUpdate(ctx, "/pods/n/a", out, false, nil, unlabel, nil); err != nil || out.Labels != nil {
			t.Errorf("%v, %v", err, out.Labels)
		}
		if kv, _ := f.Store.View().Get("/pods/n/a"); errors.Is(s.decode(kv.Value, kv.Modified, out), nil) && out.Labels != nil {
			t.Error("the label of the other is still there: the update was not made")
		}
	})
	t.Run("a delete of what is nowhere", func(t *testing.T) {
		ctx, s, _, _ := behind(t)
		err := s.Delete(ctx, "/pods/n/b", &example.Pod{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
		if !storage.IsNotFound(err) {
			t.Error(err)
		}
	})
}

func TestReadsOfAMemberThatIsBehind(t *testing.T) {
	get := func(ctx context.Context, s *Storage, rev string) error {
		return s.Get(ctx, "/pods/n/a", storage.GetOptions{ResourceVersion: rev}, &example.Pod{})
	}
	ctx, s, _, made := behind(t)
	if err := get(ctx, s, "0"); !storage.IsNotFound(err) {
		t.Errorf("whatever is here: %v", err)
	}
	if err := get(ctx, s, ""); err != nil {
		t.Errorf("all that was acknowledged: %v", err)
	}
	if err := get(ctx, s, made.ResourceVersion); err != nil {
		t.Errorf("not older than itself: %v", err)
	}
	if err := get(ctx, s, "999"); !storage.IsTooLargeResourceVersion(err) {
		t.Errorf("the future: %v", err)
	}
}

func TestAReadThatServesAWriteNeedsQuorum(t *testing.T) {
	ctx, s, f := podStorage(t)
	f.Fail(store.ErrNoQuorum)
	err := s.Get(ctx, "/pods/n/a", storage.GetOptions{}, &example.Pod{})
	if !apierrors.IsServiceUnavailable(err) || !apierrors.HasStatusCause(err, CauseNotKnown) {
		t.Errorf("a read of what may be elsewhere: %v", err)
	}
	if err := s.Get(ctx, "/pods/n/a", storage.GetOptions{ResourceVersion: "0"}, &example.Pod{}); !storage.IsNotFound(err) {
		t.Errorf("a read of whatever is here: %v", err)
	}
	ctx = apirequest.WithRequestInfo(ctx, &apirequest.RequestInfo{IsResourceRequest: true, Verb: "delete"})
	err = s.Get(ctx, "/pods/n/a", storage.GetOptions{}, &example.Pod{})
	if !apierrors.IsServiceUnavailable(err) || !apierrors.HasStatusCause(err, CauseNoQuorum) {
		t.Errorf("the read of a delete: %v", err)
	}
}

func TestRefusalsOfTheStoreReachThePerson(t *testing.T) {
	for what, row := range map[string]struct {
		err error
		is  func(error) bool
	}{
		"forbidden":          {&store.Forbidden{Reason: "role Viewer"}, apierrors.IsForbidden},
		"invalid":            {&store.Invalid{Reason: "too long"}, apierrors.IsBadRequest},
		"no quorum":          {store.ErrNoQuorum, apierrors.IsServiceUnavailable},
		"uncertain":          {store.ErrUncertain, apierrors.IsTimeout},
		"no answer in time":  {context.DeadlineExceeded, apierrors.IsTimeout},
		"something else yet": {errors.New("disk on fire"), func(err error) bool { return err != nil }},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, s, f := podStorage(t)
			f.Fail(row.err)
			if err := s.Create(ctx, "/pods/n/a", pod("a"), nil, 0); !row.is(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAWatcherThatFallsBehindIsExpired(t *testing.T) {
	ctx, s, f := podStorage(t)
	w, err := taking{s}.Watch(ctx, "/pods", storage.ListOptions{ResourceVersion: "1", Recursive: true, Predicate: storage.Everything})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	var earlier bytes.Buffer
	if _, err := f.Snapshot().WriteTo(&earlier); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(ctx, "/pods/n/a", pod("a"), nil, 0); err != nil {
		t.Fatal(err)
	}
	if e := <-w.ResultChan(); e.Type != watch.Added {
		t.Fatalf("got %s %v", e.Type, e.Object)
	}
	if err := f.Restore(&earlier); err != nil { // as a snapshot from the leader does
		t.Fatal(err)
	}
	e := <-w.ResultChan()
	if e.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(e.Object)) {
		t.Errorf("got %s %v", e.Type, e.Object)
	}
	if _, more := <-w.ResultChan(); more {
		t.Error("the watch goes on")
	}
}

// lost is a store that cannot reach the others: what is proposed there waits for them.
type lost struct {
	*onemember.Store
	away     bool
	proposed int
}

func (l *lost) Read(ctx context.Context) (store.Revision, error) {
	if !l.away {
		return l.Store.Read(ctx)
	}
	<-ctx.Done()
	return 0, store.ErrNoQuorum
}

func (l *lost) Propose(ctx context.Context, person string, txn store.Txn) (store.Result, error) {
	l.proposed++
	if !l.away {
		return l.Store.Propose(ctx, person, txn)
	}
	<-ctx.Done()
	return store.Result{}, store.ErrNoQuorum
}

func TestAWriteWithoutQuorumIsRefusedSoonOnceThatIsKnown(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		ctx, s, one := podStorage(t)
		l := &lost{Store: one, away: true}
		s.Store = l
		create := func(name string) (time.Duration, error) {
			began := time.Now()
			err := s.Create(ctx, "/pods/n/"+name, pod(name), nil, 0)
			return time.Since(began), err
		}
		if took, err := create("first"); !apierrors.HasStatusCause(err, CauseNoQuorum) || took != s.Timing.Write {
			t.Errorf("when nobody knows yet: %v after %s", err, took)
		}
		took, err := create("second")
		if !apierrors.HasStatusCause(err, CauseNoQuorum) || took > s.Timing.Read || l.proposed != 1 {
			t.Errorf("once it is known: %v after %s, %d proposed", err, took, l.proposed)
		}
		l.away = false
		if took, err := create("third"); err != nil || took != 0 || l.proposed != 2 {
			t.Errorf("when the others are back: %v after %s", err, took)
		}
	})
}

// busyBeside is a storage whose companion wants nothing under /busy/ to change; what is told at each attempt says whether something does.
func busyBeside(t *testing.T, changes func() bool) (context.Context, *Storage) {
	ctx, s, one := podStorage(t)
	s.Companion = func(v *store.View, _ Write) ([]store.Condition, []store.Op, error) {
		return []store.Condition{store.PrefixUnchanged("/busy/", v.Revision())}, nil, nil
	}
	one.Before = func(store.Txn) {
		if changes() {
			one.Put("/busy/x", "")
		}
	}
	return ctx, s
}

func TestAWriteGivesWayLongerEachTimeThatOthersAreFaster(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		var at []time.Time
		ctx, s := busyBeside(t, func() bool { at = append(at, time.Now()); return len(at) < 10 })
		if err := s.Create(ctx, "/pods/n/a", pod("a"), nil, 0); err != nil || len(at) != 10 {
			t.Fatalf("%v after %d attempts", err, len(at))
		}
		for i, longest := 1, firstPause; i < len(at); i, longest = i+1, min(2*longest, lastPause) {
			if gap := at[i].Sub(at[i-1]); gap < longest/2 || gap > longest {
				t.Errorf("attempt %d came after %s, not after %s to %s", i+1, gap, longest/2, longest)
			}
		}
	})
}

func TestAWriteGivesWayNoLongerThanAnybodyWaitsForIt(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		ctx, s := busyBeside(t, func() bool { return true })
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		began := time.Now()
		err := s.Create(ctx, "/pods/n/a", pod("a"), nil, 0)
		if took := time.Since(began); !storage.IsRequestTimeout(err) && !apierrors.IsTimeout(err) || took != 20*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// What cannot be read is no reason to tell of the rest as if it were all: who misses an object takes it for deleted.
func TestOneValueThatCannotBeReadIsNamedByAllThatWouldTellOfIt(t *testing.T) {
	ctx, s, f := podStorage(t)
	all := storage.ListOptions{Recursive: true, Predicate: storage.Everything}
	w, err := taking{s}.Watch(ctx, "/pods", storage.ListOptions{ResourceVersion: "1", Recursive: true, Predicate: storage.Everything})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if err := s.Create(ctx, "/pods/n/a", pod("a"), nil, 0); err != nil {
		t.Fatal(err)
	}
	f.Put("/pods/n/broken", "{")
	if e := <-w.ResultChan(); e.Type != watch.Added {
		t.Errorf("before it, the watch tells of %v", e)
	}
	told := apierrors.FromObject((<-w.ResultChan()).Object)
	for name, err := range map[string]error{
		"list": s.GetList(ctx, "/pods", all, &example.PodList{}), "get": s.Get(ctx, "/pods/n/broken", storage.GetOptions{}, &example.Pod{}), "watch": told,
	} {
		if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), `"n/broken" cannot be read`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Get(ctx, "/pods/n/a", storage.GetOptions{}, &example.Pod{}); err != nil {
		t.Errorf("others are not told: %v", err)
	}
}
