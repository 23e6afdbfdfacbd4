package report

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"net"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/guests"
)

const (
	// Heartbeat is how often a member says that it lives when it has nothing else to say.
	Heartbeat = time.Second
	// look is how often a member looks who is silent, and whom to speak to.
	look = Heartbeat / 4
)

// Fleet is the fleet around an Exchange. It is asked from many goroutines at once; only Open may block.
type Fleet interface {
	// Position is where this member stands now.
	Position() Position
	// Open opens a stream of Kind to another member. The streams that others open are for Exchange.Receive.
	Open(ctx context.Context, to store.MemberID) (net.Conn, error)
	// Member is what the fleet knows of one that is in it now.
	Member(store.MemberID) (store.Member, bool)
}

// Position is where a member stands: who the servers of raft are, and whom it has the log from, if it is none of them.
type Position struct {
	Voters, Nonvoters []store.MemberID
	Source            store.MemberID
}

// Config says what an Exchange works with. All of it is needed.
type Config struct {
	Self store.MemberID
	// Life is in which of its lives the member is, the first of which is 1: what it says now is newer than all that it
	// said in the lives before.
	Life   uint64
	Fleet  Fleet
	Logger *slog.Logger
}

// Exchange tells the other members what this one sees of itself and hears of others, and knows what they said last.
type Exchange struct {
	self    store.MemberID
	fleet   Fleet
	log     *slog.Logger
	board   *board
	senses  *senses
	callers callers
}

// New makes an Exchange that knows of nobody yet. Run makes it speak.
func New(cfg Config) *Exchange {
	return &Exchange{
		self: cfg.Self, fleet: cfg.Fleet, log: cfg.Logger,
		board: newBoard(cfg.Self, cfg.Life), senses: newSenses(), callers: newCallers(),
	}
}

// Beat is the member's sign of life, due once a Heartbeat, with what changes all the time. vitals: nil unless it is a
// server of raft. Whoever waits for a change is woken, because what is fresh depends on time too.
func (e *Exchange) Beat(revision store.Revision, vitals *Vitals, now time.Time) {
	e.board.beat(revision, vitals, now)
	e.board.touch()
}

// Tell replaces what this member says of the bundles in its own cluster.
func (e *Exchange) Tell(bundles []Bundle) { e.board.tell(bundles, time.Now()) }

// TellFacts replaces what this member says of its cluster and machine, at most 16 KiB of JSON. What it means is for those to
// know who tell and read it.
func (e *Exchange) TellFacts(facts json.RawMessage) { e.board.tellFacts(facts, time.Now()) }

// Seen is a copy of what every member said last, this one included, a number that grows with every change, and a channel
// that closes at the next.
func (e *Exchange) Seen() (map[store.MemberID]Sighting, uint64, <-chan struct{}) {
	return e.board.all()
}

// Look says that somebody looks at what others say, who are then asked to tell it at once for a while. Else a follower hears of others no
// more often than it hears that they live: a hundred members that all tell all others of each step would do little else.
func (e *Exchange) Look() { e.board.look(time.Now()) }

// Measure takes the round trips of now to whoever is connected.
func (e *Exchange) Measure(trips map[store.MemberID]time.Duration, now time.Time) {
	e.senses.measure(trips, now)
}

// Noticed is what this member itself notices of the other servers.
func (e *Exchange) Noticed(servers []store.MemberID, now time.Time) *Vitals {
	return e.senses.of(servers, now)
}

// Trips are the round trips to members, over the last minute, as far as enough were measured.
func (e *Exchange) Trips(members iter.Seq[store.MemberID], now time.Time) map[store.MemberID]RoundTrip {
	return e.senses.tripsTo(members, now)
}

// Forget drops members that are not in the fleet any more.
func (e *Exchange) Forget(gone func(store.MemberID) bool) {
	e.board.forget(gone)
	e.senses.forget(gone)
}

// callers are the streams that others have opened to report, by the role of who did: a member has one of each.
type callers map[role]*guests.List[store.MemberID]

func newCallers() callers {
	return callers{below: guests.New[store.MemberID](maxFollowers), beside: guests.New[store.MemberID](maxSeen)}
}
