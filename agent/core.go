package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/facts"
	"github.com/hanse-fleet/hanse/internal/trouble"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
	"github.com/hanse-fleet/hanse/secrets"
	"github.com/hanse-fleet/hanse/transport"
)

// Core is a member without its faces: the replicated store, the network between members, founding and joining,
// what members report to each other, and the leader's decisions. It serves no API and touches no cluster, so a
// simulation runs whole fleets of it. Run adds the faces.
type Core struct {
	self     self
	identity transport.Identity
	age      secrets.Identity
	dir      dataDir
	// recovery are the recovery recipients of the fleet that this member founds.
	recovery  []string
	log       *slog.Logger
	store     *store.Store
	decoded   decoded.Kinds
	claims    *claims
	exposures exposures
	directory *directory
	endpoint  *transport.Endpoint
	node      *consensus.Node
	reports   *report.Exchange
	verdict   *verdict
	pace      pace
	// buried is when each member was judged dead last; it belongs to the leader's drive.
	buried map[store.MemberID]time.Time
	// wanted are the voters that this member, when it leads, chose last.
	wanted atomic.Pointer[[]store.MemberID]
	// promised is who is about to get a vote from this member; nil: nobody.
	promised atomic.Pointer[store.MemberID]
	// lastFleet is what the fleet's settings were when they could be read last; nil: never.
	lastFleet   atomic.Pointer[v1alpha1.FleetSpec]
	unreadFleet trouble.Trouble
	// ready closes when node is set: the network runs before it.
	ready   chan struct{}
	version string
	// s3 carries what is asked of S3; nil: the network.
	s3 http.RoundTripper
	// now is the wall clock: for what is written down. What lasts, and what is silent, is measured by time.Now.
	now func() time.Time
	// decideBy stands in the place of plan.Decide in a simulation.
	decideBy func(plan.Situation) []plan.Step
	// alone lets it keep keys in a simulation as if no other member were there.
	alone bool
	// since is when this member began to listen, and read when it had read its log.
	since, read time.Time
	// kubernetes is the version of the member's own cluster, once it has answered.
	kubernetes atomic.Pointer[string]
	// controlPlane is how that cluster's is; nil: not known yet.
	controlPlane atomic.Pointer[facts.Condition]
}

// CoreConfig says what a Core runs on.
type CoreConfig struct {
	DataDir      string
	DataIdentity *age.HybridIdentity
	// Conn is the socket for other members; the Core closes it.
	Conn    net.PacketConn
	Timing  consensus.Timing
	Version string
	Logger  *slog.Logger
	// Fatal is called when the disk can no longer be trusted; it must end the process, or in a simulation the member.
	Fatal func(error)
	// Stores, when set, are used in place of files in the data directory.
	Stores *consensus.Stores
	Seams  Seams
}

// OpenCore opens a data directory that Init or Join made. The member answers others from here on; Run makes it act.
func OpenCore(cfg CoreConfig) (*Core, error) {
	dir, me, err := openMember(cfg.DataDir, cfg.DataIdentity)
	if err != nil {
		return nil, err
	}
	return openCore(dir, me, cfg)
}

// openCore opens the member of a directory that is open.
func openCore(dir dataDir, me self, cfg CoreConfig) (_ *Core, err error) {
	if err := errors.Join(dir.unfinished(), dir.forgetNext()); err != nil {
		return nil, err
	}
	if me.Removed {
		return nil, fmt.Errorf("%w (%s of fleet %s); join again with a fresh --data-dir", ErrRemoved, me.Cluster, me.Fleet)
	}
	if me.Addresses, err = me.Addresses.completed(); err != nil {
		return nil, err
	}
	identity, err := transport.LoadIdentity(dir.folder, dir.key)
	if err != nil {
		return nil, err
	}
	var peers []transport.JoinPeer
	if !me.Founder {
		if err := dir.read(filePeers, &peers); err != nil {
			return nil, err
		}
	}
	var recovery []string
	if me.Founder && !me.Begun {
		if recovery, err = dir.recoveryRecipients(); err != nil {
			return nil, err
		}
	}
	ageIdentity, err := dir.ageIdentity()
	if err != nil {
		return nil, err
	}
	c := &Core{
		self: me, identity: identity, age: ageIdentity, dir: dir, recovery: recovery, version: cfg.Version,
		log:    cfg.Logger.With("member", me.Cluster),
		buried: map[store.MemberID]time.Time{},
		ready:  make(chan struct{}),
		since:  time.Now(),
		now:    cfg.Seams.clock(), s3: cfg.Seams.S3, decideBy: cfg.Seams.Decide, alone: cfg.Seams.Alone,
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	c.store = store.NewFaulty(cfg.Seams.authorizer(law.Authority{Address: transport.CheckAddress, Kept: &law.Kept{}}), cfg.Seams.Faults)
	c.decoded = decoded.NewKinds()
	c.claims = newClaims(c)
	c.directory = &directory{self: c.id(), store: c.store, joined: peers}
	c.verdict = newVerdict(c.knownVoters)
	if cfg.Timing, err = c.startPace(cfg.Timing); err != nil {
		return nil, err
	}
	if err := c.open(cfg); err != nil {
		return nil, err
	}
	return c, nil
}

// begin begins another of the member's lives.
func (c *Core) begin() error {
	c.self.Life++
	c.reports = report.New(report.Config{Self: c.id(), Life: c.self.Life, Fleet: around{c}, Logger: c.log})
	return c.dir.amend(func(s *self) { s.Life = c.self.Life })
}

// open starts the network before the consensus, which speaks through it.
func (c *Core) open(cfg CoreConfig) error {
	endpoint, err := transport.Listen(transport.Config{
		Identity: c.identity, Directory: cfg.Seams.directory(c.directory), Conn: cfg.Conn, Join: c.serveJoin,
		Removed: c.heardRemoved, Logger: c.log.With("room", "transport"),
	})
	if err != nil {
		return err
	}
	c.endpoint = endpoint
	c.endpoint.Handle(report.Kind, cfg.Seams.handler(c.receiveReports))
	c.endpoint.Handle(kindEnrol, cfg.Seams.handler(c.serveEnrol))
	node, err := consensus.Open(consensus.Config{
		ID: c.id(), Dir: c.dir.raft(), Store: c.store, Network: network{endpoint, cfg.Seams}, Timing: cfg.Timing,
		Choose: c.chooseServers, BeforeVote: c.promiseVote, Seeds: c.directory.seeds, RTT: c.roundTrip,
		Fatal: cfg.Fatal, Logger: c.log.With("room", "consensus"),
		Stores: cfg.Stores, Key: c.dir.key, SnapshotThreshold: cfg.Seams.SnapshotThreshold, TrailingLogs: cfg.Seams.TrailingLogs, Faults: cfg.Seams.Faults,
		Quota: cfg.Seams.Quota, Clock: cfg.Seams.clock(),
	})
	if err != nil {
		return errors.Join(c.refused(err), endpoint.Close())
	}
	c.node, c.read = node, time.Now()
	close(c.ready)
	if err := c.node.Stopped(); err != nil && c.store.View().Revision() == 0 {
		old := fmt.Errorf("this hanse is too old for the state in %s: %w; start a newer one on it", c.dir, err)
		return errors.Join(old, c.Close())
	}
	if c.self.Begun && c.store.View().Revision() == 0 && !cfg.Seams.Faults.LostLog {
		lost := fmt.Errorf("the log of %s is gone from %s; %s", c.self.Cluster, c.dir, c.howToReturn())
		return errors.Join(lost, c.Close())
	}
	if c.self.Founder && !c.self.Begun {
		if err := c.node.Bootstrap(); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return nil
}

// refused adds to why the consensus did not open what to do about a disk that is damaged. Its directory stays as it is.
func (c *Core) refused(err error) error {
	var damaged *consensus.DamagedError
	if !errors.As(err, &damaged) {
		return err
	}
	return fmt.Errorf("%w; nothing of it was served; keep %s to look into it, and %s", damaged, c.dir, c.howToReturn())
}

// howToReturn says how a cluster whose disk is lost comes back.
func (c *Core) howToReturn() string {
	return fmt.Sprintf("from a member that works: hanse token create --cluster %s --replace, then join with it, a fresh --data-dir and, if its age.key is whole, --keys-from %s", c.self.Cluster, c.dir)
}

// Close ends the consensus first, so that it can still say goodbye to its peers, then the network.
func (c *Core) Close() error { return errors.Join(c.node.Close(), c.endpoint.Close()) }

// Run acts until ctx ends (nil) or the member is removed (ErrRemoved).
func (c *Core) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.cutRemoved(ctx) })
	g.Go(func() error { return c.followMembers(ctx) })
	g.Go(func() error { return c.sendReports(ctx) })
	g.Go(func() error { c.node.WhileLeading(ctx, c.lead); return nil })
	g.Go(func() error { c.node.WhileLeading(ctx, c.steer); return nil })
	g.Go(func() error { return c.tellAboutSelf(ctx) })
	g.Go(func() error { return c.keepKeys(ctx) })
	g.Go(func() error { return c.makeBackups(ctx) })
	g.Go(func() error {
		select {
		case <-c.verdict.fallen:
			return ErrRemoved
		case <-ctx.Done():
			return nil
		}
	})
	err := g.Wait()
	if errors.Is(err, ErrRemoved) {
		return errors.Join(err, c.dir.amend(func(s *self) { s.Removed = true }))
	}
	return err
}

// opened says whether node is set.
func (c *Core) opened() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// id is the member's incarnation, as the log and consensus know it.
func (c *Core) id() store.MemberID { return store.MemberID(c.self.Incarnation) }

// Store is the member's copy of the fleet's state.
func (c *Core) Store() *store.Store { return c.store }

// Node is the member's part in the consensus.
func (c *Core) Node() *consensus.Node { return c.node }

// network lets consensus speak through transport without either knowing the other.
type network struct {
	*transport.Endpoint
	seams Seams
}

func (n network) Open(ctx context.Context, to consensus.MemberID, class consensus.Class, kind string) (net.Conn, error) {
	c := transport.Control
	if class == consensus.Data {
		c = transport.Data
	}
	return n.Endpoint.Open(ctx, transport.MemberID(to), c, kind)
}

func (n network) Handle(kind string, h func(from consensus.MemberID, conn net.Conn)) {
	n.Endpoint.Handle(kind, n.seams.handler(func(peer transport.MemberID, conn net.Conn) { h(consensus.MemberID(peer), conn) }))
}
