package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// waves is a fleet through which bundles roll, and what is known of its clusters as they really are.
type waves struct {
	t    *testing.T
	f    *sim.Fleet
	rng  *rand.Rand
	work sync.WaitGroup
	// all is every cluster of the fleet, by name.
	all map[string]*sim.Member

	mu sync.Mutex
	// sound are the grants that a cluster has been healthy with.
	sound map[written]bool
	// placed is where the cluster of each grant was when it was given, and given the latest grant of each key.
	placed map[written]string
	given  map[string]store.Revision
	// grants and rollouts are what was read of the log: every member looks at each of its entries.
	grants   reading[v1alpha1.Grant]
	rollouts reading[v1alpha1.Rollout]
	// wrong is what must never be.
	wrong  []string
	phases map[string]v1alpha1.RolloutPhase
	most   int
	// gated says that changes have to pass a gate, green are the grants since which its object has, and over the waves that have settled.
	gated bool
	green map[written]bool
	over  map[string]bool
	// looked are the grants of a bundle that depends on another that were looked at.
	looked map[written]bool
	// quiet is a cluster of which the log is not told that it is unreachable.
	quiet string
}

// keepQuiet lets the log refuse that a cluster is unreachable; nothing says so before.
func (w *waves) keepQuiet(cluster string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quiet = cluster
}

func (w *waves) refused(txn store.Txn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(txn.Then, func(op store.Op) bool {
		var c v1alpha1.Cluster
		return op.Key == v1alpha1.KeyClusters+w.quiet && json.Unmarshal(op.Value, &c) == nil && c.Status.Unreachable != nil
	})
}

// written is what lies at a key of the log since a revision.
type written struct {
	key string
	at  store.Revision
}

func writtenAt(kv store.KV) written { return written{kv.Key, kv.Modified} }

// reading is what was read of the log, nil of what is garbled.
type reading[T any] map[written]*T

func (r reading[T]) of(kv store.KV) *T {
	at := writtenAt(kv)
	value, known := r[at]
	if !known {
		if value = new(T); json.Unmarshal(kv.Value, value) != nil {
			value = nil
		}
		r[at] = value
	}
	return value
}

// judged looks at the log before each of its entries is applied, on every member. It knows of grants and of clusters, and nothing of
// how rollouts are decided.
type judged struct {
	law.Authority
	w *waves
}

// Authorize implements store.Authorizer.
func (j judged) Authorize(v *store.View, who store.Asker, txn store.Txn) error {
	j.w.look(v)
	if j.w.refused(txn) {
		return errors.New("it cannot be written")
	}
	return j.Authority.Authorize(v, who, txn)
}

// place is the region of a cluster when it was granted something; one that is in change already stays where that began, whoever
// relabels it meanwhile.
func (w *waves) place(v *store.View, kv store.KV, held bool) string {
	id := writtenAt(kv)
	if place, known := w.placed[id]; known {
		return place
	}
	name, _ := v1alpha1.CutGrantKey(kv.Key)
	var c v1alpha1.Cluster
	if at, there := v.Get(v1alpha1.KeyClusters + name); there && json.Unmarshal(at.Value, &c) != nil {
		w.wrong = append(w.wrong, at.Key+" is garbled")
	}
	place, last := c.Labels[v1alpha1.LabelRegion], w.given[kv.Key]
	if before, known := w.placed[written{kv.Key, last}]; known && kv.Created <= last && last < kv.Modified && w.isInChange(v, before) {
		place = before
	}
	if w.given[kv.Key] = max(last, kv.Modified); held {
		return place // what was begun is taken back, so it is nowhere
	}
	w.placed[id] = place
	return place
}

func (w *waves) isInChange(v *store.View, domain string) bool {
	for _, kv := range v.List(v1alpha1.KeyRollouts) {
		if r := w.rollouts.of(kv); r != nil && slices.Contains(r.Status.InChange, domain) {
			return true
		}
	}
	return false
}

// look counts the regions in which a cluster may do, or is doing, what the log grants it.
func (w *waves) look(v *store.View) {
	w.mu.Lock()
	defer w.mu.Unlock()
	regions := map[string]bool{}
	for _, kv := range v.List(v1alpha1.KeyGrants) {
		g := w.grants.of(kv)
		if g == nil {
			continue
		}
		w.judgeDepends(v, kv, g)
		if place := w.place(v, kv, g.Held); !g.Held && !w.sound[writtenAt(kv)] {
			regions[place] = true
		}
	}
	if len(regions) > 1 {
		w.wrong = append(w.wrong, fmt.Sprintf("in change at revision %d: %v", v.Revision(), slices.Sorted(maps.Keys(regions))))
	}
	w.most = max(w.most, len(regions))
	for _, kv := range v.List(v1alpha1.KeyRollouts) {
		r := w.rollouts.of(kv)
		if r == nil {
			w.wrong = append(w.wrong, kv.Key+" is garbled")
			continue
		}
		w.judgeGates(v, r)
		id := kv.Key + string(r.UID)
		if ended := w.phases[id]; ended.Ended() && r.Status.Phase != ended && v.Revision() > 0 {
			if !r.Status.Phase.Ended() { // a member that is behind sees the past: only the leader's own copy counts
				continue
			}
			w.wrong = append(w.wrong, fmt.Sprintf("%s ended twice, %s and %s", kv.Key, ended, r.Status.Phase))
		}
		w.phases[id] = r.Status.Phase
	}
}

// leans is a bundle that depends on another, and ground that one.
const leans, ground = "till", "shop"

// judgeDepends looks at a cluster that has got a bundle just now: it has been healthy with what it is granted of the one that this depends on.
func (w *waves) judgeDepends(v *store.View, kv store.KV, g *v1alpha1.Grant) {
	id := writtenAt(kv)
	if g.Bundle != leans || g.Held || g.Withdraw || w.looked[id] {
		return
	}
	if w.looked[id] = true; kv.Created != kv.Modified {
		return // it had it before
	}
	cluster, _ := v1alpha1.CutGrantKey(kv.Key)
	on, _ := v.Get(v1alpha1.GrantKey(cluster, ground))
	if has := w.grants.of(on); has == nil || has.Held || has.Withdraw || !w.sound[writtenAt(on)] {
		w.wrong = append(w.wrong, fmt.Sprintf("%s got %s at revision %d, and has %s: %+v", cluster, leans, kv.Modified, ground, has))
	}
}

// redGate is a gate by an object that every cluster has, and that is red there for a while.
var redGate = v1alpha1.RolloutGate{
	Name: "migrated", Object: &v1alpha1.ObjectRef{APIVersion: "batch/v1", Kind: "Job", Namespace: "shop", Name: "migrate"},
	Condition: &v1alpha1.GateCondition{Type: "Complete"},
}

// judgeGates looks at the waves of a rollout that have settled: in each of their clusters that has what the rollout granted, the object of
// the gate has passed since.
func (w *waves) judgeGates(v *store.View, r *v1alpha1.Rollout) {
	for i, wave := range r.Spec.Waves {
		id := fmt.Sprintf("%s %s %d", r.Name, r.UID, i)
		if len(r.Spec.Gates) == 0 || wave.Revision != "" || r.Status.Waves[i].Settled == nil || w.over[id] {
			continue
		}
		w.over[id] = true
		for _, cluster := range wave.Clusters {
			kv, _ := v.Get(v1alpha1.GrantKey(cluster, r.Spec.Bundle))
			var g v1alpha1.Grant
			has := json.Unmarshal(kv.Value, &g) == nil && g.Revision == r.Spec.Revision && !g.Held && !g.Withdraw
			if has && !w.green[writtenAt(kv)] {
				w.wrong = append(w.wrong, fmt.Sprintf("wave %d of %s settled at revision %d, and the gate is red in %s", i+1, r.Name, v.Revision(), cluster))
			}
		}
	}
}

// lookAtGate is what a cluster says of the gate of something that it was granted: it is red until the cluster has had that for a while.
func (w *waves) lookAtGate(id written, since, slow time.Duration) []v1alpha1.WorkGate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if since >= 2*slow {
		w.green[id] = true
	}
	return []v1alpha1.WorkGate{{Name: redGate.Name, Passes: w.green[id]}}
}

// clusterWork does what a cluster would, after a while, for what its own member's copy of the log grants it.
func (w *waves) clusterWork(ctx context.Context, m *sim.Member, slow time.Duration) {
	runs, done, due := map[string]v1alpha1.WorkStatus{}, map[string]store.Revision{}, map[written]time.Time{}
	grants, last := reading[v1alpha1.Grant]{}, said{}
	for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		core := m.Live()
		if core == nil {
			continue
		}
		v := core.Store().View()
		idle := suspended(v, m.Name)
		for _, kv := range v.List(v1alpha1.KeyGrants + m.Name + "/") {
			g, id := grants.of(kv), writtenAt(kv)
			if g == nil || g.Held {
				continue
			}
			if due[id].IsZero() {
				due[id] = time.Now().Add(slow)
			}
			switch {
			case idle:
				runs[g.Bundle] = v1alpha1.WorkStatus{Grant: int64(kv.Modified), Applied: runs[g.Bundle].Applied, Health: v1alpha1.HealthUnknown}
				delete(done, g.Bundle)
			case done[g.Bundle] == kv.Modified:
				work := runs[g.Bundle]
				work.Gates = w.lookAtGate(id, time.Since(due[id]), slow)
				runs[g.Bundle] = work
			case time.Now().Before(due[id]):
			case g.Withdraw:
				try, cancel := context.WithTimeout(ctx, time.Second)
				_ = core.Withdrawn(try, g.Bundle, g.BundleUID) // the next round tries again
				cancel()
				delete(runs, g.Bundle)
			default:
				runs[g.Bundle], done[g.Bundle] = v1alpha1.WorkStatus{Grant: int64(kv.Modified), Applied: g.Revision, Health: v1alpha1.HealthReady}, kv.Modified
				w.mu.Lock()
				w.sound[id] = true
				w.mu.Unlock()
			}
		}
		last.tell(core, runs)
	}
}

// said is what a cluster's member told last, and in which life: as the real one, it tells what is new, and not twenty times a second the same.
type said struct {
	core *agent.Core
	runs map[string]v1alpha1.WorkStatus
}

func (s *said) tell(core *agent.Core, runs map[string]v1alpha1.WorkStatus) {
	if s.core == core && reflect.DeepEqual(s.runs, runs) {
		return
	}
	s.core, s.runs = core, maps.Clone(runs)
	core.Tell(runs)
}

// rolling plays a life of a fleet of six clusters in three regions, with decisions by decide, and returns what went wrong.
func rolling(t *testing.T, seed uint64, decide func(plan.Situation) []plan.Step, play func(ctx context.Context, w *waves)) (wrong []string) {
	virtual.Test(t, func(t *testing.T) {
		w := &waves{t: t, rng: rand.New(rand.NewPCG(seed, 7)), sound: map[written]bool{}, placed: map[written]string{}, given: map[string]store.Revision{}, grants: reading[v1alpha1.Grant]{}, rollouts: reading[v1alpha1.Rollout]{}, phases: map[string]v1alpha1.RolloutPhase{}, green: map[written]bool{}, over: map[string]bool{}, looked: map[written]bool{}, all: map[string]*sim.Member{}}
		w.f = sim.New(t, wide)
		defer w.f.Close()
		w.f.InMemory()
		w.f.Tune = func(_ *sim.Member, c *agent.CoreConfig) {
			c.Seams.Authorizer = func(l law.Authority) store.Authorizer { return judged{l, w} }
			c.Seams.Decide = decide
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer w.work.Wait()
		defer cancel()
		w.enter(ctx, w.f.Found("fra", "eu"))
		for _, c := range []string{"ams eu", "iad us", "pdx us", "sin ap", "nrt ap"} {
			name, region, _ := strings.Cut(c, " ")
			w.enter(ctx, w.f.Join(name, region))
		}
		w.f.Settle(ctx, func(s *v1alpha1.FleetSpec) { s.Rollout = &v1alpha1.FleetRollout{Soak: &metav1.Duration{}} })
		play(ctx, w)
		w.mu.Lock()
		wrong = append([]string(nil), w.wrong...)
		w.mu.Unlock()
	})
	return wrong
}

func (w *waves) enter(ctx context.Context, m *sim.Member) {
	slow := time.Duration(100+w.rng.IntN(2000)) * time.Millisecond
	w.all[m.Name] = m
	w.work.Go(func() { w.clusterWork(ctx, m, slow) })
}

// someone is a member that runs, and is not cut off for all that is known.
func (w *waves) someone() *sim.Member {
	if l := w.f.Leader(); l != nil {
		return l
	}
	for _, m := range w.f.Members {
		if m.Running() {
			return m
		}
	}
	return nil
}

// apply writes a bundle anew, or deletes it; it may fail.
func (w *waves) apply(ctx context.Context, name string, erase bool) {
	m := w.someone()
	if m == nil {
		return
	}
	try, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	b := &v1alpha1.Bundle{TypeMeta: v1alpha1.TypeOf("Bundle"), ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(fmt.Sprintf("%08d-%s", w.rng.IntN(1e8), name))}}
	kv, there := m.Core.Store().View().Get(v1alpha1.KeyBundles + name)
	if there && json.Unmarshal(kv.Value, b) != nil {
		w.t.Errorf("%s is garbled", kv.Key)
	}
	b.Generation++
	b.Spec.Placement = v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}}
	if name == leans {
		b.Spec.DependsOn = []string{ground}
	}
	if w.gated {
		b.Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{redGate}}
	}
	value, err := json.Marshal(b)
	if err != nil {
		w.t.Error(err)
	}
	if erase {
		if value = nil; !there {
			return
		}
	}
	_, _ = sim.Propose(try, m.Core, v1alpha1.KeyBundles+name, value) // a cut may be in the way
}

// settled says that every rollout has ended and every cluster has the newest of each bundle.
func (w *waves) settled() string {
	l := w.f.Leader()
	if l == nil {
		return "nobody leads"
	}
	v := l.Core.Store().View()
	for _, kv := range v.List(v1alpha1.KeyRollouts) {
		var r v1alpha1.Rollout
		if err := json.Unmarshal(kv.Value, &r); err != nil || !r.Status.Phase.Ended() {
			return fmt.Sprintf("%s %s: %s %+v", r.Name, r.Status.Phase, r.Status.Message, r.Status.Waves)
		}
	}
	for _, kv := range v.List(v1alpha1.KeyBundles) {
		var b v1alpha1.Bundle
		if err := json.Unmarshal(kv.Value, &b); err != nil {
			return err.Error()
		}
		revision := v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)
		for _, m := range v.Members() {
			var g v1alpha1.Grant
			if kv, _ := v.Get(v1alpha1.GrantKey(m.Cluster, b.Name)); len(kv.Value) == 0 || json.Unmarshal(kv.Value, &g) != nil || g.Revision != revision || g.Held {
				return fmt.Sprintf("%s should have %s, and has %s", m.Cluster, revision, kv.Value)
			}
		}
	}
	return ""
}

// resume is a person that lets every rollout go on that stopped, and delete what it says it would.
func (w *waves) resume(ctx context.Context) {
	l := w.f.Leader()
	if l == nil {
		return
	}
	for _, kv := range l.Core.Store().View().List(v1alpha1.KeyRollouts) {
		var r v1alpha1.Rollout
		if json.Unmarshal(kv.Value, &r) != nil || r.Status.Phase.Ended() || !r.Stopped() && r.Status.Deletions == nil {
			continue
		}
		r.Spec.Orders.Resumed = r.Status.Stops
		letDelete(&r)
		if value, err := json.Marshal(r); err == nil {
			try, cancel := context.WithTimeout(ctx, 3*time.Second)
			_, _ = sim.Propose(try, l.Core, kv.Key, value) // it is tried again
			cancel()
		}
	}
}

// letDelete is what `hanse rollout approve --deletions` orders.
func letDelete(r *v1alpha1.Rollout) {
	if r.Status.Deletions == nil {
		return
	}
	said := maps.Clone(r.Spec.Orders.Deletions)
	if said == nil {
		said = map[string]int32{}
	}
	for _, c := range r.Status.Deletions.Clusters {
		said[c.Name] = c.Objects
	}
	r.Spec.Orders.Deletions = said
}

// bring applies what another bundle waits for, if it is not there.
func (w *waves) bring(ctx context.Context) {
	if l := w.f.Leader(); l != nil {
		v := l.Core.Store().View()
		_, waits := v.Get(v1alpha1.KeyBundles + leans)
		if _, there := v.Get(v1alpha1.KeyBundles + ground); waits && !there {
			w.apply(ctx, ground, false)
		}
	}
}

// disturb does one thing that may happen, and undoes it after a while.
func (w *waves) disturb(ctx context.Context) {
	m := w.f.Members[w.rng.IntN(len(w.f.Members))]
	bundle := []string{"cart", "shop", "till"}[w.rng.IntN(3)]
	region := []string{"ap", "eu", "us"}[w.rng.IntN(3)]
	while := time.Duration(1+w.rng.IntN(8)) * time.Second
	if w.rng.IntN(4) == 0 {
		while = 45 * time.Second // so long that what is away is lost
	}
	switch w.rng.IntN(12) {
	case 11:
		w.suspend(ctx, m.Name, bundle)
		w.apply(ctx, bundle, w.rng.IntN(4) == 0)
		time.Sleep(while)
		w.unsuspend(ctx) // a cut may be in the way
	case 10:
		w.relabel(ctx, m.Name, region)
	case 0, 1, 2, 3:
		w.apply(ctx, bundle, false)
		time.Sleep(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
	case 4:
		w.apply(ctx, bundle, true)
	case 5:
		m.Isolate()
		w.apply(ctx, bundle, false)
		time.Sleep(while)
		m.Rejoin()
	case 6:
		w.f.CutRegion(region)
		w.apply(ctx, bundle, false)
		time.Sleep(while)
		w.f.MendRegion(region)
	case 7:
		if m.Running() {
			m.Kill()
			time.Sleep(while)
			m.Start()
		}
	case 8:
		if l := w.f.Leader(); l != nil {
			l.Isolate()
			time.Sleep(while)
			l.Rejoin()
		}
	case 9:
		if w.all["gru"] == nil && w.f.Leader() != nil {
			w.apply(ctx, bundle, false)
			if joined := w.join(ctx); joined != nil {
				w.enter(ctx, joined)
			}
		}
	}
}

// relabel puts a cluster into another region, just after a change has begun; it may fail.
func (w *waves) relabel(ctx context.Context, cluster, region string) {
	w.apply(ctx, "shop", false)
	time.Sleep(time.Duration(w.rng.IntN(2000)) * time.Millisecond)
	w.edit(ctx, cluster, func(c *v1alpha1.Cluster) {
		v1alpha1.MirrorTopology(c)
		c.Labels[v1alpha1.LabelRegion] = region
	})
}

// suspend suspends a cluster, just after a change has begun, and says that it is to run again.
func (w *waves) suspend(ctx context.Context, cluster, bundle string) {
	w.apply(ctx, bundle, false)
	time.Sleep(time.Duration(w.rng.IntN(2000)) * time.Millisecond)
	w.edit(ctx, cluster, func(c *v1alpha1.Cluster) {
		c.Annotations = map[string]string{v1alpha1.AnnotationSuspended: "moving disks"}
	})
}

// unsuspend lets all clusters act again; false: not all of them, for now.
func (w *waves) unsuspend(ctx context.Context) bool {
	acting := true
	for name := range w.all {
		acting = w.edit(ctx, name, func(c *v1alpha1.Cluster) { delete(c.Annotations, v1alpha1.AnnotationSuspended) }) && acting
	}
	return acting
}

// suspended says that a cluster is suspended, for all that its own member knows.
func suspended(v *store.View, cluster string) bool {
	kv, _ := v.Get(v1alpha1.KeyClusters + cluster)
	var c v1alpha1.Cluster
	return json.Unmarshal(kv.Value, &c) == nil && v1alpha1.Suspension(&c) != ""
}

// edit changes a Cluster, if that is a change; false: a cut was in the way.
func (w *waves) edit(ctx context.Context, cluster string, change func(*v1alpha1.Cluster)) bool {
	m := w.someone()
	if m == nil {
		return false
	}
	try, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	kv, _ := m.Core.Store().View().Get(v1alpha1.KeyClusters + cluster)
	var c v1alpha1.Cluster
	if json.Unmarshal(kv.Value, &c) != nil {
		return false // it has not heard of it
	}
	before := c.DeepCopy()
	if change(&c); reflect.DeepEqual(before, &c) {
		return true
	}
	value, err := json.Marshal(c)
	if err == nil {
		_, err = sim.Propose(try, m.Core, kv.Key, value)
	}
	return err == nil
}

// join lets another cluster in, if that can be now.
func (w *waves) join(ctx context.Context) *sim.Member {
	l := w.f.Leader()
	try, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := l.Core.Node().Read(try); err != nil {
		return nil
	}
	return w.f.Join("gru", "us")
}

// rollingLife is a random life, after which all is healed.
func rollingLife(ctx context.Context, w *waves) {
	w.gated = w.rng.IntN(3) == 0
	for range 8 + w.rng.IntN(8) {
		w.disturb(ctx)
	}
	w.f.Net.Heal()
	last := "not looked at"
	for range 40 * 60 { // three bundles in three regions, each as long as its gates are red
		w.resume(ctx)
		w.bring(ctx)
		if !w.unsuspend(ctx) {
			last = "somebody may be suspended"
		} else if last = w.settled(); last == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, "four minutes after all is whole: "+last)
}

func TestNoRevisionOfTheLogHasTwoFaultDomainsInChange(t *testing.T) {
	for i := range rounds(*seeds) {
		seed := *seed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			for _, wrong := range rolling(t, seed, nil, rollingLife) {
				t.Errorf("seed %d: %s", seed, wrong)
			}
		})
	}
}

// TestTheLeaseOfAFleetIsCaughtBroken puts bugs back into a whole fleet: the reader of the log must see each.
func TestTheLeaseOfAFleetIsCaughtBroken(t *testing.T) {
	long(t)
	for name, decide := range map[string]func(plan.Situation) []plan.Step{
		"settled without health": func(s plan.Situation) []plan.Step {
			s.Sightings = maps.Clone(s.Sightings)
			for cluster, seen := range s.Sightings {
				seen.Works = map[string]v1alpha1.WorkStatus{}
				for bundle, grants := range s.Grants {
					seen.Works[bundle] = v1alpha1.WorkStatus{Grant: grants[cluster].At, Applied: grants[cluster].Revision, Health: v1alpha1.HealthReady}
				}
				s.Sightings[cluster] = seen
			}
			return plan.Decide(s)
		},
		"settled with a red gate": func(s plan.Situation) []plan.Step {
			for i := range s.Rollouts {
				s.Rollouts[i] = s.Rollouts[i].DeepCopy()
				s.Rollouts[i].Spec.Gates = nil
			}
			steps := plan.Decide(s)
			for _, step := range steps {
				for _, r := range step.Rollouts {
					r.Spec.Gates = []v1alpha1.RolloutGate{redGate}
				}
			}
			return steps
		},
		"a bundle before what it depends on": func(s plan.Situation) []plan.Step {
			s.Bundles = slices.Clone(s.Bundles)
			for i, b := range s.Bundles {
				s.Bundles[i] = b.DeepCopy()
				s.Bundles[i].Spec.DependsOn = nil
			}
			return plan.Decide(s)
		},
		"a lease for each bundle": func(s plan.Situation) (steps []plan.Step) {
			all := s.Rollouts
			for _, bundle := range []string{"cart", "shop"} {
				s.Rollouts = slices.DeleteFunc(slices.Clone(all), func(r *v1alpha1.Rollout) bool { return r.Spec.Bundle != bundle })
				for _, step := range plan.Decide(s) {
					if step.Bundle == bundle {
						steps = append(steps, step)
					}
				}
			}
			return steps
		},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := rolling(t, *seed, decide, func(ctx context.Context, w *waves) {
				w.gated = name == "settled with a red gate"
				for range 6 {
					w.apply(ctx, "shop", false)
					if name == "a bundle before what it depends on" {
						w.apply(ctx, leans, false)
					}
					time.Sleep(1500 * time.Millisecond)
					w.apply(ctx, "cart", false)
					time.Sleep(3 * time.Second)
				}
			})
			if len(wrong) == 0 {
				t.Errorf("seed %d: nothing caught it", *seed)
			}
		})
	}
}

func TestWhatCannotBeGrantedOfOneBundleHoldsNoOtherUp(t *testing.T) {
	t.Parallel()
	decide := func(s plan.Situation) []plan.Step {
		steps := plan.Decide(s)
		for _, step := range steps {
			for cluster, g := range step.Grants {
				if step.Bundle == "cart" { // it comes before the other one
					g.Revision = "nowhere"
					step.Grants[cluster] = g
				}
			}
		}
		return steps
	}
	wrong := rolling(t, *seed, decide, func(ctx context.Context, w *waves) {
		w.apply(ctx, "cart", false)
		w.apply(ctx, "shop", false)
		time.Sleep(time.Minute)
		var cart, shop v1alpha1.Rollout
		for _, kv := range w.leader().Core.Store().View().List(v1alpha1.KeyRollouts) {
			into := map[bool]*v1alpha1.Rollout{true: &cart, false: &shop}[strings.HasPrefix(kv.Key, v1alpha1.KeyRollouts+"cart-")]
			if err := json.Unmarshal(kv.Value, into); err != nil {
				t.Error(err)
			}
		}
		if shop.Status.Phase != v1alpha1.RolloutComplete {
			t.Errorf("shop is %s: %s", shop.Status.Phase, shop.Status.Message)
		}
		if want := "it cannot be granted: revision nowhere is granted but not in the log"; cart.Status.Phase.Ended() || cart.Status.Message != want {
			t.Errorf("cart is %s: %s", cart.Status.Phase, cart.Status.Message)
		}
	})
	if len(wrong) > 0 {
		t.Error(wrong)
	}
}
