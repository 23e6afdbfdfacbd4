package sim_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

func clusterAt(t *testing.T, m *sim.Member, name string) (c v1alpha1.Cluster) {
	t.Helper()
	kv, ok := m.Core.Store().View().Get(v1alpha1.KeyClusters + name)
	if !ok {
		t.Fatalf("there is no cluster %s", name)
	}
	if err := json.Unmarshal(kv.Value, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// labelled gives the cluster a label, as an admin would.
func labelled(t *testing.T, through *sim.Member, name string) {
	t.Helper()
	c := clusterAt(t, through, name)
	c.Labels["tier"] = "prod"
	op, err := law.Put(v1alpha1.KeyClusters+name, c)
	if err != nil {
		t.Fatal(err)
	}
	propose(t, through, op)
}

func TestANewIncarnationTakesThePlaceOfOneWhoseDiskIsLost(t *testing.T) {
	for _, leader := range []bool{false, true} {
		name := "a voter"
		if leader {
			name = "the leader"
		}
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				f := sim.New(t, wide)
				defer f.Close()
				f.Found("fra", "eu")
				f.Join("iad", "us")
				f.Join("sin", "ap")
				f.Await("three members vote", time.Minute, func() bool { return f.Voters() == 3 && all(f, 3) })
				victim, other := pick(f, leader)
				labelled(t, other, victim.Name)
				id, token := victim.ID(), ""
				token, err := other.Core.CreateToken(t.Context(), law.Terms{Cluster: victim.Name, Replace: true})
				if err != nil {
					t.Fatal(err)
				}
				fresh := f.Candidate(victim.Name, victim.Region)
				if err := fresh.Enrol(t.Context(), token); err == nil || !strings.Contains(err.Error(), "is alive") {
					t.Errorf("beside a living member: %v", err)
				}
				victim.Kill()
				f.Await("another leads", time.Minute, func() bool { l := f.Leader(); return l != nil && l != victim })
				time.Sleep(15 * time.Second)
				fresh.Region = "elsewhere"
				if err := fresh.Enrol(t.Context(), token); err == nil || !strings.Contains(err.Error(), "is on record with region") {
					t.Errorf("a new one that says itself where the cluster is: %v", err)
				}
				fresh.Region = victim.Region
				for start := time.Now(); ; {
					err := fresh.Enrol(t.Context(), token)
					if err == nil {
						break
					}
					if time.Since(start) > time.Minute {
						t.Fatalf("after a minute: %v", err)
					}
				}
				fresh.Start()
				f.Await("three vote again, the new one among them", 2*time.Minute, func() bool {
					l := f.Leader()
					if l == nil {
						return false
					}
					voters := l.Core.Node().Status().Voters
					return len(voters) == 3 && contains(voters, fresh.ID()) && !contains(voters, id)
				})
				c := clusterAt(t, other, victim.Name)
				if c.Status.Incarnation != string(fresh.ID()) || c.Labels["tier"] != "prod" || c.Spec.Region != victim.Region {
					t.Errorf("the cluster is now %+v", c)
				}
				if in := letIn(t, other, "sin"); len(in) == 0 || in[0].Verb != v1alpha1.ChangeCreate {
					t.Errorf("who let sin in is recorded as %+v", in)
				}
				if in := letIn(t, other, victim.Name); len(in) == 0 || in[len(in)-1].Verb != v1alpha1.ChangeUpdate || in[len(in)-1].Through != other.Name {
					t.Errorf("who let the new one in is recorded as %+v", in)
				}
				write(t, fresh, "after", 1)
				victim.Start() // its disk was not lost after all
				f.Await("the old one is told that it was removed", time.Minute, victim.Ended)
				if err := victim.Stop(); !errors.Is(err, agent.ErrRemoved) {
					t.Errorf("it ended with: %v", err)
				}
			})
		})
	}
}

// letIn is what is recorded of the tokens that let the members of a cluster in, the oldest first.
func letIn(t *testing.T, m *sim.Member, cluster string) (in []v1alpha1.ChangeSpec) {
	t.Helper()
	changes := m.Core.Store().View().List(v1alpha1.KeyChanges)
	slices.SortFunc(changes, func(a, b store.KV) int { return cmp.Compare(a.Modified, b.Modified) })
	for _, kv := range changes {
		var c v1alpha1.Change
		if err := json.Unmarshal(kv.Value, &c); err != nil {
			t.Fatal(err)
		}
		if c.Spec.Resource == "clusters" && c.Spec.Name == cluster && c.Spec.Token != "" {
			in = append(in, c.Spec)
		}
	}
	return in
}

func contains(ids []store.MemberID, id store.MemberID) bool {
	for _, other := range ids {
		if other == id {
			return true
		}
	}
	return false
}

func propose(t *testing.T, through *sim.Member, op store.Op) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := sim.Propose(ctx, through.Core, op.Key, op.Value); err != nil {
		t.Fatal(err)
	}
}
