package consensus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestNextChange(t *testing.T) {
	// servers: upper case votes, lower case does not. dead members are not in contact.
	tests := []struct {
		name                           string
		self, servers, members, wanted string
		standbys                       string
		dead                           string
		want                           string
	}{
		{name: "nothing to do", self: "a", servers: "ABCd", members: "abcde", wanted: "abc", standbys: "d"},
		{name: "a standby comes in without a vote", self: "a", servers: "A", members: "abc", wanted: "a", standbys: "b", want: "add b"},
		{name: "so does who is to vote", self: "a", servers: "A", members: "ab", wanted: "ab", want: "add b"},
		{name: "they come in before voters change", self: "a", servers: "Ab", members: "abc", wanted: "ab", standbys: "c", want: "add c"},
		{name: "all others follow, and stay out", self: "a", servers: "A", members: "abc", wanted: "a"},
		{name: "a standby that is not wanted goes out", self: "a", servers: "ABCd", members: "abcde", wanted: "abc", standbys: "e", want: "add e"},
		{name: "when the other one is in", self: "a", servers: "ABCde", members: "abcde", wanted: "abc", standbys: "e", want: "remove d"},
		{name: "a voter goes out by way of being a standby", self: "a", servers: "ABCD", members: "abcd", wanted: "abc", want: "demote d"},
		{name: "fewer vote than should: promote", self: "a", servers: "Abc", members: "abc", wanted: "abc", want: "promote b"},
		{name: "and the next one", self: "a", servers: "ABc", members: "abc", wanted: "abc", want: "promote c"},
		{name: "who is not stable waits", self: "a", servers: "Abc", members: "abc", wanted: "abc", dead: "b", want: "promote c"},
		{name: "the new voter is promoted before the old one is demoted", self: "a", servers: "ABCd", members: "abcd", wanted: "abd", standbys: "c", want: "promote d"},
		{name: "then the old one is demoted", self: "a", servers: "ABCD", members: "abcd", wanted: "abd", standbys: "c", want: "demote c"},
		{name: "but not for one that is not ready", self: "a", servers: "ABCd", members: "abcd", wanted: "abd", standbys: "c", dead: "d"},
		{name: "before another one is promoted", self: "a", servers: "ABCDe", members: "abcde", wanted: "ade", standbys: "bc", want: "demote b"},
		{name: "a dead voter is demoted before anybody is promoted", self: "a", servers: "ABCd", members: "abcd", wanted: "abd", standbys: "c", dead: "c", want: "demote c"},
		{name: "where there is none, the new one is promoted", self: "a", servers: "ABcd", members: "abcd", wanted: "abd", standbys: "c", want: "promote d"},
		{name: "a dead voter is demoted", self: "a", servers: "ABCd", members: "abcd", wanted: "abd", dead: "c", want: "demote c"},
		{name: "nobody is demoted when those who stay could not decide", self: "a", servers: "ABC", members: "abc", wanted: "ab", dead: "b"},
		{name: "a removed voter is demoted first", self: "a", servers: "ABC", members: "ab", wanted: "ab", want: "demote c"},
		{name: "and then removed", self: "a", servers: "ABc", members: "ab", wanted: "ab", want: "remove c"},
		{name: "a removed member without a vote is removed", self: "a", servers: "Ab", members: "a", wanted: "a", want: "remove b"},
		{name: "a leader that is not to vote hands over last", self: "a", servers: "ABC", members: "abc", wanted: "bc", want: "transfer to b"},
		{name: "a removed leader hands over", self: "a", servers: "ABC", members: "bc", wanted: "bc", want: "transfer to b"},
		{name: "before it changes anything else", self: "a", servers: "ABCd", members: "bcd", wanted: "bd", standbys: "c", want: "transfer to b"},
		{name: "only to a voter that is there", self: "a", servers: "ABC", members: "bc", wanted: "bc", dead: "b", want: "transfer to c"},
		{name: "and rather to one that stays", self: "a", servers: "ABC", members: "bc", wanted: "c", want: "transfer to c"},
		{name: "a removed lone voter first gets a successor", self: "a", servers: "Ab", members: "b", wanted: "b", want: "promote b"},
		{name: "nobody wanted: voters stay as they are", self: "a", servers: "ABC", members: "abc", wanted: ""},
		{name: "a newcomer does not wait for a dead voter", self: "a", servers: "ABC", members: "abcd", wanted: "abc", standbys: "d", dead: "c", want: "add d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			there := func(id MemberID) bool { return !strings.Contains(tt.dead, string(id)) }
			c := configuration{
				self: MemberID(tt.self), servers: map[MemberID]bool{}, members: split(tt.members),
				wanted: split(tt.wanted), standbys: split(tt.standbys), alive: there, ready: there,
			}
			for _, s := range tt.servers {
				c.servers[MemberID(strings.ToLower(string(s)))] = s < 'a'
			}
			got := ""
			if ch := c.nextChange(); ch.action != changeNone {
				got = ch.String()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func split(s string) (ids []MemberID) {
	for _, r := range s {
		ids = append(ids, MemberID(r))
	}
	return ids
}

func TestEligibleVoters(t *testing.T) {
	// v votes, s is stable, x is neither; upper case is eligible.
	for candidates, want := range map[string]string{"V": "0", "VS": "0", "VSS": "012", "VSX": "0", "VVSS": "012", "VVVS": "012", "Vss": "0", "VVV": "012"} {
		var all []Candidate
		for i, r := range candidates {
			all = append(all, Candidate{
				ID: MemberID(fmt.Sprint(i)), Eligible: r < 'a', Voter: r == 'V' || r == 'v', Stable: r != 'X' && r != 'x',
			})
		}
		if got := EligibleVoters(3)(all).Voters; !slices.Equal(got, split(want)) {
			t.Errorf("%s: got %v, want %s", candidates, got, want)
		}
	}
}

func TestStandingBy(t *testing.T) {
	// v votes, n stands by, S is stable in raft without a vote, x is not in raft; - is not eligible.
	for candidates, want := range map[string]string{
		"Vxxxx": "123", "VSSxx": "12", "VnSxx": "213", "VnnxS": "412", "VSnSx": "13", "V-xxx": "234", "V": "", "Vx": "1",
	} {
		var all []Candidate
		for i, r := range candidates {
			all = append(all, Candidate{
				ID: MemberID(fmt.Sprint(i)), Eligible: r != '-', Voter: r == 'V', Standby: r == 'n' || r == 'S', Stable: r == 'V' || r == 'S',
			})
		}
		if got := standingBy(all, split("0")); !slices.Equal(got, split(want)) {
			t.Errorf("%s: got %v, want %s", candidates, got, want)
		}
	}
}

func TestRounds(t *testing.T) {
	t.Run("whoever comes while one runs shares the next", func(t *testing.T) {
		virtual.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			runs := 0
			b := newRounds(func() (int, error) { runs++; time.Sleep(time.Second); return runs, nil })
			var wg sync.WaitGroup
			wg.Go(func() { b.routine(ctx) })
			var readers sync.WaitGroup
			ended := make([]time.Duration, 50)
			start := time.Now()
			for i := range ended {
				readers.Go(func() {
					if i > 0 {
						time.Sleep(time.Duration(i) * time.Millisecond)
					}
					b.wait(ctx)
					ended[i] = time.Since(start)
				})
			}
			readers.Wait()
			if runs != 2 {
				t.Errorf("%d rounds for 50 readers", runs)
			}
			for i, at := range ended[1:] {
				if at != 2*time.Second {
					t.Errorf("reader %d was answered after %s, by a round that began before it came", i+1, at)
				}
			}
			cancel()
			wg.Wait()
		})
	})
}

func TestConfirm(t *testing.T) {
	// answer is what a voter's latest answer says: in which term, to what of which time.
	type answer struct{ term, asked uint64 }
	const term, begun = 7, 100
	for name, tt := range map[string]struct {
		servers map[MemberID]bool
		answers map[MemberID]answer
		want    bool
	}{
		"alone":                               {map[MemberID]bool{"a": true}, nil, true},
		"nobody has answered":                 {map[MemberID]bool{"a": true, "b": true, "c": true}, nil, false},
		"one of two others":                   {map[MemberID]bool{"a": true, "b": true, "c": true}, map[MemberID]answer{"b": {term, 101}}, true},
		"one of two others, to older things":  {map[MemberID]bool{"a": true, "b": true, "c": true}, map[MemberID]answer{"b": {term, 99}}, false},
		"one of two others, in an older term": {map[MemberID]bool{"a": true, "b": true, "c": true}, map[MemberID]answer{"b": {term - 1, 101}}, false},
		"those that do not vote":              {map[MemberID]bool{"a": true, "b": true, "c": true, "d": false, "e": false}, map[MemberID]answer{"d": {term, 101}, "e": {term, 101}}, false},
		"half of four":                        {map[MemberID]bool{"a": true, "b": true, "c": true, "d": true}, map[MemberID]answer{"b": {term, 101}}, false},
		"a leader that does not vote":         {map[MemberID]bool{"a": false, "b": true, "c": true}, map[MemberID]answer{"b": {term, 101}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := &Node{cfg: Config{ID: "a"}, transport: &transport{}}
			n.transport.mu.links = map[MemberID]*link{}
			for id, a := range tt.answers {
				l := &link{}
				l.progress.term, l.progress.asked = a.term, a.asked
				n.transport.mu.links[id] = l
			}
			if got := n.confirmedSince(tt.servers, term, begun); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	boom := errors.New("boom")
	newOne := func() (*guard, *[]error) {
		var fatal []error
		g := newGuard(time.Second, func(err error) { fatal = append(fatal, err) })
		return g, &fatal
	}
	t.Run("before raft runs an error is returned, and is fatal once", func(t *testing.T) {
		g, fatal := newOne()
		for range 3 {
			if err := g.do("write", func() error { return boom }); !errors.Is(err, errDisk) {
				t.Errorf("got %v", err)
			}
		}
		if len(*fatal) != 1 || !errors.Is((*fatal)[0], boom) {
			t.Errorf("fatal: %v", *fatal)
		}
	})
	t.Run("after an error nothing touches the disk again", func(t *testing.T) {
		g, _ := newOne()
		g.do("write", func() error { return boom })
		g.do("write", func() error { t.Error("touched"); return nil })
	})
	t.Run("raft's goroutine does not survive an error", func(t *testing.T) {
		g, _ := newOne()
		g.running.Store(true)
		cleaned := make(chan bool, 1)
		go func() {
			survived := false
			defer func() { cleaned <- survived }()
			g.do("write", func() error { return boom })
			survived = true
		}()
		if <-cleaned {
			t.Error("it went on")
		}
	})
	t.Run("nor a stall, even when the write succeeds in the end", func(t *testing.T) {
		virtual.Test(t, func(t *testing.T) {
			g, fatal := newOne()
			g.running.Store(true)
			done := make(chan struct{})
			go func() {
				defer close(done)
				g.do("write", func() error { time.Sleep(3 * time.Second); return nil })
				t.Error("it went on")
			}()
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			if len(*fatal) != 1 {
				t.Error("not fatal within the bound")
			}
			<-done
		})
	})
	t.Run("what is merely not found is no fault", func(t *testing.T) {
		g, fatal := newOne()
		if err := g.do("read", func() error { return raft.ErrLogNotFound }); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("got %v", err)
		}
		if err := g.do("read", func() error { return errors.New("not found") }); err == nil || len(*fatal) > 0 {
			t.Errorf("got %v, fatal %v", err, *fatal)
		}
	})
}

func TestSequence(t *testing.T) {
	t.Run("it never goes back, whatever the clock does", func(t *testing.T) {
		virtual.Test(t, func(t *testing.T) {
			stable := raft.NewInmemStore()
			var last uint64
			for i := range 5 { // the clock stands still, and goes back
				start, err := startSequence(stable, time.Now().Add(-time.Duration(i/2)*time.Hour))
				if err != nil || start <= last {
					t.Fatalf("%d after %d: %v", start, last, err)
				}
				last = start + 1000
			}
		})
	})
	t.Run("a number that is long under way holds the next ones back", func(t *testing.T) {
		virtual.Test(t, func(t *testing.T) {
			s := newSequence(1)
			slow, _ := s.begin(t.Context())
			for i := 1; i < store.Window/2; i++ {
				seq, _ := s.begin(t.Context())
				s.done(seq)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if seq, err := s.begin(ctx); err == nil {
				t.Errorf("%d was given out", seq)
			}
			s.done(slow)
			if _, err := s.begin(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestTrim(t *testing.T) {
	entries := func(sizes ...int) *raft.AppendEntriesRequest {
		r := &raft.AppendEntriesRequest{}
		for _, s := range sizes {
			r.Entries = append(r.Entries, &raft.Log{Data: make([]byte, s)})
		}
		return r
	}
	for _, tt := range []struct {
		in   []int
		want int
	}{{nil, 0}, {[]int{5 << 20}, 1}, {[]int{1, 5 << 20}, 1}, {[]int{256 << 10, 256 << 10, 256 << 10, 256 << 10, 1}, 4}, {[]int{1, 2, 3}, 3}} {
		r := entries(tt.in...)
		if trim(r); len(r.Entries) != tt.want {
			t.Errorf("%v: %d entries left, want %d", tt.in, len(r.Entries), tt.want)
		}
	}
}

func TestTiming(t *testing.T) {
	if err := DefaultTiming().Validate(); err != nil {
		t.Error(err)
	}
	for _, spoil := range []func(*Timing){
		func(t *Timing) { t.Lease = t.Heartbeat + 1 }, func(t *Timing) { t.Election = t.Heartbeat - 1 },
		func(t *Timing) { t.RetryMax = t.RetryMin - 1 }, func(t *Timing) { t.DiskStall = t.Heartbeat - 1 },
		func(t *Timing) { *t = Timing{} }, func(t *Timing) { t.Drive = 0 },
	} {
		timing := DefaultTiming()
		if spoil(&timing); timing.Validate() == nil {
			t.Errorf("valid: %+v", timing)
		}
	}
}

func TestFrame(t *testing.T) {
	t.Run("what is written is read", func(t *testing.T) {
		var b bytes.Buffer
		txn := store.Txn{If: []store.Condition{store.KeyAbsent("/k")}, Then: []store.Op{store.Put("/k", []byte("v"))}}
		want := proposeRequest{Version: 1, Commands: []store.Command{{
			Version: 1, ID: store.CommandID{Incarnation: "m1", Seq: 7}, Person: "ann", Txn: &txn,
		}}}
		if err := writeFrame(&b, want); err != nil {
			t.Fatal(err)
		}
		var got proposeRequest
		if err := readFrame(&b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a length out of bounds costs no memory", func(t *testing.T) {
		if err := readFrame(strings.NewReader("\xff\xff\xff\xff"), &readAnswer{}); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("a frame that ends early is no frame", func(t *testing.T) {
		if err := readFrame(strings.NewReader("\x00\x00\x00\x09\xa1"), &readAnswer{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzFrame(f *testing.F) {
	var b bytes.Buffer
	writeFrame(&b, proposeRequest{Version: 1, Commands: []store.Command{{Version: 1, Chunk: []byte("c")}}})
	f.Add(b.Bytes())
	b.Reset()
	ok, _ := encodeResults([]store.Result{{Revision: 3}, {Err: &store.Forbidden{Reason: "no"}}})
	writeFrame(&b, proposeAnswer{Code: codeDone, Results: ok})
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		var request proposeRequest
		if readFrame(bytes.NewReader(data), &request) == nil {
			var again bytes.Buffer
			if err := writeFrame(&again, request); err != nil && len(data) < maxFrame/2 {
				t.Errorf("cannot write what was read: %v", err)
			}
		}
		var answer proposeAnswer
		if readFrame(bytes.NewReader(data), &answer) == nil {
			decodeResults(answer.Results)
		}
		readFrame(bytes.NewReader(data), &readRequest{})
		readFrame(bytes.NewReader(data), &readAnswer{})
	})
}
