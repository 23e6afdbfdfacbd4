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

// BenchmarkAgent measures one member with everything on, beside a real kube-apiserver: how long it takes from its start
// until it is ready, and what it costs in a minute in which nobody asks anything:
//
//	go test ./chaos/drill -run '^$' -bench Agent -benchtime 5x
func BenchmarkAgent(b *testing.B) {
	f := newField(b, 1, 1)
	c := f.bed.Clusters()[0]
	if err := c.Kill(testbed.Member); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		member := startWhole(b, f, c)
		awaitReady(b, f.seat(b, c.Name()).rest())
		took = append(took, time.Since(begun))
		endWhole(b, member)
	}
	member := startWhole(b, f, c)
	defer endWhole(b, member)
	const rest = time.Minute
	time.Sleep(rest) // it shows itself to its cluster, and measures it
	pid := member.Process.Pid
	before := cpuSeconds(b, pid)
	time.Sleep(rest)
	report(b, took)
	b.ReportMetric((cpuSeconds(b, pid)-before)/rest.Seconds()*1000, "mCPU")
	b.ReportMetric(residentMiB(b, pid), "MiB-RSS")
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
