package consensus_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/atrest/atresttest"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// benchGroup is three voters on real files and a network without latency.
func benchGroup(b *testing.B) *consensustest.Group { return diskGroup(b, false) }

func diskGroup(b *testing.B, encrypted bool) *consensustest.Group {
	g := consensustest.NewGroup(b, 3, 0)
	g.Tune = func(m *consensustest.Member, c *consensus.Config) {
		c.Stores, c.Dir = nil, b.TempDir()
		if encrypted {
			c.Key = atresttest.Key(b)
		}
		c.Timing = consensus.DefaultTiming()
		c.Timing.Stable = 100 * time.Millisecond
		c.Timing.Drive = 50 * time.Millisecond
	}
	g.Found(3)
	b.Cleanup(g.Close)
	return g
}

func BenchmarkPropose(b *testing.B) {
	for _, clients := range []int{1, 16, 128} {
		for _, from := range []string{"leader", "follower"} {
			b.Run(fmt.Sprintf("clients=%d/from=%s", clients, from), func(b *testing.B) {
				g := benchGroup(b)
				m := g.Leader()
				if from == "follower" {
					m = other(g, m)
				}
				latencies := hammer(b, m, clients)
				slices.Sort(latencies)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
				b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds()), "p99-µs")
				b.ReportMetric(float64(g.Leader().Node().Status().Term), "term") // above 2: there were elections
			})
		}
	}
}

// hammer makes b.N writes through a member, by so many clients at once.
func hammer(b *testing.B, m *consensustest.Member, clients int) []time.Duration {
	b.ResetTimer()
	latencies := writeAll(b, m, clients, b.N)
	b.StopTimer()
	return latencies
}

// writeAll makes so many writes through a member, and says how long each took.
func writeAll(b *testing.B, m *consensustest.Member, clients, n int) []time.Duration {
	latencies := make([]time.Duration, n)
	values := noise(1000 * 512)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				start := time.Now()
				if _, err := m.Node().Propose(context.Background(), put(fmt.Sprintf("/k/%d", i%1000), values[i%1000*512:][:512])); err != nil {
					b.Error(err)
					return
				}
				latencies[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	return latencies
}

// BenchmarkEncryptedDisk writes by turns to three voters whose disks are in the clear, and to three whose disks are encrypted: what else the
// machine does, it does to both.
func BenchmarkEncryptedDisk(b *testing.B) {
	const turn = 128 // writes
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			groups := []*consensustest.Group{diskGroup(b, false), diskGroup(b, true)}
			var took [2]time.Duration
			var latencies [2][]time.Duration
			for n := 0; b.Loop(); n++ {
				for i := range groups {
					i = (i + n) % 2 // who begins takes turns, too
					begun := time.Now()
					latencies[i] = append(latencies[i], writeAll(b, groups[i].Leader(), clients, turn)...)
					took[i] += time.Since(begun)
				}
			}
			for i, disk := range []string{"clear", "encrypted"} {
				slices.Sort(latencies[i])
				b.ReportMetric(float64(latencies[i][len(latencies[i])/2].Microseconds()), disk+"-p50-µs")
				b.ReportMetric(float64(len(latencies[i]))/took[i].Seconds(), disk+"-writes/s")
			}
		})
	}
}

func BenchmarkLargeValue(b *testing.B) {
	g := benchGroup(b)
	m := other(g, g.Leader())
	value := noise(8 << 20)
	b.SetBytes(8 << 20)
	for i := 0; b.Loop(); i++ {
		if _, err := m.Node().Propose(context.Background(), put("/big", fmt.Sprint(i)+value[i%4096:])); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	g := benchGroup(b)
	m := other(g, g.Leader())
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := m.Node().Read(context.Background()); err != nil {
				b.Error(err)
			}
		}
	})
}
