package consensus

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/fault"
)

// Defaults of Config.
const (
	defaultSnapshotThreshold = 2048
	defaultTrailingLogs      = 2048
	// defaultVoters is how many vote once there are that many to.
	defaultVoters = 3
)

// Config makes a Node. ID, Store and Network are required, and Dir or Stores.
type Config struct {
	// ID of this member.
	ID MemberID
	// Dir is where the log and the snapshots lie; it is made when it is not there.
	Dir string
	// Store is an empty one: the node fills it from its log and its peers.
	Store   *store.Store
	Network Network
	// Timing; zero: DefaultTiming.
	Timing Timing
	// Choose says who should vote and who should stand by. It is called on the leader, with every current member, and
	// must be quick. Choosing no voters leaves things as they are. nil: up to three eligible members.
	Choose func([]Candidate) Choice
	// BeforeVote is called on the leader when it is about to give a member a vote, with its term; an error is why it must not. It may
	// write to the store. after is called when the vote was given, or not. nil: nobody has to be told.
	BeforeVote func(ctx context.Context, term uint64, id MemberID) (after func(), err error)
	// Seeds are members to follow as long as the store knows none: whom this one heard of when it joined. nil: nobody.
	Seeds func() []MemberID
	// RTT is the round trip to a member, where it is known. nil: nowhere.
	RTT func(MemberID) (time.Duration, bool)
	// Fatal is called once when the disk fails or stalls: the process must end. It may be called from any goroutine
	// and must not wait for Close. The node is silent by then. nil: panic.
	Fatal  func(error)
	Logger *slog.Logger
	// SnapshotThreshold is how many entries the log grows by until the next snapshot, TrailingLogs how many stay in
	// the log behind it for followers that lag. 0: 2048 each.
	SnapshotThreshold, TrailingLogs uint64
	// LogSize bounds the log in bytes, too. The zero value is DefaultLogSize.
	LogSize LogSize
	// Quota is what each other member may propose through this one when it leads; zero: DefaultQuota.
	Quota Quota
	// Stores, when set, are used in place of files in Dir.
	Stores *Stores
	// Key encrypts what lies on the files, or the stores; nil: they are in the clear.
	Key *atrest.Key
	// Clock is the wall clock, which may jump: the stamps of commands and the first sequence number of a start come from
	// it, and nothing that lasts. nil: time.Now.
	Clock func() time.Time

	// Faults are the known bugs that a test puts back.
	Faults fault.Set

	uncached bool // tests: read every entry from the disk
}

// Validate says what is missing or does not fit.
func (c Config) Validate() error {
	switch {
	case c.ID == "":
		return errors.New("consensus: no member id")
	case c.Store == nil:
		return errors.New("consensus: no store")
	case c.Network == nil:
		return errors.New("consensus: no network")
	case c.Dir == "" && c.Stores == nil:
		return errors.New("consensus: no directory")
	case c.LogSize.Growth <= 0 || c.LogSize.Kept <= 0:
		return errors.New("consensus: the log's size is bounded by nothing")
	}
	return c.Timing.Validate()
}

func (c Config) withDefaults() Config {
	if c.Stores != nil {
		c.Dir = "" // snapshots on their way in are kept in memory too
	}
	if c.Timing == (Timing{}) {
		c.Timing = DefaultTiming()
	}
	if c.Choose == nil {
		c.Choose = EligibleVoters(defaultVoters)
	}
	if c.Seeds == nil {
		c.Seeds = func() []MemberID { return nil }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.LogSize == (LogSize{}) {
		c.LogSize = DefaultLogSize()
	}
	if c.Quota == (Quota{}) {
		c.Quota = DefaultQuota()
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) { panic(err) }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.SnapshotThreshold == 0 {
		c.SnapshotThreshold = defaultSnapshotThreshold
	}
	if c.TrailingLogs == 0 {
		c.TrailingLogs = defaultTrailingLogs
	}
	return c
}
