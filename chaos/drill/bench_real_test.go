package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// BenchmarkFleet measures one fleet of three regions on this machine, whose clusters and members share its cores:
//
//	go test ./chaos/drill -run '^$' -bench Fleet -benchtime 100x
func BenchmarkFleet(b *testing.B) {
	f := newField(b, 3, 1)
	b.Run("from hanse apply to live in all three", func(b *testing.B) { f.measureApply(b) })
	b.Run("from an edit by hand to put right", func(b *testing.B) { f.measureRepair(b) })
	b.Run("idle", func(b *testing.B) { f.measureIdle(b) })
}

// measureApply measures from the start of the command to the event in the last of the three kube-apiservers.
func (f *field) measureApply(b *testing.B) {
	f.must(b, "sin", shop("0"), applyShop("--wait")...)
	var sights []<-chan watch.Event
	for _, c := range f.bed.Clusters() {
		sights = append(sights, f.watchSettings(b, c.Name(), "shop"))
	}
	var took []time.Duration
	for i := 1; b.Loop(); i++ {
		version := strconv.Itoa(i)
		begun := time.Now()
		f.must(b, "sin", shop(version), applyShop()...)
		for _, events := range sights {
			await(b, events, func(c *corev1.ConfigMap) bool { return c.Data["version"] == version })
		}
		took = append(took, time.Since(begun))
	}
	report(b, took)
}

// measureRepair measures from the event of an edit to the event of its repair, in the cluster where it happened. It
// edits one object after another: repairs of one that is changed again and again are slowed down.
func (f *field) measureRepair(b *testing.B) {
	const objects = 128
	var manifests []byte
	for i := range objects {
		manifests = fmt.Appendf(manifests, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: drift-%d, namespace: default}\ndata: {greeting: welcome}\n", i)
	}
	f.must(b, "sin", manifests, "apply", "--bundle", "drift", "--to", "all", "-f", "-", "--wait")
	client, events := f.kubernetes(b, "iad"), f.watchSettings(b, "iad", "default")
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("drift-%d", i%objects)
		says := func(greeting string) func(*corev1.ConfigMap) bool {
			return func(c *corev1.ConfigMap) bool { return c.Name == name && c.Data["greeting"] == greeting }
		}
		if _, err := client.CoreV1().ConfigMaps("default").Patch(b.Context(), name, types.MergePatchType, []byte(`{"data":{"greeting":"hi"}}`), metav1.PatchOptions{}); err != nil {
			b.Fatal(err)
		}
		begun := await(b, events, says("hi"))
		took = append(took, await(b, events, says("welcome")).Sub(begun))
	}
	report(b, took)
}

// measureIdle says what a member costs that has nothing to do.
func (f *field) measureIdle(b *testing.B) {
	const rest = 20 * time.Second
	time.Sleep(rest)
	var rss, cpu []float64
	for _, c := range f.bed.Clusters() {
		pid := c.Pids()[testbed.Member]
		before := cpuSeconds(b, pid)
		time.Sleep(rest)
		cpu = append(cpu, (cpuSeconds(b, pid)-before)/rest.Seconds())
		rss = append(rss, residentMiB(b, pid))
	}
	slices.Sort(rss)
	slices.Sort(cpu)
	info, err := os.Stat(f.hanse)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rss[len(rss)/2], "MiB-RSS")
	b.ReportMetric(cpu[len(cpu)/2]*100, "%-of-a-core")
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB-binary")
}

// watchSettings follows the ConfigMaps of a namespace in a cluster.
func (f *field) watchSettings(b *testing.B, cluster, namespace string) <-chan watch.Event {
	b.Helper()
	w, err := f.kubernetes(b, cluster).CoreV1().ConfigMaps(namespace).Watch(b.Context(), metav1.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Stop)
	return w.ResultChan()
}

// await returns when an event came after which a ConfigMap is as wanted.
func await(b *testing.B, events <-chan watch.Event, holds func(*corev1.ConfigMap) bool) time.Time {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for {
		select {
		case e := <-events:
			if c, ok := e.Object.(*corev1.ConfigMap); ok && holds(c) {
				return time.Now()
			}
		case <-ctx.Done():
			b.Fatal("no ConfigMap became as wanted within a minute")
		}
	}
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	at := func(p float64) float64 { return float64(took[int(p*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(at(0.5), "ms-p50")
	b.ReportMetric(at(0.99), "ms-p99")
}

// cpuSeconds is the processor time that a process has used, from /proc.
func cpuSeconds(b testing.TB, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, errUser := strconv.ParseFloat(fields[11], 64)
	system, errSystem := strconv.ParseFloat(fields[12], 64)
	if errUser != nil || errSystem != nil {
		b.Fatalf("read %s", text)
	}
	const ticks = 100 // a second, on every Linux that Go runs on
	return (user + system) / ticks
}

func residentMiB(b testing.TB, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		b.Fatal(err)
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		b.Fatal(err)
	}
	return resident * float64(os.Getpagesize()) / (1 << 20)
}
