package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// apply rolls the shop out by a member that does not lead.
func (d *demo) apply(ctx context.Context) error {
	d.story.begin("one command, any member")
	took, command, err := d.rollOut(ctx, d.testbed.Clusters(), "shop", "1")
	if err != nil {
		return err
	}
	d.story.end(seconds(slices.Max(took)) + " in all three")
	d.story.command(command.line, fmt.Sprintf("asked %s; %s is the leader", command.asked, d.leader))
	d.story.say("%s", each(d.testbed.Clusters(), took))
	return nil
}

// typed is a command and the member that was asked.
type typed struct{ line, asked string }

// rollOut applies a folder by the last of those clusters that does not lead, and measures when each has it, from the
// moment at which the command was typed.
func (d *demo) rollOut(ctx context.Context, in []*testbed.Cluster, folder, version string) ([]time.Duration, typed, error) {
	asked := in[len(in)-1]
	if asked.Name() == d.leader {
		asked = in[0]
	}
	args := []string{"apply", "--bundle", "shop", "--to", "all", "-f", filepath.Join(d.dir, folder) + "/"}
	command := typed{line: "hanse " + strings.Join(args, " "), asked: asked.Name()}
	witnesses := d.of(in)
	for _, w := range witnesses {
		if err := w.ready(ctx); err != nil {
			return nil, command, err
		}
	}
	begun := time.Now()
	if _, err := d.run(ctx, asked, d.hanse, args...); err != nil {
		return nil, command, err
	}
	var took []time.Duration
	for _, w := range witnesses {
		seen, err := w.sees(ctx, begun, hasVersion(version))
		if err != nil {
			return nil, command, err
		}
		took = append(took, seen.at.Sub(begun))
	}
	return took, command, d.verify(ctx, in, version)
}

func hasVersion(version string) func(map[string]string) bool {
	return func(data map[string]string) bool { return data["version"] == version }
}

// verify asks each kube-apiserver for the rest of the shop.
func (d *demo) verify(ctx context.Context, in []*testbed.Cluster, version string) error {
	for _, w := range d.of(in) {
		core := w.client.CoreV1()
		if err := until(ctx, func() error {
			_, err := core.Services(shopNamespace).Get(ctx, "shop", metav1.GetOptions{})
			if err == nil && version == "2" {
				_, err = core.ConfigMaps(shopNamespace).Get(ctx, "feature-flags", metav1.GetOptions{})
			}
			return err
		}); err != nil {
			return fmt.Errorf("shop in %s: %w", w.cluster.Name(), err)
		}
	}
	return nil
}

// drift changes an object by hand and sees it put right.
func (d *demo) drift(ctx context.Context) error {
	where := d.testbed.Clusters()[1]
	w := d.of([]*testbed.Cluster{where})[0]
	d.story.begin("someone edits by hand in " + where.Name())
	args := []string{
		"--context", where.Name(), "-n", shopNamespace, "patch", "cm", shopSettings,
		"-p", `{"data":{"greeting":"hi"}}`,
	}
	begun := time.Now()
	if _, err := d.run(ctx, where, d.binaries.Path(testbed.Kubectl), args...); err != nil {
		return err
	}
	edited, err := w.sees(ctx, begun, func(data map[string]string) bool { return data["greeting"] == "hi" })
	if err != nil {
		return err
	}
	right, err := w.sees(ctx, edited.at, func(data map[string]string) bool { return data["greeting"] == "welcome" })
	if err != nil {
		return err
	}
	d.story.end("put right after " + short(right.at.Sub(edited.at)))
	d.story.command(fmt.Sprintf(`kubectl --context %s -n shop patch cm %s -p '{"data":{"greeting":"hi"}}'`, where.Name(), shopSettings), "")
	return nil
}

// lose kills the region of the leader, and commands go on.
func (d *demo) lose(ctx context.Context) error {
	leader, err := d.testbed.Cluster(d.leader)
	if err != nil {
		return err
	}
	before, err := leader.FleetStatus(ctx)
	if err != nil {
		return err
	}
	region := leader.Region()
	survivors := slices.DeleteFunc(slices.Clone(d.testbed.Clusters()), func(c *testbed.Cluster) bool { return c.Region() == region })
	d.story.begin(fmt.Sprintf("region %s dies, with the leader in it", region))
	begun := time.Now()
	if err := d.testbed.Kill(region); err != nil {
		return err
	}
	status, err := newLeader(ctx, survivors)
	if err != nil {
		return err
	}
	d.leader = status.Leader
	after := time.Since(begun)
	if status.Revision < before.Revision {
		return fmt.Errorf("%s is at revision %d, and %d was acknowledged", status.Member, status.Revision, before.Revision)
	}
	d.story.end("")
	d.story.command("testbed kill "+region, "")
	d.story.say("new leader %s after %s, at revision %d of %d: nothing lost, no one asked", d.leader, seconds(after), status.Revision, before.Revision)
	took, command, err := d.rollOut(ctx, survivors, "shop-v2", "2")
	if err != nil {
		return err
	}
	d.story.command(command.line, "asked "+command.asked)
	owed, err := d.owed(ctx, survivors[0], leader)
	if err != nil {
		return err
	}
	d.story.say("%s   %s", each(survivors, took), owed)
	return nil
}

// newLeader waits until one of those leads, and says what it says.
func newLeader(ctx context.Context, among []*testbed.Cluster) (v1alpha1.FleetStatus, error) {
	var found v1alpha1.FleetStatus
	err := until(ctx, func() error {
		for _, c := range among {
			status, err := c.FleetStatus(ctx)
			if err != nil {
				return err
			}
			if status.Leader == c.Name() && status.Quorum.Have {
				found = status
				return nil
			}
		}
		return fmt.Errorf("no leader among %s", places(among))
	})
	return found, err
}

// owed says what the fleet knows of the shop in a cluster that is away.
func (d *demo) owed(ctx context.Context, asked, away *testbed.Cluster) (string, error) {
	out, err := d.run(ctx, asked, d.hanse, "get", "work", "shop."+away.Name(), "-o", "json")
	if err != nil {
		return "", err
	}
	var work v1alpha1.Work
	if err := json.Unmarshal([]byte(out), &work); err != nil {
		return "", fmt.Errorf("read work: %w", err)
	}
	if work.Spec.Wanted == "" || work.Status.Applied == work.Spec.Wanted {
		return "", fmt.Errorf("%s is not owed anything: wanted %q, applied %q", away.Name(), work.Spec.Wanted, work.Status.Applied)
	}
	return away.Name() + " owed", nil
}

// heal brings the region back, and it catches up.
func (d *demo) heal(ctx context.Context) error {
	var gone, others []*testbed.Cluster
	for _, c := range d.testbed.Clusters() {
		if len(c.Pids()) == 0 {
			gone = append(gone, c)
		} else {
			others = append(others, c)
		}
	}
	back := gone[0]
	d.story.begin(fmt.Sprintf("region %s comes back", back.Region()))
	begun := time.Now()
	healed := make(chan error, 1)
	go func() { healed <- d.testbed.Heal(ctx, back.Region()) }()
	revision, err := caughtUp(ctx, back, others[0])
	took := time.Since(begun)
	if healErr := <-healed; healErr != nil {
		return healErr
	}
	if err != nil {
		return err
	}
	d.story.end(fmt.Sprintf("%s at revision %d of %d after %s", back.Name(), revision, revision, seconds(took)))
	d.story.command("testbed heal "+back.Region(), "")
	live, err := d.of([]*testbed.Cluster{back})[0].sees(ctx, begun, hasVersion("2"))
	if err != nil {
		return err
	}
	if err := d.verify(ctx, d.testbed.Clusters(), "2"); err != nil {
		return err
	}
	d.story.say("what it was owed is live after %s, its kube-apiserver's start included", seconds(live.at.Sub(begun)))
	return nil
}

// caughtUp waits until the cluster's member has all that the other had when it was asked, which is returned.
func caughtUp(ctx context.Context, c, other *testbed.Cluster) (uint64, error) {
	var fleet v1alpha1.FleetStatus
	err := until(ctx, func() (err error) {
		if fleet, err = other.FleetStatus(ctx); err != nil {
			return err
		}
		status, err := c.FleetStatus(ctx)
		if err == nil && (status.Revision < fleet.Revision || status.Leader == "") {
			err = fmt.Errorf("%s is at revision %d of %d, leader %q", c.Name(), status.Revision, fleet.Revision, status.Leader)
		}
		return err
	})
	return fleet.Revision, err
}

// of are the witnesses of those clusters.
func (d *demo) of(clusters []*testbed.Cluster) []*witness {
	var found []*witness
	for _, w := range d.witnesses {
		if slices.Contains(clusters, w.cluster) {
			found = append(found, w)
		}
	}
	return found
}

// each is "fra 0.09 s   iad 0.12 s".
func each(clusters []*testbed.Cluster, took []time.Duration) string {
	var all []string
	for i, c := range clusters {
		all = append(all, c.Name()+" "+seconds(took[i]))
	}
	return strings.Join(all, "   ")
}

// until asks every few milliseconds until there is no error; when ctx ends it is the last one that counts.
func until(ctx context.Context, ask func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
