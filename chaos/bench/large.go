package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/drill"
	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/transport"
)

const (
	// perBundle are the objects of each: a namespace, an account and a ConfigMap.
	perBundle = 3
	// carriedIn bounds the wait for a thousand bundles.
	carriedIn = 10 * time.Minute
	// carried is what a member's log says of each bundle that it carried out.
	carried = `msg="carried out"`
)

// large measures what a fleet of a hundred clusters with a thousand bundles in each costs one member: its files, its memory, and how
// long it takes from its start until all of its own bundles are applied again, in a real cluster. All has been made by it, but what
// the other clusters were granted: they joined and never came, and the grants that a leader owes them are written while it is stopped.
func (b *bed) large(ctx context.Context) ([]Row, error) {
	s, err := b.realClusters(ctx, "large", 1, testbed.Options{AuditPolicy: everything})
	if err != nil {
		return nil, err
	}
	defer s.close()
	one := s[0]
	if err := b.joinOnly(ctx, one.member); err != nil {
		return nil, err
	}
	b.say("%d bundles of %d objects are applied", thousand, perBundle)
	first, err := b.bundlesInto(ctx, one)
	if err != nil {
		return nil, err
	}
	if err := one.member.Kill(); err != nil {
		return nil, err
	}
	b.say("the other %d clusters are granted them", b.Clusters-1)
	if err := grantOthers(ctx, one.member); err != nil {
		return nil, err
	}
	var log, snapshots, applied, said, cpu, memory, asked []float64
	for round := range b.Rounds {
		b.say("restart %d of %d", round+1, b.Rounds)
		r, err := one.restart(ctx)
		if err != nil {
			return nil, err
		}
		applied, said, cpu, asked = append(applied, r.applied.Seconds()), append(said, r.said.Seconds()), append(cpu, r.cpu), append(asked, r.requests)
		if err := rest(ctx, calm); err != nil {
			return nil, err
		}
		mib, err := residentMiB(one.member.Pid())
		if err != nil {
			return nil, err
		}
		l, n, err := storeMiB(one.member.Dir)
		if err != nil {
			return nil, err
		}
		log, snapshots, memory = append(log, l), append(snapshots, n), append(memory, mib)
		if err := one.member.Kill(); err != nil {
			return nil, err
		}
	}
	all := make([]float64, len(log))
	for i := range log {
		all[i] = log[i] + snapshots[i]
	}
	name := fmt.Sprintf("1,000 bundles × %d clusters, ", b.Clusters)
	return []Row{
		newRow(name+"store", inMiB, all, nil, atMost(100, inMiB)),
		newRow(name+"of that, snapshots", inMiB, snapshots, nil, nil),
		newRow(name+"start → all applied", inSeconds, applied, nil, atMost(30, inSeconds)),
		newRow(name+"start → status says so", inSeconds, said, nil, nil),
		newRow(name+"processor until then", coreSeconds, cpu, nil, nil),
		newRow(name+"requests until then", requests, asked, nil, nil),
		newRow(name+"memory at rest", inMiB, memory, nil, nil),
		newRow(name+"all applied for the first time", inSeconds, []float64{first.Seconds()}, nil, nil),
	}, nil
}

var (
	inSeconds = unit{name: "s"}
	requests  = unit{name: "requests"}
)

// joinOnly lets all clusters but the first join, without a member that runs.
func (b *bed) joinOnly(ctx context.Context, first *drill.Daemon) error {
	b.say("%d clusters join", b.Clusters-1)
	dir := b.folder("joined")
	joining, ctx := errgroup.WithContext(ctx)
	joining.SetLimit(8)
	for i := range b.Clusters - 1 {
		joining.Go(func() error {
			token, err := typed(ctx, first.Person(), "", "token", "create", "--voting", string(v1alpha1.VotingNever))
			if err != nil {
				return err
			}
			d, err := drill.NewDaemon(b.Hanse, dir, fmt.Sprintf("away-%03d", i), fmt.Sprintf("region-%d", i%regions))
			if err != nil {
				return err
			}
			_, err = typed(ctx, drill.Person{Hanse: b.Hanse}, token, append([]string{"join", "--cluster", d.Cluster, "--region", d.Region}, d.Addresses()...)...)
			return err
		})
	}
	return joining.Wait()
}

// bundlesInto makes the bundles, and waits until the cluster runs them all.
func (b *bed) bundlesInto(ctx context.Context, s *site) (took time.Duration, err error) {
	client, err := unthrottled(s.member.REST())
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	err = each(ctx, thousand, func(ctx context.Context, i int) error {
		_, err := client.Create(ctx, smallApplication(fmt.Sprintf("app-%04d", i)), metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := s.carriedOut(ctx, 0); err != nil {
		return 0, err
	}
	took = time.Since(begun)
	return took, until(ctx, func() error { return s.runsAll(ctx) })
}

func smallApplication(name string) *unstructured.Unstructured {
	object := func(kind string, more map[string]any) map[string]any {
		m := map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": name}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	namespace := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "Bundle", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"placement": map[string]any{"clusterSelector": map[string]any{}},
			"manifests": []any{
				namespace, object("ServiceAccount", nil),
				object("ConfigMap", map[string]any{"data": map[string]any{"settings": text(4 * valueSize)}}),
			},
		},
	}}
}

// carriedOut waits until the member's log, from an offset on, says of every bundle that it was carried out.
func (s *site) carriedOut(ctx context.Context, since int64) error {
	ctx, cancel := context.WithTimeout(ctx, carriedIn)
	defer cancel()
	return until(ctx, func() error {
		f, err := os.Open(s.member.Log)
		if err != nil {
			return err
		}
		defer f.Close()
		said, err := io.ReadAll(io.NewSectionReader(f, since, 1<<30))
		if n := bytes.Count(said, []byte(carried)); err == nil && n < thousand {
			err = fmt.Errorf("%d bundles are carried out", n)
		}
		return err
	})
}

// runsAll fails unless the member itself says that all bundles run in its cluster.
func (s *site) runsAll(ctx context.Context) error {
	status, err := s.member.Status(ctx)
	if err != nil {
		return err
	}
	for _, c := range status.Clusters {
		if c.Name == s.name && c.Bundles.Total == thousand && c.Bundles.Ready == thousand {
			return nil
		}
	}
	return fmt.Errorf("not all bundles run in %s", s.name)
}

// restarted is what a start of a member took.
type restarted struct {
	applied, said time.Duration
	cpu, requests float64
}

func (s *site) restart(ctx context.Context) (r restarted, err error) {
	log, err := os.Stat(s.member.Log)
	if err != nil {
		return r, err
	}
	audit, err := os.Stat(s.cluster.AuditLog())
	if err != nil {
		return r, err
	}
	begun := time.Now()
	if err := s.start(); err != nil {
		return r, err
	}
	if err := s.carriedOut(ctx, log.Size()); err != nil {
		return r, err
	}
	r.applied = time.Since(begun)
	if r.cpu, err = cpuSeconds(s.member.Pid()); err != nil {
		return r, err
	}
	if err := until(ctx, func() error { return s.runsAll(ctx) }); err != nil {
		return r, err
	}
	r.said = time.Since(begun)
	asked, err := requestsSince(s.cluster.AuditLog(), audit.Size())
	for _, of := range asked {
		r.requests += float64(len(of))
	}
	return r, err
}

// storeMiB is what a member's log and its snapshots take of the disk.
func storeMiB(dir string) (log, snapshots float64, err error) {
	raft := filepath.Join(dir, "raft")
	err = filepath.WalkDir(raft, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if mib := float64(info.Size()) / (1 << 20); strings.Contains(path, "snapshots") {
			snapshots += mib
		} else {
			log += mib
		}
		return nil
	})
	return log, snapshots, err
}

// grantOthers writes into a stopped member's log what its leader would have, had the other clusters come and run all.
func grantOthers(ctx context.Context, d *drill.Daemon) error {
	identity, err := transport.LoadIdentity(d.Dir, nil)
	if err != nil {
		return err
	}
	id := consensus.MemberID(identity.ID())
	c := MemberConfig{ID: id, Dir: d.Dir, Listen: d.Members(), Timeout: consensus.DefaultTiming().Lease, Members: []Companion{{ID: id, Pin: store.Pin(identity.Pin())}}}
	m, err := openMember(c, identity, nil, law.Authority{Address: transport.CheckAddress, Kept: &law.Kept{}})
	if err != nil {
		return err
	}
	err = m.grantAll(ctx, d.Cluster)
	if closed := m.close(); err == nil {
		err = closed
	}
	return err
}

func (m *member) grantAll(ctx context.Context, here string) (err error) {
	ctx, done := context.WithTimeout(ctx, carriedIn)
	defer done()
	m.node.WhileLeading(ctx, func(ctx context.Context, term uint64) {
		defer done()
		err = m.grantAs(ctx, term, here)
	})
	return err
}

// grantAs writes as the leader of a term, a bundle at a time.
func (m *member) grantAs(ctx context.Context, term uint64, here string) error {
	v := m.store.View()
	if granted := v.List(v1alpha1.KeyGrants + here + "/"); len(granted) != thousand {
		return fmt.Errorf("%d bundles are granted, not %d", len(granted), thousand)
	}
	for _, kv := range v.List(v1alpha1.KeyRollouts) {
		op, bundle, err := withoutOwed(kv)
		if err != nil {
			return err
		}
		ops := []store.Op{op}
		grant, _ := v.Get(v1alpha1.GrantKey(here, bundle))
		for _, other := range v.Members() {
			if other.Cluster != here {
				ops = append(ops, store.Put(v1alpha1.GrantKey(other.Cluster, bundle), grant.Value))
			}
		}
		if _, err := m.node.Propose(ctx, consensus.Proposal{Term: term, Txn: store.Txn{Then: ops}}); err != nil {
			return err
		}
	}
	return nil
}

// withoutOwed is a rollout that owes nobody, and whose it is.
func withoutOwed(kv store.KV) (op store.Op, bundle string, err error) {
	var before v1alpha1.Rollout
	if err := json.Unmarshal(kv.Value, &before); err != nil {
		return op, "", err
	}
	after := before.DeepCopy()
	after.Status.Owed = nil
	op, err = law.Amend(kv, &before, after)
	return op, before.Spec.Bundle, err
}
