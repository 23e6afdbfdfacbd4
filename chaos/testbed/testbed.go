package testbed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Testbed is a folder with clusters and a fleet that was, or is to be, made of them.
type Testbed struct {
	dir      string
	state    state
	lock     *os.File // nil: only for looking
	clusters []*Cluster
	opened   bool         // the clusters can be started
	reserved net.Listener // keeps other testbeds off the addresses, when this one chose them
}

// Plan is what a testbed is to have. What it has already stays.
type Plan struct {
	Regions, ClustersPerRegion int
	// Fleet is the fleet's name.
	Fleet string
	// Hanse is the path of the hanse binary.
	Hanse string
	// Binaries of Kubernetes; see BuildBinaries.
	Binaries Binaries
	// Extras are names in the folder that are the caller's own, to be deleted with the testbed.
	Extras []string
}

// Look opens a testbed to read from it, whoever else is at work in it.
func Look(dir string) (*Testbed, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s, err := readState(dir)
	if err != nil {
		return nil, err
	}
	t := &Testbed{dir: dir, state: s}
	for _, site := range s.Sites {
		t.clusters = append(t.clusters, lookCluster(filepath.Join(dir, site.Name), site))
	}
	return t, nil
}

// Hold opens or makes the folder and keeps other testbeds out of it until Close.
func Hold(dir string) (*Testbed, error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	t, err := Look(dir)
	if errors.Is(err, ErrNoTestbed) {
		t, err = &Testbed{}, nil
		t.dir, err = filepath.Abs(dir)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	t.lock = lock
	return t, nil
}

func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make %q: %w", dir, err)
	}
	lock, err := tryLock(filepath.Join(dir, fileLock))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return lock, nil
}

// Close lets go of the folder. What runs goes on.
func (t *Testbed) Close() error {
	if t.reserved != nil {
		t.reserved.Close()
	}
	return t.lock.Close()
}

// Dir is the testbed's folder, absolute.
func (t *Testbed) Dir() string { return t.dir }

// Clusters in the order of regions.
func (t *Testbed) Clusters() []*Cluster { return t.clusters }

// Cluster by name.
func (t *Testbed) Cluster(name string) (*Cluster, error) {
	var names []string
	for _, c := range t.clusters {
		if c.Name() == name {
			return c, nil
		}
		names = append(names, c.Name())
	}
	return nil, fmt.Errorf("no cluster %q; there are %s", name, strings.Join(names, ", "))
}

// Region is the clusters of a region.
func (t *Testbed) Region(name string) ([]*Cluster, error) {
	var in []*Cluster
	var names []string
	for _, c := range t.clusters {
		if c.Region() == name {
			in = append(in, c)
		}
		names = append(names, c.Region())
	}
	if len(in) == 0 {
		return nil, fmt.Errorf("no region %q; there are %s", name, strings.Join(slices.Compact(names), ", "))
	}
	return in, nil
}

// Prepare decides what there is to be and writes it down, before anything is started.
func (t *Testbed) Prepare(p Plan) error {
	var wanted []Site
	var err error
	if len(t.state.Sites) == 0 {
		t.state.Fleet = p.Fleet
		t.state.Base, wanted, t.reserved, err = chooseBase(p.Regions, p.ClustersPerRegion)
	} else {
		wanted, err = sites(t.state.Base, p.Regions, p.ClustersPerRegion)
	}
	if err != nil {
		return err
	}
	t.state.Sites = merge(t.state.Sites, wanted)
	t.state.Hanse, t.state.Binaries, t.state.Extras = p.Hanse, p.Binaries.Dir(), p.Extras
	if err := t.state.write(t.dir); err != nil {
		return err
	}
	t.opened = false
	return t.open()
}

// open makes every cluster's files, once.
func (t *Testbed) open() error {
	if t.opened {
		return nil
	}
	t.clusters = nil
	var kubeconfigs []string
	for _, site := range t.state.Sites {
		c, err := openCluster(filepath.Join(t.dir, site.Name), Options{Binaries: Binaries{dir: t.state.Binaries}, Site: site, lock: t.lock})
		if err != nil {
			return err
		}
		if err := c.checkSocket(); err != nil {
			return err
		}
		t.clusters = append(t.clusters, c)
		kubeconfigs = append(kubeconfigs, c.Kubeconfig())
	}
	t.opened = true
	return mergeKubeconfigs(t.Kubeconfig(), kubeconfigs)
}

// Kubeconfig is the path of a kubeconfig with a context per cluster.
func (t *Testbed) Kubeconfig() string { return filepath.Join(t.dir, fileMerged) }

// StartClusters starts what does not run of the clusters, as many at a time as there are processors.
func (t *Testbed) StartClusters(ctx context.Context, clusters ...*Cluster) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	for _, c := range clusters {
		group.Go(func() error { return c.Start(ctx) })
	}
	return group.Wait()
}

// FormFleet makes one fleet of all clusters, or completes it, and returns when every member is reached and as many
// vote as can.
func (t *Testbed) FormFleet(ctx context.Context) error {
	if err := t.foundFleet(ctx); err != nil {
		return fmt.Errorf("form fleet: %w", err)
	}
	if err := t.startMembers(ctx, t.clusters...); err != nil {
		return fmt.Errorf("form fleet: %w", err)
	}
	through := t.clusters[slices.IndexFunc(t.clusters, (*Cluster).enrolled)]
	if err := t.awaitFleet(ctx, through, 1); err != nil {
		return err
	}
	for _, c := range t.clusters {
		if c.enrolled() {
			continue
		}
		if err := c.join(ctx, t.state.Hanse, through); err != nil {
			return fmt.Errorf("form fleet: %w", err)
		}
		if err := c.startMember(ctx, t.state.Hanse); err != nil {
			return fmt.Errorf("form fleet: %w", err)
		}
	}
	return t.awaitFleet(ctx, through, len(t.clusters))
}

func (t *Testbed) foundFleet(ctx context.Context) error {
	if slices.ContainsFunc(t.clusters, (*Cluster).enrolled) {
		return nil
	}
	return t.clusters[0].found(ctx, t.state.Hanse, t.state.Fleet)
}

// startMembers starts the members of the clusters that are enrolled.
func (t *Testbed) startMembers(ctx context.Context, clusters ...*Cluster) error {
	for _, c := range clusters {
		if !c.enrolled() {
			continue
		}
		if err := c.startMember(ctx, t.state.Hanse); err != nil {
			return fmt.Errorf("start member %s: %w", c.Name(), err)
		}
	}
	return nil
}

// votersOf is how many of n members vote by default.
func votersOf(n int) int {
	if n < 3 {
		return 1
	}
	return 3
}

// awaitFleet waits until a member reaches that many, itself included, and the voters among them are there.
func (t *Testbed) awaitFleet(ctx context.Context, asked *Cluster, members int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("not there within 2 minutes"))
	defer cancel()
	var seen string
	err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		if err := asked.failed(); err != nil {
			return false, err
		}
		status, err := asked.FleetStatus(ctx)
		if err != nil {
			seen = err.Error()
			return false, nil
		}
		reachable, voters := 0, 0
		for _, c := range status.Clusters {
			if c.Reachable {
				reachable++
			}
			if c.Voter {
				voters++
			}
		}
		seen = fmt.Sprintf("%d of %d members reached, %d vote", reachable, members, voters)
		return reachable >= members && voters >= votersOf(members) && status.Quorum.Have, nil
	})
	if err != nil {
		return fmt.Errorf("form fleet: %w; %s says: %s", err, asked.Name(), seen)
	}
	return nil
}

// Kill ends everything in a region at once.
func (t *Testbed) Kill(region string) error {
	in, err := t.Region(region)
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, c := range in {
		group.Go(func() error { return c.Kill() })
	}
	return group.Wait()
}

// Heal starts a region again, with what it had.
func (t *Testbed) Heal(ctx context.Context, region string) error {
	if err := t.open(); err != nil {
		return err
	}
	in, err := t.Region(region)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.StartClusters(ctx, in...) })
	group.Go(func() error { return t.startMembers(ctx, in...) }) // they wait for no kube-apiserver
	return group.Wait()
}

// Down ends every process that any testbed ever started in the folder, and only those, and deletes what testbeds keep
// in it. It needs nothing but the process records.
func Down(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	return down(dir)
}

// Down is the function Down, of a testbed that is held.
func (t *Testbed) Down() error {
	t.state, t.clusters = state{}, nil
	return down(t.dir)
}

// Stop ends every process and keeps all files.
func (t *Testbed) Stop() error { return stop(t.dir) }

func down(dir string) error {
	if err := stop(dir); err != nil {
		return err
	}
	names := kept(dir)
	var errs []error
	for _, name := range names {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	errs = append(errs, os.Remove(filepath.Join(dir, fileLock)), removeEmpty(dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete testbed: %w", err)
	}
	return nil
}

// kept are the names of all that testbeds keep in a folder, however far they came. The state is the last: until it is
// deleted another down finds what is left.
func kept(dir string) []string {
	var names []string
	for _, cluster := range clusterDirs(dir) {
		names = append(names, filepath.Base(cluster))
	}
	if s, err := readState(dir); err == nil {
		names = append(names, s.Extras...)
		for _, site := range s.Sites {
			names = append(names, site.Name) // of one that was killed early there is the folder, without a place for programs
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !filepath.IsLocal(name) })
	return append(names, part(fileMerged), fileMerged, part(fileState), fileState)
}

func stop(dir string) error {
	var group errgroup.Group
	for _, cluster := range clusterDirs(dir) {
		group.Go(func() error { return launcher{records: filepath.Join(cluster, "run")}.kill(Programs...) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("stop testbed: %w", err)
	}
	return nil
}

// clusterDirs are the folders that programs may have been started from, whatever became of the state file.
func clusterDirs(dir string) []string {
	entries, _ := os.ReadDir(dir) // none, when it cannot be read
	var dirs []string
	for _, e := range entries {
		cluster := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(cluster, "run")); err == nil {
			dirs = append(dirs, cluster)
		}
	}
	return dirs
}

// removeEmpty removes a folder unless something is left in it.
func removeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return nil
	}
	return os.Remove(dir)
}
