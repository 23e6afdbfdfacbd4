package kvstorage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

// fixedRoom is a room of so many bytes for each asker.
type fixedRoom struct {
	size int

	mu    sync.Mutex
	held  map[any]int
	most  int // of all together
	freed chan struct{}
}

type askerKey struct{}

func newFixedRoom(size int) *fixedRoom {
	return &fixedRoom{size: size, held: map[any]int{}, freed: make(chan struct{})}
}

func (r *fixedRoom) Now(ctx context.Context, n int) (func(), bool) {
	who := ctx.Value(askerKey{})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[who]+n > r.size {
		return nil, false
	}
	r.held[who] += n
	r.most = max(r.most, r.total())
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.held[who] -= n
		close(r.freed)
		r.freed = make(chan struct{})
	}, true
}

func (r *fixedRoom) total() (n int) {
	for _, held := range r.held {
		n += held
	}
	return n
}

func (r *fixedRoom) Wait(ctx context.Context, n int) (func(), error) {
	for {
		r.mu.Lock()
		freed := r.freed
		r.mu.Unlock()
		if giveBack, ok := r.Now(ctx, n); ok {
			return giveBack, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// large makes n pods of a MiB each.
func large(ctx context.Context, t *testing.T, s *Storage, n int) {
	t.Helper()
	for i := range n {
		p := pod(fmt.Sprintf("p%02d", i))
		p.Annotations = map[string]string{"text": strings.Repeat("x", 1<<20)}
		if err := s.Create(ctx, "/pods/n/"+p.Name, p, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// heap is what is in use.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what was put together of chunks is let go by the first
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func watchAll(ctx context.Context, t *testing.T, s *Storage, rev string) watch.Interface {
	t.Helper()
	w, err := s.Watch(ctx, "/pods", storage.ListOptions{ResourceVersion: rev, Recursive: true, Predicate: storage.Everything})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestThousandsOfStuckWatchersStayWithinTheirRoom(t *testing.T) {
	const (
		stuck   = 2000
		objects = 10
		bound   = 32 << 20
		others  = 40 << 10 // a watch's own: its goroutine, its channel
	)
	for name, from := range map[string]string{"with the initial events": "", "with what happens": "1"} {
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				ctx, s, _ := podStorage(t)
				room := newFixedRoom(bound)
				s.Audience = NewAudience(room)
				large(ctx, t, s, objects)
				before := heap()
				broken := context.WithValue(ctx, askerKey{}, "broken")
				watches := make([]watch.Interface, stuck)
				for i := range watches {
					watches[i] = watchAll(broken, t, s, from)
				}
				synctest.Wait()
				if kept := s.Audience.keptBytes(); room.most > bound || kept > maxKept {
					t.Errorf("%d bytes are under way and %d kept; %d and %d are the bounds", room.most, kept, bound, maxKept)
				}
				if grown := heap() - before; grown > bound+maxKept+stuck*others {
					t.Errorf("the heap has grown by %d MiB", grown>>20)
				}
				sound := watchAll(context.WithValue(ctx, askerKey{}, "sound"), t, s, from)
				for i := range objects {
					e := <-sound.ResultChan()
					for _, obj := range take(e.Object) { // it is one, as it is large
						if name := obj.(*example.Pod).Name; e.Type != watch.Added || name != fmt.Sprintf("p%02d", i) {
							t.Fatalf("got %s %s as event %d", e.Type, name, i)
						}
					}
				}
				sound.Stop()
				for _, w := range watches {
					w.Stop()
				}
				if left, kept := room.total(), s.Audience.keptBytes(); left != 0 || kept != 0 {
					t.Errorf("after all left, %d bytes are under way and %d kept", left, kept)
				}
			})
		})
	}
}

// keptBytes is what all objects weigh that are kept, with what they are encoded as.
func (a *Audience) keptBytes() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.kept {
		n += s.size
	}
	return n
}

func TestWhatIsKeptIsBoundedWithWhatItIsEncodedAs(t *testing.T) {
	const value, encoded = 10 << 10, 100 << 10
	a := NewAudience(nil)
	a.enter()
	for i := range 200 {
		s, err := a.see(sighting{key: fmt.Sprint(i)}, value, func() (apiruntime.Object, error) { return pod("a"), nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []apiruntime.Identifier{"json", "table"} {
			encode := func(_ apiruntime.Object, w io.Writer) error {
				_, err := w.Write(make([]byte, encoded))
				return err
			}
			if _, err := s.form(form, encode); err != nil {
				t.Fatal(err)
			}
		}
		if kept, all := a.keptBytes(), len(a.kept)*(weight(value)+2*encoded); kept != a.bytes || kept != all || kept > maxKept {
			t.Fatalf("%d bytes are kept, %d are counted, they are %d, %d may be", kept, a.bytes, all, maxKept)
		}
	}
	if len(a.kept) == 0 {
		t.Error("nothing is kept")
	}
	a.exit()
	if len(a.order) != 0 || len(a.kept) != 0 || a.bytes != 0 {
		t.Errorf("nobody watches, and %d of %d are kept, %d bytes counted", len(a.order), len(a.kept), a.bytes)
	}
}

func TestAnObjectIsDecodedOnceAndHoldsUpNoOther(t *testing.T) {
	a := NewAudience(nil)
	a.enter()
	defer a.exit()
	begun, decoding, decoded := make(chan struct{}), make(chan struct{}), 0
	slow := func() (apiruntime.Object, error) {
		decoded++
		close(begun)
		<-decoding
		return pod("slow"), nil
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if s, err := a.see(sighting{key: "slow"}, 1, slow); err != nil || s.Object.(*example.Pod).Name != "slow" {
				t.Errorf("%v %v", s, err)
			}
		})
	}
	<-begun
	if _, err := a.see(sighting{key: "other"}, 1, func() (apiruntime.Object, error) { return pod("other"), nil }); err != nil {
		t.Error(err)
	}
	close(decoding)
	all.Wait()
	if decoded != 1 {
		t.Errorf("it was decoded %d times", decoded)
	}
}

func TestAWatchThatFindsNoRoomSaysSo(t *testing.T) {
	ctx, s, _ := podStorage(t)
	s.Audience = NewAudience(noRoom{})
	large(ctx, t, s, 1)
	w := watchAll(ctx, t, s, "1")
	defer w.Stop()
	e := <-w.ResultChan()
	status, ok := e.Object.(*metav1.Status)
	if !ok || e.Type != watch.Error || !strings.Contains(status.Message, errNoRoom.Error()) {
		t.Errorf("got %s %v", e.Type, e.Object)
	}
}

type noRoom struct{}

var errNoRoom = errors.New("there is no room")

func (noRoom) Now(context.Context, int) (func(), bool)   { return nil, false }
func (noRoom) Wait(context.Context, int) (func(), error) { return nil, errNoRoom }

func TestManyChangesAreToldTogetherAndInOrder(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		ctx, s, _ := podStorage(t)
		w := watchAll(ctx, t, s, "1")
		defer w.Stop()
		change := func(name string) {
			t.Helper()
			if err := s.Create(ctx, "/pods/n/"+name, pod(name), nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		var want, got []string
		for i := range 60 {
			name := fmt.Sprintf("p%02d", i)
			change(name)
			want = append(want, "ADDED "+name)
			if i%20 == 10 {
				if err := s.Delete(ctx, "/pods/n/"+name, new(example.Pod), nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				want = append(want, "DELETED "+name)
			}
		}
		posts := 0
		for len(got) < len(want) {
			e := <-w.ResultChan()
			posts++
			for _, obj := range take(e.Object) {
				got = append(got, fmt.Sprintf("%s %s", e.Type, obj.(*example.Pod).Name))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("told, and not what happened:\n%s", diff)
		}
		if posts > len(want)/4 {
			t.Errorf("%d events were told one by one, %d times", len(want), posts)
		}
	})
}

func TestAChangeAfterARestIsToldAtOnceAndTheNextAfterABreath(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		ctx, s, _ := podStorage(t)
		w := watchAll(ctx, t, s, "1")
		defer w.Stop()
		for i, want := range []time.Duration{0, breath} {
			name := fmt.Sprintf("p%d", i)
			begun := time.Now()
			if err := s.Create(ctx, "/pods/n/"+name, pod(name), nil, 0); err != nil {
				t.Fatal(err)
			}
			take((<-w.ResultChan()).Object)
			if took := time.Since(begun); took != want {
				t.Errorf("change %d was told after %s", i, took)
			}
		}
	})
}
