package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestSeatsAreShared(t *testing.T) {
	fill := func(s *seats, who string) (n int) {
		for {
			if _, err := s.take(context.Background(), who, 1); err != nil {
				return n
			}
			n++
		}
	}
	s := newSeats(60, 0, 0)
	if ann, bob := fill(s, "ann"), fill(s, "bob"); ann != 30 || bob != 15 {
		t.Errorf("ann who was alone got %d of 60, bob who came then %d", ann, bob)
	}
	if cid := fill(s, "cid"); cid == 0 {
		t.Error("nothing is left for whoever comes next")
	}
}

func TestSeatsAreTakenAtOnceOrNotAtAll(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		s := newSeats(4, 8, time.Minute)
		giveBack, ok := s.now("ann", 2)
		if _, more := s.now("ann", 1); !ok || more {
			t.Errorf("of two asks, got %v and %v", ok, more)
		}
		waited := make(chan func(), 1)
		go func() {
			giveBack, _ := s.take(t.Context(), "ann", 2)
			waited <- giveBack
		}()
		synctest.Wait()
		if _, ok := s.now("ann", 0); ok || !s.wanted("ann") || s.wanted("bob") {
			t.Error("ann waits, and who waits comes first")
		}
		giveBack()
		(<-waited)()
		if s.free != 4 || len(s.askers) != 0 {
			t.Errorf("at the end %d of 4 are free, %d askers are known", s.free, len(s.askers))
		}
	})
}

func TestASeatThatIsGivenBackGoesToWhoHoldsLeast(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		s := newSeats(4, 8, time.Minute)
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		want := func(who string) {
			all.Go(func() {
				giveBack, err := s.take(t.Context(), who, 1)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, who)
				mu.Unlock()
				time.Sleep(time.Second)
				giveBack()
			})
			synctest.Wait()
		}
		for range 4 {
			want("ann") // two are seated, two wait
		}
		want("bob") // is seated: ann holds no more than her half
		want("bob") // waits
		mu.Lock()
		if got := strings.Join(order, " "); got != "ann ann bob" {
			t.Errorf("seated at once: %s", got)
		}
		mu.Unlock()
		all.Wait()
		if len(order) != 6 || s.free != 4 || len(s.askers) != 0 {
			t.Errorf("at the end %v were seated, %d of 4 seats are free, %d askers are known", order, s.free, len(s.askers))
		}
	})
}

func TestWhoWaitsForASeatIsNotHeldForEver(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		s := newSeats(2, 1, 5*time.Second)
		giveBack, err := s.take(t.Context(), "ann", 1)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := s.take(t.Context(), "ann", 1); !errors.Is(err, errNoSeat) || time.Since(begun) != 5*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.take(gone, "ann", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("one that has gone: %v", err)
		}
		giveBack()
		if s.free != 2 || len(s.askers) != 0 {
			t.Errorf("%d of 2 seats are free, %d askers are known", s.free, len(s.askers))
		}
	})
}

// Whatever is taken and given back: no seat is lost or made, nobody who could sit waits, and who sits found as many free
// as it holds.
func TestSeatsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const total = 12
		s := newSeats(total, 3, time.Hour)
		type held struct {
			who string
			w   *waiter
		}
		var all []held
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				h := held{rapid.SampledFrom([]string{"ann", "bob", "cid"}).Draw(t, "who"), &waiter{seats: rapid.IntRange(1, 5).Draw(t, "n"), taken: make(chan struct{})}}
				if s.line(h.who, h.w) {
					all = append(all, h)
				}
			},
			"end": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("nobody is there")
				}
				i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
				s.leave(all[i].who, all[i].w) // gives back what it has, or leaves the line
				all = append(all[:i:i], all[i+1:]...)
			},
			"": func(t *rapid.T) {
				used := 0
				for who, a := range s.askers {
					used += a.held
					if len(a.waiting) > 0 && s.fits(a, a.waiting[0]) {
						t.Errorf("%s waits, and could sit", who)
					}
					if a.held == 0 && len(a.waiting) == 0 {
						t.Errorf("%s is remembered for nothing", who)
					}
				}
				if used+s.free != total || s.free < 0 {
					t.Errorf("%d seats are held and %d free, of %d", used, s.free, total)
				}
			},
		})
	})
}

func TestAFloodLeavesRoomForOthers(t *testing.T) {
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	var stuck sync.WaitGroup
	stuck.Add(writeSeats / 2)
	l := start(t, nil)
	l.Before = func(txn store.Txn) {
		if strings.Contains(txn.Then[0].Key, "flood") {
			stuck.Done()
			<-release
		}
	}
	bot := l.user(t, "bot", v1alpha1.RoleOperator)
	flood, answers := httpClient(t, bot), make(chan *http.Response, 512)
	if resp, err := flood.Get(bot.Host + "/readyz"); err != nil || resp.StatusCode != http.StatusOK { // its connection is there before
		t.Fatal(err, resp)
	}
	var all sync.WaitGroup
	post := func(i int) {
		body := fmt.Sprintf(`{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Bundle","metadata":{"name":"flood-%d"}}`, i)
		resp, err := flood.Post(bot.Host+"/apis/fleet.hanse.dev/v1alpha1/bundles", "application/json", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
		answers <- resp
	}
	const tooMany = 40
	for i := range writeSeats/2 + maxWaiting + tooMany {
		all.Go(func() { post(i) })
	}
	stuck.Wait() // the bot has its half, and as many wait as may
	for range tooMany {
		if resp := <-answers; resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" {
			t.Fatalf("too many: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
		}
	}
	if _, err := client(t, l.user(t, "ann", v1alpha1.RoleOperator), "bundles").Create(t.Context(), bundle("calm"), metav1.CreateOptions{}); err != nil {
		t.Errorf("another's write: %v", err)
	}
	for _, path := range []string{"/readyz", "/livez"} {
		if resp, err := flood.Get(bot.Host + path); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %v %v", path, resp, err)
		}
	}
	stuck.Add(maxWaiting)
	letGo()
	all.Wait()
}

func TestABodyTakesSeatsByItsSize(t *testing.T) {
	for length, want := range map[int64]int{0: 1, 1: 1, bytesPerSeat: 1, bytesPerSeat + 1: 2, maxBody: 8, -1: 8, 1 << 40: 8} {
		if got := width(length); got != want || got > writeSeats/2 {
			t.Errorf("%d bytes take %d seats, want %d", length, got, want)
		}
	}
}
