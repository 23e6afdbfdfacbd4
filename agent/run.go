package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/aggregate"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/facts"
	"github.com/hanse-fleet/hanse/project"
	"github.com/hanse-fleet/hanse/reconcile"
)

// Healthy fails while the member's raft loop or disk do not answer.
type Healthy func(ctx context.Context) error

// ErrRemoved means that the fleet removed this member. Its workloads go on; its data directory is of no more use.
var ErrRemoved = errors.New("this member was removed from the fleet")

// apiServerName is the TLS server name in every member's certificate.
const apiServerName = "member.hanse"

// Run runs the member of a data directory until ctx ends (nil), it is removed from the fleet (ErrRemoved), or
// something fails that it cannot go on with. An error of the disk does not return: it ends the process.
func Run(ctx context.Context, o Options) error {
	dir, me, err := openMember(o.DataDir, o.DataIdentity)
	if err != nil {
		return err
	}
	o.DataIdentity = nil // while it runs, it has the directory's own key alone
	release, err := dir.lock()
	if err != nil {
		return err
	}
	defer release()
	me.Addresses = me.Addresses.merged(o.Addresses)
	reached, err := me.Addresses.completed()
	if err != nil {
		return err
	}
	doors, err := openDoors(dir, reached)
	if err != nil {
		return err
	}
	// Only addresses that work are kept for the next start.
	if err := dir.write(fileMember, me); err != nil {
		return errors.Join(err, doors.close())
	}
	relieve := attend(o, dir, me, doors)
	core, err := openCore(dir, me, CoreConfig{Conn: doors.members, Version: o.Version, Logger: o.Logger, Fatal: endProcess(o.Logger)})
	relieved := relieve()
	if err != nil {
		return errors.Join(parting(err, o, me), relieved, doors.close())
	}
	if relieved != nil {
		return errors.Join(relieved, core.Close(), doors.close())
	}
	// The faces stop first, so that nothing new is asked of the core; then the core hands its leadership on and closes.
	err = parting(core.runFaces(ctx, o, doors), o, me)
	return errors.Join(err, core.leave(), core.Close(), doors.close())
}

// endProcess is what happens when the disk can no longer be trusted: no retry, no orderly end, no acknowledgement.
func endProcess(log *slog.Logger) func(error) {
	return func(err error) {
		log.Error("the disk can no longer be trusted; stopping at once", "err", err)
		os.Exit(1)
	}
}

// doors are the sockets of a member.
type doors struct {
	members net.PacketConn // UDP, for other members
	people  net.Listener   // TCP, for pinned certificates
	local   net.Listener   // Unix, for whoever may open the data directory
}

func openDoors(dir dataDir, a Addresses) (d doors, err error) {
	if d.members, err = net.ListenPacket("udp", a.Listen); err != nil {
		return d, fmt.Errorf("listen for members: %w; choose another address with --listen", err)
	}
	if d.people, err = net.Listen("tcp", a.APIListen); err != nil {
		return d, errors.Join(fmt.Errorf("listen for the API: %w; choose another address with --api-listen", err), d.close())
	}
	// The lock on the directory is ours, so a socket that lies there is of an agent that is no more.
	if err := os.Remove(dir.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return d, errors.Join(fmt.Errorf("remove old socket: %w", err), d.close())
	}
	if d.local, err = net.Listen("unix", dir.socket()); err != nil {
		return d, errors.Join(fmt.Errorf("listen on the data directory: %w", err), d.close())
	}
	if err := os.Chmod(dir.socket(), 0o600); err != nil {
		return d, errors.Join(fmt.Errorf("close socket to others: %w", err), d.close())
	}
	return d, nil
}

// close closes what is still open; the parts that were handed a socket close it too.
func (d doors) close() error {
	var errs []error
	if d.members != nil {
		errs = append(errs, d.members.Close())
	}
	for _, l := range []net.Listener{d.people, d.local} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	for i, err := range errs {
		if errors.Is(err, net.ErrClosed) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// runFaces serves the API and reconciles the member's cluster while the core runs.
func (c *Core) runFaces(ctx context.Context, o Options, d doors) error {
	works := newWorks(c)
	shown := newComputed(c, "Work", worksPause, &steadyWorks{works: works}, true)
	measured := computedKind(c, "ClusterMetrics", metricsPause, newMetrics(c).list)
	serving, err := c.identity.Serving(c.apiHost())
	if err != nil {
		return err
	}
	cluster, err := clusterConfig(o.Kubeconfig)
	if err != nil {
		return err
	}
	inCluster, err := c.aggregation(o, cluster)
	if err != nil {
		return err
	}
	people, err := c.clusterAPI(o, cluster)
	if err != nil {
		return err
	}
	hub := c.tunnels()
	defer hub.Close()
	own := &ownFacts{core: c, aggregated: inCluster.standing}
	api, err := apiserver.New(apiserver.Config{
		Fleet: c.self.Fleet, Cluster: c.self.Cluster, Version: o.Version, Certificate: serving,
		TCP: d.people, Socket: d.local, Tunnels: hub.Listener(), FrontProxy: inCluster.frontProxy(),
		Store: apiStore{c}, Companion: c.companion, Foretell: c.foretell, Holders: c.holdersNow, Judge: c.judge, Deleted: c.deletedRolledOut,
		Computed:  map[string]apiserver.Computed{"works": shown, "clustermetrics": measured},
		Endpoints: append(c.endpoints(works), people.endpoint(), c.tunnelEndpoint(hub)),
		Logger:    c.log.With("room", "apiserver"),
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.Run(ctx) })
	g.Go(func() error { return shown.follow(ctx) })
	g.Go(func() error { return measured.follow(ctx) })
	g.Go(func() error { return own.run(ctx) })
	g.Go(func() error { return api.Run(ctx) })
	g.Go(func() error { return c.settle(ctx) })
	if cluster != nil {
		g.Go(func() error { return c.reconcile(ctx, o, cluster, inCluster.standing) })
		g.Go(func() error { return inCluster.run(ctx) })
		g.Go(func() error { return people.run(ctx) })
		g.Go(func() error { return own.survey(ctx, cluster) })
	} else {
		c.controlPlane.Store(facts.NoControlPlane())
		c.log.Warn("no kubeconfig: this member keeps the fleet's state and takes commands, and reconciles nothing")
	}
	if o.Watch != nil {
		o.Watch(c.node.Healthy)
	}
	if o.Ready != nil {
		g.Go(func() error {
			if c.founded(ctx) {
				o.Ready()
			}
			return nil
		})
	}
	return g.Wait()
}

// founded waits, on the member that founds the fleet, until it has; others may be away from theirs when they start. It
// says whether ctx is still alive.
func (c *Core) founded(ctx context.Context) bool {
	return !c.self.Founder || c.store.WaitFor(ctx, 1) == nil
}

// reconcile makes the member's cluster as granted, and shows the fleet in it.
func (c *Core) reconcile(ctx context.Context, o Options, cluster *rest.Config, standing func() aggregate.Standing) error {
	tell, err := c.announcer(cluster)
	if err != nil {
		return err
	}
	grants, reports, shown := newGrants(c), newOwnReports(c, tell), newProjections(c)
	projector, err := c.projector(o, cluster, shown, tell.left)
	if err != nil {
		return err
	}
	beside := func(ctx context.Context) {
		withdraw(ctx, func() error { return project.Remove(ctx, cluster, c.self.Fleet) }, c.log.With("room", "project"))
	}
	if projector != nil {
		beside = projector.Run
	}
	r, err := reconcile.New(reconcile.Config{
		REST: cluster, Fleet: c.self.Fleet, Cluster: c.self.Cluster, Member: string(c.self.Incarnation),
		Grants: grants, Report: reports.take, Withdrawn: reports.withdrawn, Beside: beside, Logger: c.log.With("room", "reconcile"),
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return grants.follow(ctx) })
	if projector != nil {
		g.Go(func() error { return shown.follow(ctx) })
	}
	g.Go(func() error { return c.askControlPlane(ctx, cluster) })
	g.Go(func() error { return tell.teller.Run(ctx) })
	g.Go(func() error { return tell.watch(ctx, standing) })
	g.Go(func() error { return tell.deletions(ctx) })
	g.Go(func() error { return r.Run(ctx) })
	return g.Wait()
}

// leave hands the leadership on, so that a planned stop costs the fleet no election timeout.
func (c *Core) leave() error {
	if leader, _, ok := c.node.Leader(); !ok || string(leader) != string(c.self.Incarnation) || len(c.node.Status().Voters) < 2 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := c.node.Transfer(ctx); err != nil {
		c.log.Warn("could not hand the leadership on; the others elect", "err", err)
	}
	return nil
}
