package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/render"
)

func driftVerb() *cli.Command {
	return &cli.Command{
		Name:  "drift",
		Usage: "say what in the clusters is not as it was granted, field by field; exits 3 when that is anything",
		UsageText: `hanse drift                            of all bundles and secrets, in all clusters
hanse drift shop --cluster iad
hanse drift shop --accept                        take over what somebody changed, as overrides of these clusters
hanse drift shop deployment/web --ignore         leave the fields that differ there to others, in all clusters
hanse drift shop --cluster iad --correct         put it right there, once, though the bundle's drift is Report

Every cluster is asked, as you, what applying would change back: a dry run there. What was put right by itself since the
member started stands below. A bundle with drift: Report is left as it is; drift: Correct puts it right. Of a secret the clusters say it themselves.`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.StringSliceFlag{Name: "cluster", Usage: "in the cluster NAME only; may be repeated"},
			&cli.BoolFlag{Name: "accept", Usage: "let the bundle say what is there, by overrides"},
			&cli.BoolFlag{Name: "ignore", Usage: "let the bundle leave these fields to others"},
			&cli.BoolFlag{Name: "correct", Usage: "have the members put right, once, what differs now"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "with --correct: in several fault domains at once, do not ask"},
			&cli.BoolFlag{Name: "dry-run", Usage: "with --accept, --ignore or --correct: show what would be done, and write nothing"}),
		Action: driftAction,
	}
}

func driftAction(c *cli.Context) error {
	doing := strings.TrimRight("drift "+c.Args().First(), " ")
	if err := driftUsage(c); err != nil {
		return during(doing, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	d, err := newDrifting(ctx, c)
	if err != nil {
		return during(doing, err)
	}
	bundles, err := d.rolledOut(ctx, c.Args().First())
	if err != nil {
		return during(doing, err)
	}
	named, err := d.reach.clusters(c.StringSlice("cluster"))
	if err != nil {
		return during(doing, err)
	}
	if d.works, err = d.fleet.works(ctx); err != nil {
		return during(doing, err)
	}
	works := d.works
	if c.Bool("accept") || c.Bool("ignore") {
		return during(doing, d.settle(ctx, bundles[0], works[bundles[0].Name], named))
	}
	if c.Bool("correct") {
		return during(doing, d.correct(ctx, bundles[0], works[bundles[0].Name], named))
	}
	for _, b := range bundles {
		if err := d.look(ctx, b, works[b.Name], named); err != nil {
			return during("drift "+b.Name, err)
		}
	}
	return d.tell(time.Now())
}

// drifting is one run of drift.
type drifting struct {
	differ
	works   map[string]map[string]v1alpha1.Work // by bundle and cluster
	found   []drift
	unknown map[string]bool // clusters that could not be asked
	mended  []v1alpha1.Work // where something was put right
	asked   map[string]bool
	// differing are a line each for what is sealed, and not as it was granted.
	differing []string
}

// drift is a bundle that is not as it was granted in some clusters.
type drift struct {
	bundle   v1alpha1.Bundle
	clusters []prospect
}

func driftUsage(c *cli.Context) error {
	said := 0
	for _, way := range []string{"accept", "ignore", "correct"} {
		if c.Bool(way) {
			said++
		}
	}
	settles := said > 0
	switch {
	case said > 1:
		return usage("one of --accept, --ignore and --correct")
	case settles && c.NArg() == 0:
		return usage("of which bundle?", hint{"see what differs", "drift"})
	case !settles && c.NArg() > 1:
		return usage("one bundle at a time, or all")
	case !settles && c.Bool("dry-run"):
		return usage("--dry-run goes with --accept, --ignore or --correct: without them nothing is written")
	}
	return nil
}

func newDrifting(ctx context.Context, c *cli.Context) (*drifting, error) {
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return nil, err
	}
	d := &drifting{differ: differ{c: c, applier: applier{c: c, fleet: f}}, unknown: map[string]bool{}, asked: map[string]bool{}}
	d.reach, err = reachClusters(ctx, c)
	return d, err
}

// rolledOut is what somebody named, or all. Of what is sealed nothing is taken over.
func (d *drifting) rolledOut(ctx context.Context, word string) ([]v1alpha1.Bundle, error) {
	if word == "" {
		return d.fleet.allRolledOut(ctx)
	}
	name, err := storedName(word)
	if err != nil {
		return nil, err
	}
	if rolled := v1alpha1.RolledOutOf(name); rolled.IsSecret() && (d.c.Bool("accept") || d.c.Bool("ignore")) {
		return nil, usage(rolled.Title()+" is sealed as a whole, and what clusters have otherwise is put right", hint{words: "seal the value that it is to have: hanse seal"})
	}
	one, err := d.fleet.rolledOut(ctx, name)
	if err != nil {
		return nil, err
	}
	return []v1alpha1.Bundle{*one}, nil
}

// look compares what clusters have of a bundle with what they were granted of it.
func (d *drifting) look(ctx context.Context, b v1alpha1.Bundle, works map[string]v1alpha1.Work, named []string) error {
	steps, err := d.granted(ctx, b, works, named)
	if err == nil {
		d.note(b, d.lookAll(ctx, steps, "not known"))
	}
	return err
}

// granted is what clusters were granted of a bundle.
func (d *drifting) granted(ctx context.Context, b v1alpha1.Bundle, works map[string]v1alpha1.Work, named []string) (steps []step, err error) {
	contents := contents{fleet: d.fleet, had: map[string]v1alpha1.BundleContent{}}
	for _, cluster := range slices.Sorted(maps.Keys(works)) {
		work := works[cluster]
		if !slices.Contains(named, cluster) || work.Spec.Granted == "" {
			continue
		}
		if work.Status.DriftCorrected > 0 {
			d.mended = append(d.mended, work)
		}
		if v1alpha1.RolledOutOf(b.Name).IsSecret() {
			d.sealed(b, work)
			continue
		}
		content, err := contents.get(ctx, work.Spec.Granted)
		if err != nil {
			return nil, err
		}
		s := step{bundle: b.Name, cluster: cluster, adopts: v1alpha1.AdoptAlways, has: true, runs: runsIn(d.works, cluster)}
		s.after, s.err = render.Render(content, work.Spec.Frozen)
		steps = append(steps, s)
	}
	return steps, nil
}

// sealed takes what a cluster says of a secret: only its member can compare it, and it puts right what differs.
func (d *drifting) sealed(b v1alpha1.Bundle, work v1alpha1.Work) {
	d.asked[work.Spec.Cluster] = true
	if work.Status.Drifted > 0 {
		d.differing = append(d.differing, fmt.Sprintf("%s: not as granted in %s, as the cluster says: it is sealed", b.Name, work.Spec.Cluster))
	}
}

func (d *drifting) note(b v1alpha1.Bundle, all []prospect) {
	one := drift{bundle: b}
	for _, p := range all {
		d.asked[p.Cluster] = true
		p.forget(p.Unasked)
		if p.Granted || len(p.Unasked) > 0 {
			d.unknown[p.Cluster] = true
		}
		if !p.Granted && p.differs() {
			one.clusters = append(one.clusters, p)
		}
	}
	if len(one.clusters) > 0 {
		d.found = append(d.found, one)
	}
}

// tell prints it; the error is how drift ends.
func (d *drifting) tell(now time.Time) error {
	v := diffView{out: d.c.App.Writer, paint: newPaint(d.c.App.Writer)}
	for _, said := range d.differing {
		v.line(said)
	}
	if len(d.found)+len(d.differing) == 0 {
		v.line("as granted in " + clusterCount(len(d.asked)-len(d.unknown)))
	}
	for i, one := range d.found {
		if i > 0 {
			v.line("")
		}
		v.line(fmt.Sprintf("%s: not as granted in %s; drift: %s", one.bundle.Name,
			clusterCount(len(one.clusters)), cmp.Or(one.bundle.Spec.Drift, v1alpha1.DriftCorrect)))
		for _, group := range alikeIn(one.clusters) {
			v.group(group)
		}
	}
	d.tellMended(v, now)
	if len(d.found)+len(d.differing)+len(d.unknown) > 0 {
		return &failure{code: exitDiffers}
	}
	return nil
}

// tellMended says what was put right, the latest first.
func (d *drifting) tellMended(v diffView, now time.Time) {
	if len(d.mended) == 0 {
		return
	}
	slices.SortStableFunc(d.mended, func(a, b v1alpha1.Work) int {
		return cmp.Compare(lastDrift(b).UnixNano(), lastDrift(a).UnixNano())
	})
	v.line("")
	v.line("put right")
	lines := [][]string{}
	for _, w := range d.mended {
		last := ""
		if l := w.Status.LastDrift; l != nil {
			last = fmt.Sprintf("last %s: %s", howLongAgo(now.Sub(l.At.Time)), plan.Name(l.ObjectRef))
			if l.Manager != "" {
				last += ", edited by " + l.Manager
			}
		}
		lines = append(lines, []string{"  " + w.Spec.Cluster, w.Spec.Bundle, v1alpha1.Counted(w.Status.DriftCorrected, "once", "%d times"), last})
	}
	(&tablePrinter{out: v.out}).lines(lines)
}

func lastDrift(w v1alpha1.Work) time.Time {
	if w.Status.LastDrift == nil {
		return time.Time{}
	}
	return w.Status.LastDrift.At.Time
}
