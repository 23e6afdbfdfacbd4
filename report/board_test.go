package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// post is a set of boards whose lines are carried by hand, at a time that is set by hand.
type post struct {
	*testing.T
	now    time.Time
	boards map[store.MemberID]*board
	lines  []*wire
}

// wire is one line, seen from both ends: what the one composes the other takes.
type wire struct {
	from, to   store.MemberID
	near, far  *line
	trusted    bool // whether the far end lets the near one speak for others
	cut        bool
	bulletins  int
	mostWeight int
}

func newPost(t *testing.T, members ...store.MemberID) *post {
	p := &post{T: t, now: time.Unix(1_000_000, 0), boards: map[store.MemberID]*board{}}
	for _, id := range members {
		p.boards[id] = newBoard(id, 1)
		p.boards[id].beat(1, nil, p.now)
	}
	return p
}

// follow connects a follower with its source, both ways.
func (p *post) follow(follower, source store.MemberID, trusted bool) (up, down *wire) {
	a, b := newLine(source, above), newLine(follower, below)
	up = &wire{from: follower, to: source, near: a, far: b, trusted: trusted}
	down = &wire{from: source, to: follower, near: b, far: a, trusted: true}
	p.lines = append(p.lines, up, down)
	return up, down
}

// serve connects two servers, both ways.
func (p *post) serve(a, b store.MemberID) {
	p.boards[a].place(true)
	p.boards[b].place(true)
	for _, w := range [][2]store.MemberID{{a, b}, {b, a}} {
		p.lines = append(p.lines, &wire{from: w[0], to: w[1], near: newLine(w[1], beside), far: newLine(w[0], beside), trusted: true})
	}
}

// pass lets time pass: everybody beats, looks who is silent, and speaks once a second.
func (p *post) pass(seconds int) {
	p.Helper()
	for range seconds * 2 {
		p.now = p.now.Add(500 * time.Millisecond)
		for _, b := range p.boards {
			b.beat(1, nil, p.now)
			b.lapse(p.now)
		}
		for _, w := range p.lines {
			if err := p.carry(w); err != nil {
				p.Fatalf("%s to %s: %v", w.from, w.to, err)
			}
		}
	}
}

// carry brings all that a line has to say to its other end.
func (p *post) carry(w *wire) error {
	for more := !w.cut; more; {
		var said bulletin
		said, more = p.boards[w.from].compose(w.near, p.now)
		var frame strings.Builder
		if err := writeBulletin(&frame, said); err != nil {
			return err
		}
		w.bulletins++
		w.mostWeight = max(w.mostWeight, frame.Len())
		heard, err := readBulletin(strings.NewReader(frame.String()))
		if err != nil {
			return err
		}
		if err := p.boards[w.to].take(w.far, heard, w.trusted, p.now); err != nil {
			return err
		}
	}
	return nil
}

// cut ends a line.
func (p *post) cut(ws ...*wire) {
	for _, w := range ws {
		w.cut = true
		p.boards[w.from].end(w.near)
		p.boards[w.to].end(w.far)
	}
}

func (p *post) seen(at, of store.MemberID) Sighting {
	all, _, _ := p.boards[at].all()
	return all[of]
}

func (p *post) sees(at, of store.MemberID, fresh bool) {
	p.Helper()
	if s := p.seen(at, of); s.Fresh(p.now) != fresh {
		p.Errorf("%s sees %s alive: %v; last heard %s ago", at, of, !fresh, p.now.Sub(s.At))
	}
}

func runs(bundle, revision string, problems int) Bundle {
	r := Bundle{Bundle: bundle, Status: v1alpha1.WorkStatus{Applied: revision}}
	for i := range problems {
		r.Status.Problems = append(r.Status.Problems, v1alpha1.Problem{Reason: "Refused", Message: fmt.Sprint(i, strings.Repeat("x", 500))})
	}
	return r
}

// twoServers is f1 → s1 ⇄ s2 ← relay ← f2.
func twoServers(t *testing.T) (p *post, f1, relay, f2 [2]*wire) {
	p = newPost(t, "s1", "s2", "f1", "relay", "f2")
	p.serve("s1", "s2")
	f1[0], f1[1] = p.follow("f1", "s1", false)
	relay[0], relay[1] = p.follow("relay", "s2", true)
	f2[0], f2[1] = p.follow("f2", "relay", false)
	p.pass(5)
	return p, f1, relay, f2
}

func TestEverybodyHearsOfEverybodyThroughAFew(t *testing.T) {
	p, _, _, _ := twoServers(t)
	p.boards["f1"].tell([]Bundle{runs("shop", "shop-1", 0), runs("till", "till-1", 0)}, p.now)
	p.pass(3)
	for at := range p.boards {
		for of := range p.boards {
			p.sees(at, of, true)
		}
		if got := p.seen(at, "f1").Bundles["shop"].Status.Applied; got != "shop-1" {
			t.Errorf("%s knows %q of f1", at, got)
		}
	}
	p.boards["f1"].tell([]Bundle{runs("shop", "shop-2", 0)}, p.now)
	p.pass(3)
	for at := range p.boards {
		if got := p.seen(at, "f1").Bundles; len(got) != 1 || got["shop"].Status.Applied != "shop-2" {
			t.Errorf("%s still knows %v of f1", at, got)
		}
	}
}

func TestWhoIsSilentIsAwayEverywhereAndItsAgeIsRight(t *testing.T) {
	p, _, _, f2 := twoServers(t)
	since := p.now
	p.cut(f2[0], f2[1])
	p.pass(6)
	for _, at := range []store.MemberID{"relay", "s2", "s1", "f1"} {
		p.sees(at, "f2", false)
		if heard := p.seen(at, "f2").At; heard.Sub(since).Abs() > 1500*time.Millisecond {
			t.Errorf("%s heard it last %s after it went", at, heard.Sub(since))
		}
	}
	p.sees("f2", "s1", false)
	p.sees("f2", "relay", false)
	p.follow("f2", "s1", false)
	p.pass(3)
	for at := range p.boards {
		p.sees(at, "f2", true)
	}
}

func TestWhoStandsBehindARelayThatDiesIsAwayUntilItSpeaksElsewhere(t *testing.T) {
	p, _, relay, f2 := twoServers(t)
	p.cut(relay[0], relay[1], f2[0], f2[1])
	p.pass(4)
	for _, of := range []store.MemberID{"relay", "f2"} {
		p.sees("s1", of, false)
		p.sees("f1", of, false)
	}
	p.follow("f2", "s2", false)
	p.pass(2)
	p.sees("f1", "f2", true)
	p.sees("f1", "relay", false)
}

func TestAFollowerThatMovesIsNotAwayForAMoment(t *testing.T) {
	p, f1, _, _ := twoServers(t)
	p.follow("f1", "s2", false) // a spare
	p.pass(1)
	p.cut(f1[0], f1[1])
	for range 12 {
		p.pass(1)
		for _, at := range []store.MemberID{"s1", "s2", "relay", "f2"} {
			p.sees(at, "f1", true)
		}
	}
}

func TestNewsInACircleGoOld(t *testing.T) {
	p := newPost(t, "a", "b", "c", "gone")
	up, down := p.follow("gone", "a", false)
	p.follow("a", "b", true)
	p.follow("b", "c", true)
	p.follow("c", "a", true)
	p.pass(5)
	p.sees("c", "gone", true)
	p.cut(up, down)
	p.pass(30)
	p.sees("a", "gone", false)
}

func TestAMemberThatMayNotSpeakForOthersIsRefused(t *testing.T) {
	p := newPost(t, "s1", "liar", "victim")
	p.boards["s1"].place(true)
	up, _ := p.follow("victim", "s1", false)
	p.boards["victim"].tell([]Bundle{runs("shop", "shop-1", 0)}, p.now)
	if err := p.carry(up); err != nil {
		t.Fatal(err)
	}
	lie := news{ID: "victim", Number: 9 << countBits, Told: 9 << countBits, Bundles: []Bundle{{Bundle: "shop", Number: 9 << countBits}}}
	l := newLine("liar", below)
	err := p.boards["s1"].take(l, bulletin{News: []news{{ID: "liar", Number: 1}, lie}}, false, p.now)
	if !errors.Is(err, errForged) {
		t.Errorf("it was taken: %v", err)
	}
	if got := p.seen("s1", "victim").Bundles["shop"].Status.Applied; got != "shop-1" {
		t.Errorf("victim is said to run %q", got)
	}
}

func TestOldNewsNeverOvertakesNew(t *testing.T) {
	p := newPost(t, "s1", "f")
	b, first, second := p.boards["s1"], newLine("r1", beside), newLine("r2", beside)
	take := func(l *line, number uint64, revision string) {
		t.Helper()
		n := news{ID: "f", Number: number, Told: number, Bundles: []Bundle{{Bundle: "shop", Number: number, Status: v1alpha1.WorkStatus{Applied: revision}}}}
		if err := b.take(l, bulletin{News: []news{n}}, true, p.now); err != nil {
			t.Fatal(err)
		}
	}
	take(first, 1<<countBits+9, "of its first life")
	take(second, 2<<countBits+1, "of its second life")
	take(first, 1<<countBits+10, "late")
	if got := p.seen("s1", "f").Bundles["shop"].Status.Applied; got != "of its second life" {
		t.Errorf("what counts is what it said %q", got)
	}
}

func TestFourHundredBundlesWithAllTheirProblemsTravel(t *testing.T) {
	p, _, _, _ := twoServers(t)
	var all []Bundle
	for i := range 400 {
		all = append(all, runs(fmt.Sprintf("bundle-%03d", i), "r1", 16))
	}
	p.boards["f1"].tell(all, p.now)
	p.pass(3)
	for at := range p.boards {
		if got := len(p.seen(at, "f1").Bundles); got != 400 {
			t.Errorf("%s knows of %d bundles", at, got)
		}
	}
	for _, w := range p.lines {
		if w.mostWeight > 2*fullBulletin {
			t.Errorf("%s told %s %d bytes at once", w.from, w.to, w.mostWeight)
		}
	}
	// Who says one thing more does not say all of it again.
	before := map[*wire]int{}
	for _, w := range p.lines {
		before[w], w.mostWeight = w.bulletins, 0
	}
	all[7] = runs("bundle-007", "r2", 0)
	p.boards["f1"].tell(all, p.now)
	p.pass(1)
	for _, w := range p.lines {
		if n := w.bulletins - before[w]; n > 2 || w.mostWeight > 8<<10 {
			t.Errorf("%s told %s of one change in %d bulletins, the largest %d bytes", w.from, w.to, n, w.mostWeight)
		}
	}
}

func TestAMemberThatSaysTooMuchIsNotKeptInFull(t *testing.T) {
	b, l := newBoard("s1", 1), newLine("f", below)
	number := uint64(1 << countBits)
	for range 40 {
		number++
		n := news{ID: "f", Number: number, Told: number}
		for i := range 100 {
			n.Bundles = append(n.Bundles, runs(fmt.Sprint("bundle-", number, "-", i), "r1", 16))
			n.Bundles[i].Number = number
		}
		if err := b.take(l, bulletin{News: []news{n}}, false, time.Now()); err != nil {
			t.Fatal(err)
		}
		if b.records["f"].bytes > maxSaid {
			t.Fatalf("%d bytes are kept", b.records["f"].bytes)
		}
	}
	if n := len(b.records["f"].Bundles); n > maxBundles {
		t.Errorf("%d bundles are kept", n)
	}
}

func TestASlowReaderHearsTheLatestStateAndNothingQueues(t *testing.T) {
	p := newPost(t, "s1", "f", "slow")
	p.boards["s1"].place(true)
	p.follow("f", "s1", false)
	_, down := p.follow("slow", "s1", false)
	p.pass(1)
	down.cut = true // it does not read
	for i := range 50 {
		p.boards["f"].tell([]Bundle{runs("shop", fmt.Sprint("shop-", i), 16)}, p.now)
		p.pass(1)
	}
	before := down.bulletins
	down.cut = false
	if err := p.carry(down); err != nil {
		t.Fatal(err)
	}
	if got := p.seen("slow", "f").Bundles["shop"].Status.Applied; got != "shop-49" || down.bulletins != before+1 {
		t.Errorf("it hears %q, in %d bulletins", got, down.bulletins-before)
	}
}

func TestAReportThatNoBulletinHoldsIsNotTaken(t *testing.T) {
	r := Bundle{Bundle: "shop", BundleUID: string(make([]byte, maxReport))}
	if r.weight() <= maxReport {
		t.Errorf("it weighs %d", r.weight())
	}
	b := newBoard("a", 1)
	rec := &record{Sighting: Sighting{Bundles: map[string]Bundle{}}, ticks: map[string]uint64{}}
	b.hearBundles(rec, news{Bundles: []Bundle{r, {Bundle: "web", Number: 1}}, Names: []string{"shop", "web"}, NamesAt: 1}, time.Now())
	if _, taken := rec.Bundles["shop"]; taken {
		t.Error("it is kept, and would be passed on")
	}
	if _, taken := rec.Bundles["web"]; !taken {
		t.Error("the other one is not taken")
	}
}

func TestFactsReachEverybodyOnceAndKeepTheirAge(t *testing.T) {
	p, _, _, _ := twoServers(t)
	told := p.now
	p.boards["f1"].tellFacts([]byte(`{"cores":2}`), told)
	p.pass(5)
	for at := range p.boards {
		if s := p.seen(at, "f1"); string(s.Facts) != `{"cores":2}` || s.FactsAt.Sub(told).Abs() > time.Second {
			t.Errorf("%s knows %s, told at %s and not %s", at, s.Facts, s.FactsAt, told)
		}
	}
	for _, w := range p.lines {
		w.mostWeight = 0
	}
	p.pass(5)
	for _, w := range p.lines {
		if w.mostWeight > 400 {
			t.Errorf("%s told %s %d bytes though nothing is new", w.from, w.to, w.mostWeight)
		}
	}
	tooMuch := news{ID: "f1", Number: 9 << countBits, FactsAt: 9 << countBits, Facts: make([]byte, maxFacts+1)}
	if err := p.boards["s2"].take(newLine("f1", below), bulletin{News: []news{tooMuch}}, false, p.now); err != nil {
		t.Fatal(err)
	}
	if got := p.seen("s2", "f1").Facts; string(got) != `{"cores":2}` {
		t.Errorf("%d bytes of facts are taken", len(got))
	}
}

// TestAFollowerHearsAtOnceWhileSomebodyLooks: where nobody looks, what others say waits for the next sign of life.
func TestAFollowerHearsAtOnceWhileSomebodyLooks(t *testing.T) {
	p, f1, relay, f2 := twoServers(t)
	soon := func(w *wire) func() bool {
		news := p.boards[w.from].news(w.near)
		return func() bool {
			select {
			case <-news:
				return true
			default:
				return false
			}
		}
	}
	tell := func(revision string) {
		p.boards["f1"].tell([]Bundle{runs("shop", revision, 0)}, p.now)
		for _, w := range append([]*wire{f1[0]}, p.lines...) {
			if err := p.carry(w); err != nil {
				t.Fatal(err)
			}
		}
	}
	up, down, last := soon(f1[0]), soon(relay[1]), soon(f2[1])
	tell("shop-1")
	if !up() || down() || last() {
		t.Errorf("nobody looks: told upwards at once: %v, to the relay: %v, to its follower: %v", up(), down(), last())
	}
	ask, pass, called := soon(f2[0]), soon(relay[0]), soon(relay[1])
	p.boards["f2"].look(p.now)
	if !ask() {
		t.Error("who begins to look does not ask at once")
	}
	if err := p.carry(f2[0]); err != nil {
		t.Fatal(err)
	}
	if !pass() {
		t.Error("the relay does not pass on at once that somebody looks")
	}
	if err := p.carry(relay[0]); err != nil {
		t.Fatal(err)
	}
	if !called() {
		t.Error("what had been kept is not told at once")
	}
	down, last = soon(relay[1]), soon(f2[1])
	tell("shop-2")
	if !down() || !last() {
		t.Errorf("somebody looks: told to the relay at once: %v, to its follower: %v", down(), last())
	}
	p.pass(12)
	down, last = soon(relay[1]), soon(f2[1])
	tell("shop-3")
	if down() || last() {
		t.Errorf("long after: told to the relay at once: %v, to its follower: %v", down(), last())
	}
	if got := p.seen("f2", "f1").Bundles["shop"].Status.Applied; got != "shop-3" {
		t.Errorf("it knows %q", got)
	}
}
