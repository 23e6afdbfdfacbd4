package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

const (
	hundred = 100
	// gathers is how long a hundred processes may take to find each other on two processors that start all of them, and have
	// other work. How long it took is printed, and not judged.
	gathers = 5 * time.Minute
	// restsFor is how long they are watched while nothing happens.
	restsFor = 20 * time.Second
	// settles is how many elections a restart of all may cost on two processors that start a hundred: the first leader may be one
	// whose process waits for its turn.
	settles = 4
)

// TestAHundredDaemons runs a hundred real members without clusters on one machine: some 8 GB of memory, and a minute or two
// of two processors.
func TestAHundredDaemons(t *testing.T) {
	f := throng(t, hundred, "eu", "us", "ap", "sa")
	t.Run("a commit reaches all", func(t *testing.T) {
		for i := range 3 {
			tell(t, f[i].Person(), userNamed(fmt.Sprint("crowd-", i)), "apply", "-f", "-")
			at, err := f[i].Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			took := until(t, comesBack, f.each(func(s v1alpha1.FleetStatus) error {
				if s.Revision < at.Revision {
					return fmt.Errorf("%s is at %d of %d", s.Member, s.Revision, at.Revision)
				}
				return nil
			}))
			t.Logf("a write through %s is on all %d, asked one after the other, after %s", f[i].Cluster, len(f), round(took))
		}
	})
	t.Run("a follower becomes a voter, and one again", func(t *testing.T) {
		for _, voters := range []int{5, 3} {
			fleet := fmt.Appendf(nil, "apiVersion: fleet.hanse.dev/v1alpha1\nkind: Fleet\nmetadata: {name: acme}\nspec: {voters: %d}\n", voters)
			ended(t, 0, tell(t, f[0].Person(), fleet, "apply", "--force-conflicts", "-f", "-"), []string{"apply"})
			took := until(t, gathers, f.each(func(s v1alpha1.FleetStatus) error {
				if s.Quorum.Voters != voters || s.Quorum.Reached != voters {
					return fmt.Errorf("%s sees %d of %d voters", s.Member, s.Quorum.Reached, s.Quorum.Voters)
				}
				return nil
			}))
			t.Logf("%d vote, and all know it, after %s", voters, round(took))
		}
	})
	t.Run("all are killed and start at once, and are a fleet again", func(t *testing.T) {
		before := elections(t, f)
		for _, d := range f {
			if err := d.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range f {
			if err := d.Start(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("all see all again after %s", round(until(t, gathers, f.each(whole))))
		switch n := elections(t, f) - before; {
		case n == 0:
			t.Error("no log tells of the election after the restart")
		case n > settles:
			t.Errorf("%d elections until all saw all: the leader melts", n)
		}
		ended(t, 0, tell(t, f[0].Person(), userNamed("after"), "apply", "-f", "-"), []string{"apply"})
	})
}

// crowd is many daemons without clusters.
type crowd []*Daemon

// throng founds a fleet of so many members, the regions in turn, and waits until everybody sees everybody.
func throng(t testing.TB, members int, regions ...string) crowd {
	t.Helper()
	hanse := hanseBinary(t)
	f := crowd(gather(t, hanse, "acme", place{"m0", regions[0]}))
	founder := f[0]
	dir, begun := folder(t), time.Now()
	taken := map[string]bool{founder.Members(): true}
	var joining errgroup.Group
	joining.SetLimit(8)
	for i := 1; i < members; {
		d, err := NewDaemon(hanse, dir, fmt.Sprint("m", i), regions[i%len(regions)])
		if err != nil {
			t.Fatal(err)
		}
		if taken[d.Members()] {
			continue
		}
		i, taken[d.Members()] = i+1, true
		f = append(f, d)
		joining.Go(func() error { return d.enrol(t.Context(), founder) })
	}
	if err := joining.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d have joined after %s", members, round(time.Since(begun)))
	for _, d := range f[1:] {
		if err := d.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bury(t, d) })
	}
	t.Logf("all see all %s after they started", round(until(t, gathers, f.each(whole))))
	return f
}

// enrol makes the daemon's data directory by a token that another one gives.
func (d *Daemon) enrol(ctx context.Context, through *Daemon) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, through.Socket())
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://member.hanse"+v1alpha1.PathTokens, bytes.NewBufferString("{}"))
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var token v1alpha1.TokenAnswer
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil {
		return err
	}
	_, err = agent.Join(ctx, agent.JoinOptions{
		DataDir: d.Dir, Cluster: d.Cluster, Region: d.Region, Token: token.Token,
		Addresses: agent.Addresses{Listen: d.Members(), APIListen: d.People()},
	})
	return err
}

// whole says what a member lacks of a fleet where everybody is reached, and three vote.
func whole(s v1alpha1.FleetStatus) error {
	if len(s.Clusters) != hundred || !s.Quorum.Have || s.Quorum.Voters != 3 {
		return fmt.Errorf("%s knows of %d members, %d of them voters", s.Member, len(s.Clusters), s.Quorum.Voters)
	}
	for _, c := range s.Clusters {
		if !c.Reachable {
			return fmt.Errorf("%s does not see %s", s.Member, c.Name)
		}
	}
	return nil
}

// each holds every member's status to something. Who has been right once is not asked again by the same wait.
func (f crowd) each(right func(v1alpha1.FleetStatus) error) func(context.Context) error {
	left := slices.Clone(f)
	return func(ctx context.Context) error {
		for len(left) > 0 {
			s, err := left[0].Status(ctx)
			if err != nil {
				return err
			}
			if err := right(s); err != nil {
				return err
			}
			left = left[1:]
		}
		return nil
	}
}

// BenchmarkAHundredAtRest measures what the leader and the others of a hundred take while nobody asks anything:
//
//	go test ./chaos/drill -run '^$' -bench AHundred -benchtime 1x
func BenchmarkAHundredAtRest(b *testing.B) {
	f := throng(b, hundred, "eu", "us", "ap", "sa")
	s, err := f[0].Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	i := slices.IndexFunc(f, func(d *Daemon) bool { return d.Cluster == s.Leader })
	if i < 0 {
		b.Fatal("nobody leads")
	}
	before := make([]float64, len(f))
	for n, d := range f {
		before[n] = cpuSeconds(b, d.Pid())
	}
	time.Sleep(restsFor)
	var mCPU, mib []float64
	for n, d := range f {
		used, has := (cpuSeconds(b, d.Pid())-before[n])/restsFor.Seconds()*1000, residentMiB(b, d.Pid())
		if n == i {
			b.ReportMetric(used, "leader-mCPU")
			b.ReportMetric(has, "leader-MiB")
			continue
		}
		mCPU, mib = append(mCPU, used), append(mib, has)
	}
	slices.Sort(mCPU)
	slices.Sort(mib)
	last := len(mCPU) - 1
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(mCPU[last/2], "median-mCPU")
	b.ReportMetric(mCPU[last], "most-mCPU")
	b.ReportMetric(mib[last/2], "median-MiB")
	b.ReportMetric(mib[last], "most-MiB")
}
