package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

// fleet is members whose streams are pipes, in virtual time.
type fleet struct {
	*testing.T
	hubs map[string]*Hub
	mu   sync.Mutex
	// opened are the streams of each pair, "a>b"; one that is nil is dead: it can be opened, and nobody answers.
	opened map[string]int
	cut    map[string]bool
	dead   map[string]bool
}

// inFleet runs a test with some members, each of which serves as echo does, and relays for each in the order given.
func inFleet(t *testing.T, limits Limits, do func(*fleet), ids ...string) {
	virtual.Test(t, func(t *testing.T) {
		f := &fleet{T: t, hubs: map[string]*Hub{}, opened: map[string]int{}, cut: map[string]bool{}, dead: map[string]bool{}}
		var echoes sync.WaitGroup
		for _, id := range ids {
			h := New(Config{Self: id, Limits: limits, Open: f.open(id), Relays: func(to string) (list []string) {
				for _, other := range ids {
					if other != id && other != to {
						list = append(list, other)
					}
				}
				return list
			}})
			f.hubs[id] = h
			echoes.Go(func() { echo(id, h.Listener()) })
		}
		do(f)
		for _, h := range f.hubs {
			h.Close()
		}
		echoes.Wait()
	})
}

// echo says its name to every connection and then what it hears.
func echo(name string, l net.Listener) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer c.Close()
			io.WriteString(c, name)
			io.Copy(c, c)
		})
	}
}

func (f *fleet) open(from string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, to string) (net.Conn, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.opened[from+">"+to]++
		if f.cut[from+">"+to] {
			return nil, errors.New("cut")
		}
		near, far := net.Pipe()
		if !f.dead[to] && !f.dead[from+">"+to] {
			go f.hubs[to].Serve(from, far)
		}
		return near, nil
	}
}

// reach carries a connection of a person to a member and returns the person's end, after the member has said its name.
func (f *fleet) reach(ctx context.Context, from, person, to string) (net.Conn, <-chan error) {
	f.Helper()
	tunnel, err := f.hubs[from].Begin(ctx, person, to)
	if err != nil {
		f.Fatalf("from %s to %s: %v", from, to, err)
	}
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- tunnel.Carry(ctx, far) }()
	name := make([]byte, len(to))
	if _, err := io.ReadFull(near, name); err != nil || string(name) != to {
		f.Fatalf("from %s to %s: %q answered, %v", from, to, name, err)
	}
	return near, ended
}

func (f *fleet) echoes(c net.Conn, word string) {
	f.Helper()
	got := make([]byte, len(word))
	if _, err := io.WriteString(c, word); err != nil {
		f.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || string(got) != word {
		f.Fatalf("%q came back, %v", got, err)
	}
}

func TestAPersonReaches(t *testing.T) {
	ways := map[string]struct {
		to  string
		cut []string
	}{
		"the member that was asked":                  {to: "a"},
		"another member":                             {to: "c"},
		"a member that only a third one can reach":   {to: "c", cut: []string{"a>c", "b>c"}},
		"a member that the first third cannot reach": {to: "c", cut: []string{"a>c", "a>b"}},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			inFleet(t, DefaultLimits(), func(f *fleet) {
				for _, c := range way.cut {
					f.cut[c] = true
				}
				c, ended := f.reach(f.Context(), "a", "anna", way.to)
				f.echoes(c, "hello")
				c.Close()
				<-ended
			}, "a", "b", "c", "d")
		})
	}
}

func TestAWayHasOneMemberBetweenAtMost(t *testing.T) {
	inFleet(t, DefaultLimits(), func(f *fleet) {
		for _, c := range []string{"a>c", "b>c"} {
			f.cut[c] = true
		}
		f.cut["a>d"] = true // only b can be asked, and b would have to ask d
		if _, err := f.hubs["a"].Begin(f.Context(), "anna", "c"); !errors.Is(err, ErrUnreachable) {
			f.Errorf("%v, want %v", err, ErrUnreachable)
		}
		if n := f.opened["b>d"]; n != 0 {
			f.Errorf("b asked d %d times", n)
		}
	}, "a", "b", "c", "d")
}

func TestAMemberThatDoesNotAnswerIsGivenUpInTime(t *testing.T) {
	inFleet(t, DefaultLimits(), func(f *fleet) {
		f.dead["b"] = true
		begun := time.Now()
		_, err := f.hubs["a"].Begin(f.Context(), "anna", "b")
		if took := time.Since(begun); !errors.Is(err, ErrUnreachable) || took > DefaultLimits().Find {
			f.Errorf("%v after %s", err, took)
		}
	}, "a", "b", "c")
}

func TestAnotherIsAskedBesideOneThatDoesNotAnswer(t *testing.T) {
	inFleet(t, DefaultLimits(), func(f *fleet) {
		f.dead["a>c"] = true // b reaches c
		begun := time.Now()
		c, ended := f.reach(f.Context(), "a", "anna", "c")
		if took := time.Since(begun); took > 2*DefaultLimits().Next {
			f.Errorf("after %s", took)
		}
		c.Close()
		<-ended
	}, "a", "b", "c")
}

func TestAStrangeNameIsNoMember(t *testing.T) {
	inFleet(t, DefaultLimits(), func(f *fleet) {
		if _, err := f.hubs["a"].Begin(f.Context(), "anna", "../b"); err == nil {
			f.Error("it was looked for")
		}
	}, "a", "b")
}

func TestOnesTunnelsAreBounded(t *testing.T) {
	limits := DefaultLimits()
	limits.PerPerson, limits.PerMember = 3, 4
	inFleet(t, limits, func(f *fleet) {
		var open []net.Conn
		for range limits.PerPerson {
			c, _ := f.reach(f.Context(), "a", "anna", "b")
			open = append(open, c)
		}
		if _, err := f.hubs["a"].Begin(f.Context(), "anna", "b"); !errors.Is(err, ErrBusy) {
			f.Errorf("one more of a person: %v, want %v", err, ErrBusy)
		}
		c, _ := f.reach(f.Context(), "a", "berta", "b")
		open = append(open, c)
		if _, err := f.hubs["a"].Begin(f.Context(), "berta", "b"); !errors.Is(err, ErrBusy) {
			f.Errorf("one more of a member: %v, want %v", err, ErrBusy)
		}
		for _, c := range open {
			c.Close()
		}
		synctest.Wait()
		c, _ = f.reach(f.Context(), "a", "anna", "b")
		c.Close()
	}, "a", "b")
}

// A member that is passed on for may not take all that a connection to a third one carries.
func TestWhatIsPassedOnLeavesRoomForOnesOwnPeople(t *testing.T) {
	limits := DefaultLimits()
	limits.RelayedFor, limits.Relayed, limits.PersonTo = 2, 3, 2
	inFleet(t, limits, func(f *fleet) {
		f.cut["a>x"], f.cut["b>x"], f.cut["a>b"], f.cut["b>a"] = true, true, true, true
		for _, step := range []struct {
			from, person string
			want         error
		}{
			{"a", "anna", nil}, {"a", "anton", nil}, {"a", "adam", ErrBusy}, // so many for a
			{"b", "berta", nil}, {"b", "bruno", ErrBusy}, // so many for all
			{"r", "rosa", nil}, {"r", "rosa", nil}, {"r", "rosa", ErrBusy}, {"r", "rolf", nil}, // and r's own have theirs
		} {
			tunnel, err := f.hubs[step.from].Begin(f.Context(), step.person, "x")
			if err == nil {
				defer tunnel.Close()
			}
			if !errors.Is(err, step.want) {
				f.Errorf("%s of %s: %v, want %v", step.person, step.from, err, step.want)
			}
		}
	}, "a", "b", "r", "x")
}

func TestATunnelEnds(t *testing.T) {
	ends := map[string]func(f *fleet, near net.Conn, cancel context.CancelFunc){
		"at once when the person may no more": func(_ *fleet, _ net.Conn, cancel context.CancelFunc) { cancel() },
		"at once when the first member stops": func(f *fleet, _ net.Conn, _ context.CancelFunc) { go f.hubs["a"].Close() },
		"at once when the last member stops":  func(f *fleet, _ net.Conn, _ context.CancelFunc) { go f.hubs["b"].Close() },
		"when nothing passes for long": func(*fleet, net.Conn, context.CancelFunc) {
			time.Sleep(DefaultLimits().Idle)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inFleet(t, DefaultLimits(), func(f *fleet) {
				ctx, cancel := context.WithCancel(f.Context())
				defer cancel()
				near, ended := f.reach(ctx, "a", "anna", "b")
				time.Sleep(DefaultLimits().Idle - time.Second)
				f.echoes(near, "still here")
				end(f, near, cancel)
				synctest.Wait()
				select {
				case <-ended:
				default:
					f.Error("it goes on")
				}
				if _, err := near.Read(make([]byte, 1)); err == nil {
					f.Error("the person still reads")
				}
			}, "a", "b")
		})
	}
}

func TestWhatPassesOneWayKeepsATunnel(t *testing.T) {
	inFleet(t, DefaultLimits(), func(f *fleet) {
		near, ended := f.reach(f.Context(), "a", "anna", "b")
		for range 5 {
			time.Sleep(DefaultLimits().Idle * 2 / 3)
			f.echoes(near, "x")
		}
		near.Close()
		<-ended
	}, "a", "b")
}

func TestBytesDoNotPileUp(t *testing.T) {
	inFleet(t, DefaultLimits(), func(f *fleet) {
		near, ended := f.reach(f.Context(), "a", "anna", "b")
		sent := make(chan int)
		go func() {
			n := 0
			for chunk := make([]byte, 1<<10); ; n++ {
				if _, err := near.Write(chunk); err != nil {
					break
				}
			}
			sent <- n << 10
		}()
		synctest.Wait() // what comes back is not read, so it stops
		near.Close()
		<-ended
		if n := <-sent; n > 4*buffer {
			f.Errorf("%d bytes were taken of one who does not read", n)
		}
	}, "a", "b")
}

func TestAMemberThatSaysNothingHoldsNoPlace(t *testing.T) {
	limits := DefaultLimits()
	inFleet(t, limits, func(f *fleet) {
		near, far := net.Pipe()
		served := make(chan struct{})
		go func() { f.hubs["b"].Serve("a", far); close(served) }()
		time.Sleep(limits.Try)
		synctest.Wait()
		select {
		case <-served:
		default:
			f.Error("it is still waited for")
		}
		near.Close()
	}, "a", "b")
}
