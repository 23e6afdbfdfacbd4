package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

//go:embed shop shop-v2
var shops embed.FS

const (
	demoDir     = ".demo"
	demoRegions = 3
	// stepLimit bounds every step but the build. Each takes seconds.
	stepLimit = 2 * time.Minute
)

func demoVerb() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "the whole story: a fleet of three regions, one command, drift, a region killed and healed",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "keep", Usage: "leave it running at the end"},
			hanseFlag(),
		},
		Action: demoAction,
	}
}

// demo is the story under way.
type demo struct {
	cli       *cli.Context
	story     *story
	keep      bool
	dir       string
	hanse     string
	binaries  testbed.Binaries
	testbed   *testbed.Testbed
	witnesses []*witness
	watching  errgroup.Group
	leader    string // the cluster of the leader, as last seen
}

func demoAction(c *cli.Context) error {
	path, err := hanse(c)
	if err != nil {
		return err
	}
	d := &demo{cli: c, keep: c.Bool("keep"), dir: demoDir, hanse: path, story: &story{out: c.App.Writer, steps: 7}}
	if c.String("dir") != "" {
		d.dir = c.String("dir")
	}
	if err := testbed.Down(d.dir); err != nil { // an earlier demo's
		return err
	}
	if d.testbed, err = testbed.Hold(d.dir); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context)
	err = d.tell(ctx)
	cancel()
	_ = d.watching.Wait() // witnesses do not fail
	return errors.Join(d.finish(err), d.testbed.Close())
}

// finish cleans up, whatever happened. What failed keeps its logs.
func (d *demo) finish(err error) error {
	switch {
	case err == nil && d.keep:
		d.howToPlay()
		return nil
	case err == nil:
		fmt.Fprintln(d.story.out, "\nthe fleet survived its leader's region. keep it and play: make demo KEEP=1")
		return d.testbed.Down()
	case d.cli.Context.Err() != nil:
		return errors.Join(err, d.testbed.Down())
	}
	return errors.Join(
		fmt.Errorf("demo: step %d of %d: %w\n  everything is stopped; logs: %s", d.story.step, d.story.steps, err, filepath.Join(d.dir, "*", "log")),
		d.testbed.Stop(),
	)
}

func (d *demo) howToPlay() {
	other := d.testbed.Clusters()[1]
	run := func(verb string) string { return self() + " " + verb + " --dir " + d.dir }
	lines := [][2]string{
		{fmt.Sprintf("export PATH=%s:%s:$PATH", filepath.Dir(d.hanse), d.binaries.Dir())},
		{fmt.Sprintf("eval \"$(%s)\"", run("env "+other.Name())), "kubectl and hanse now mean " + other.Name()},
		{"hanse status"},
		{run("kill " + other.Region()), "any other member still takes commands"},
		{run("heal " + other.Region())},
		{run("down"), "stops and deletes everything"},
	}
	fmt.Fprintf(d.story.out, "\nit is yours now, in %s\n", d.dir)
	for _, line := range lines {
		if line[1] != "" {
			line[0] = pad(line[0], 48) + "# " + line[1]
		}
		fmt.Fprintln(d.story.out, "  "+line[0])
	}
	fmt.Fprintf(d.story.out, "\nall clusters in one: kubectl --kubeconfig %s --context %s -n shop get configmaps\n", filepath.Join(d.dir, filepath.Base(d.testbed.Kubeconfig())), other.Name())
}

// tell goes through the steps. What a step says is what it measured.
func (d *demo) tell(ctx context.Context) error {
	fmt.Fprintf(d.story.out, "hanse demo: three regions on this machine, a real Kubernetes API server in each\n\n")
	if err := d.build(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{d.start, d.form, d.apply, d.drift, d.lose, d.heal} {
		limited, cancel := context.WithTimeoutCause(ctx, stepLimit, fmt.Errorf("not done within %s", stepLimit))
		err := step(limited)
		cancel()
		if err != nil {
			d.story.end("failed")
			return err
		}
		if d.story.step == 2 {
			d.watch(ctx)
		}
	}
	return nil
}

func (d *demo) build(ctx context.Context) error {
	title := fmt.Sprintf("build kube-apiserver %s and etcd %s from Go modules", testbed.KubernetesVersion, testbed.EtcdVersion)
	m := newMeter(d.story.out, fmt.Sprintf("[1/%d] %s", d.story.steps, title))
	var err error
	d.binaries, err = testbed.BuildBinaries(ctx, d.dir, m.report)
	took, shown := m.stop()
	d.story.begin(title) // only now: the meter had the line
	switch {
	case err != nil:
		d.story.end("failed")
		return err
	case shown:
		d.story.end(took.Round(time.Second).String() + "  (once; kept for next time)")
	default:
		d.story.end("there already")
	}
	return nil
}

func (d *demo) start(ctx context.Context) error {
	plan := testbed.Plan{
		Regions: demoRegions, ClustersPerRegion: 1, Fleet: "demo", Hanse: d.hanse, Binaries: d.binaries,
		Extras: []string{"shop", "shop-v2"},
	}
	if err := d.testbed.Prepare(plan); err != nil {
		d.story.begin("start three clusters")
		return err
	}
	d.story.begin("start " + places(d.testbed.Clusters()))
	begun := time.Now()
	if err := d.testbed.StartClusters(ctx, d.testbed.Clusters()...); err != nil {
		return err
	}
	d.story.end(seconds(time.Since(begun)))
	return d.writeShops()
}

func (d *demo) form(ctx context.Context) error {
	d.story.begin("make the fleet")
	begun := time.Now()
	if err := d.testbed.FormFleet(ctx); err != nil {
		return err
	}
	clusters := d.testbed.Clusters()
	d.story.end(seconds(time.Since(begun)))
	d.story.command(fmt.Sprintf("hanse init --fleet demo --cluster %s --region %s --no-recovery --soak 0s --max-domains 100  # everywhere at once", clusters[0].Name(), clusters[0].Region()), "")
	d.story.command(fmt.Sprintf("hanse token create | hanse join --cluster %s --region %s", clusters[1].Name(), clusters[1].Region()), "and "+clusters[2].Name())
	status, err := clusters[0].FleetStatus(ctx)
	if err != nil {
		return err
	}
	d.leader = status.Leader
	d.story.say("leader %s, can lose: %s", status.Leader, lose(status))
	return nil
}

// watch begins to see what happens in every cluster.
func (d *demo) watch(ctx context.Context) {
	for _, c := range d.testbed.Clusters() {
		w, err := newWitness(c)
		if err != nil {
			continue // the next step says that it is not there
		}
		d.witnesses = append(d.witnesses, w)
		d.watching.Go(func() error { w.run(ctx); return nil })
	}
}

func lose(status v1alpha1.FleetStatus) string {
	if len(status.RegionsYouCanLose) == 0 {
		return "none"
	}
	return "any one of " + strings.Join(status.RegionsYouCanLose, ", ")
}

// writeShops puts the manifests where a person can see and change them.
func (d *demo) writeShops() error {
	return fs.WalkDir(shops, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(d.dir, path)
		if entry.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		data, err := shops.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
}

// run runs a program as a person would in that cluster's shell, and returns what it printed.
func (d *demo) run(ctx context.Context, in *testbed.Cluster, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+d.testbed.Kubeconfig(), "HANSE_SERVER="+in.HanseServer())
	var out, talk strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n  %s", filepath.Base(path), strings.Join(args, " "), err, strings.TrimSpace(talk.String()))
	}
	return out.String(), nil
}
