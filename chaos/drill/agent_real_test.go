package drill

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"

	kube "k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// A member that has nothing to do is to stay within these.
const (
	idleMiB  = 96
	idleMCPU = 10
	idleFor  = time.Minute
)

// BenchmarkAgent measures members with everything on, beside real kube-apiservers: how long one takes from its start
// until it is ready, and what each costs in a minute in which nobody asks anything:
//
//	go test ./chaos/drill -run '^$' -bench Agent -benchtime 5x
func BenchmarkAgent(b *testing.B) {
	b.Logf("the bounds: %d MiB, %d mCPU, ready within a second", idleMiB, idleMCPU)
	b.Run("alone", func(b *testing.B) { measureAgents(b, 1) })
	b.Run("of three", func(b *testing.B) { measureAgents(b, 3) })
}

// measureAgents starts the last member of a fleet again and again, and then lets all of them rest.
func measureAgents(b *testing.B, members int) {
	f := newField(b, members, 1)
	running := map[string]*exec.Cmd{}
	for _, c := range f.bed.Clusters() {
		if err := c.Kill(testbed.Member); err != nil {
			b.Fatal(err)
		}
		running[c.Name()] = startWhole(b, f, c)
	}
	last := f.bed.Clusters()[members-1]
	var took []time.Duration
	for b.Loop() {
		endWhole(b, running[last.Name()])
		begun := time.Now()
		running[last.Name()] = startWhole(b, f, last)
		awaitReady(b, f.seat(b, last.Name()).rest())
		took = append(took, time.Since(begun))
	}
	defer func() {
		for _, member := range running {
			endWhole(b, member)
		}
	}()
	time.Sleep(idleFor) // they show themselves to their clusters, and measure them
	report(b, took)
	restTogether(b, f, running)
}

// restTogether reports what each member costs while nobody asks anything: the leader, and whichever other costs most.
func restTogether(b *testing.B, f *field, running map[string]*exec.Cmd) {
	b.Helper()
	leader := f.status(b, f.bed.Clusters()[0].Name()).Leader
	before := map[string]float64{}
	for name, member := range running {
		before[name] = cpuSeconds(b, member.Process.Pid)
	}
	time.Sleep(idleFor)
	worst := map[string]float64{}
	for name, member := range running {
		role := "follower"
		if name == leader {
			role = "leader"
		}
		mCPU := (cpuSeconds(b, member.Process.Pid) - before[name]) / idleFor.Seconds() * 1000
		mib := residentMiB(b, member.Process.Pid)
		worst["mCPU-"+role], worst["MiB-"+role] = max(worst["mCPU-"+role], mCPU), max(worst["MiB-"+role], mib)
	}
	for what, figure := range worst {
		b.ReportMetric(figure, what)
	}
}

// startWhole starts a cluster's member with everything on.
func startWhole(b *testing.B, f *field, c *testbed.Cluster) *exec.Cmd {
	b.Helper()
	cmd := exec.Command(f.hanse, "agent", "--data-dir", c.DataDir(), "--kubeconfig", c.Kubeconfig(), "--install-crds")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return cmd
}

func endWhole(b *testing.B, member *exec.Cmd) {
	b.Helper()
	if err := member.Process.Kill(); err != nil {
		b.Error(err)
	}
	_ = member.Wait() // it was killed
}

// awaitReady returns when a member says that it is ready.
func awaitReady(b *testing.B, config *kube.Config) {
	b.Helper()
	client, err := kube.HTTPClientFor(config)
	if err != nil {
		b.Fatal(err)
	}
	until(b, comesBack, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", answer.Status)
		}
		return nil
	})
}
