package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// neighbours are so many bundles whose heads lie in one shard, number 3.
func neighbours(n int) (bundles []string) {
	for i := 0; len(bundles) < n; i++ {
		if name := fmt.Sprintf("bundle-%d", i); shardOf(name) == 3 {
			bundles = append(bundles, name)
		}
	}
	return bundles
}

func objectOf(bundle string, i int) key {
	return key{schema.GroupKind{Kind: "ConfigMap"}, "ns-of-" + bundle, fmt.Sprintf("object-%03d", i)}
}

// listOf is an inventory of so many objects of a bundle.
func listOf(bundle string, objects int) inventory {
	inv := inventory{bundle: bundle, bundleUID: "uid", entries: map[key]entry{}}
	for i := range objects {
		inv.entries[objectOf(bundle, i)] = entry{version: "v1", uid: "u"}
	}
	return inv
}

func mustSave(t testing.TB, s *inventories, have stored, inv inventory) stored {
	t.Helper()
	have, err := s.save(t.Context(), have, inv)
	if err != nil {
		t.Fatal(err)
	}
	return have
}

func mustLoad(t testing.TB, s *inventories, bundle string) stored {
	t.Helper()
	have, err := s.load(t.Context(), bundle)
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// TestManyListsCostFewWrites: all that wait while a shard is being written go into its next write.
func TestManyListsCostFewWrites(t *testing.T) {
	client := newConfigMaps()
	s := client.session()
	bundles := neighbours(200)
	underWay, proceed := client.holdCreate()
	var all sync.WaitGroup
	begin := func(bundle string) {
		all.Go(func() {
			if _, err := s.save(t.Context(), stored{}, listOf(bundle, 2)); err != nil {
				t.Error(err)
			}
		})
	}
	begin(bundles[0])
	<-underWay
	for _, bundle := range bundles[1:] {
		begin(bundle)
	}
	awaitWaiting(t, &s.heads.of[3], len(bundles)-1)
	close(proceed)
	all.Wait()
	if n := client.requests("create ", "update "); n != 2 {
		t.Errorf("%d lists cost %d writes", len(bundles), n)
	}
	again := client.session()
	for _, bundle := range bundles {
		if have := mustLoad(t, again, bundle); len(have.entries) != 2 {
			t.Errorf("of %s %d objects are listed", bundle, len(have.entries))
		}
	}
}

// holdCreate holds the one request that creates something until proceed is closed; underWay is closed once it is there.
func (c *configMaps) holdCreate() (underWay <-chan struct{}, proceed chan<- struct{}) {
	came, goes := make(chan struct{}), make(chan struct{})
	c.refuse = func(request string) error {
		if strings.HasPrefix(request, "create ") {
			close(came)
			<-goes
		}
		return nil
	}
	return came, goes
}

// awaitWaiting waits until so many errands wait.
func awaitWaiting(t *testing.T, s *shard, n int) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		waiting := len(s.waiting)
		s.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, not %d", waiting, n)
		}
	}
}

// TestWhoGoesTakesNobodyAlong: a bundle that is let go of while its list waits, or is being written, ends no other's write.
func TestWhoGoesTakesNobodyAlong(t *testing.T) {
	client := newConfigMaps()
	s := client.session()
	bundles := neighbours(3)
	underWay, proceed := client.holdCreate()
	ctx, leave := context.WithCancel(t.Context())
	var left, stays sync.WaitGroup
	save := func(to *sync.WaitGroup, ctx context.Context, bundle string, want error) {
		to.Go(func() {
			if _, err := s.save(ctx, stored{}, listOf(bundle, 2)); !errors.Is(err, want) {
				t.Errorf("%s: %v", bundle, err)
			}
		})
	}
	save(&left, ctx, bundles[0], context.Canceled)
	<-underWay
	save(&left, ctx, bundles[1], context.Canceled)
	save(&stays, t.Context(), bundles[2], nil)
	awaitWaiting(t, &s.heads.of[3], 2)
	leave()
	left.Wait()
	close(proceed)
	stays.Wait()
	again := client.session()
	for i, objects := range []int{2, 0, 2} { // the first was being written
		if have := mustLoad(t, again, bundles[i]); len(have.entries) != objects {
			t.Errorf("of %s %d objects are listed, not %d", bundles[i], len(have.entries), objects)
		}
	}
}

// TestTwoWritersOfAListExcludeEachOther, and of its neighbours they do not.
func TestTwoWritersOfAListExcludeEachOther(t *testing.T) {
	client := newConfigMaps()
	bundles := neighbours(3)
	mine, theirs := client.session(), client.session()
	var have []stored
	for _, bundle := range bundles {
		have = append(have, mustSave(t, mine, stored{}, listOf(bundle, 1)))
	}
	mustSave(t, theirs, mustLoad(t, theirs, bundles[0]), listOf(bundles[0], 5))
	if _, err := mine.save(t.Context(), have[0], listOf(bundles[0], 2)); !isLost(err) {
		t.Errorf("written over what somebody else wrote: %v", err)
	}
	mustSave(t, mine, have[1], listOf(bundles[1], 3))
	client.edit(t, shardName(3), func(cm *corev1.ConfigMap) { delete(cm.Data, bundles[2]) })
	if _, err := mine.save(t.Context(), have[2], listOf(bundles[2], 2)); !isLost(err) {
		t.Errorf("what a person took away is written again without a look: %v", err)
	}
	client.edit(t, shardName(3), nil)
	if _, err := mine.save(t.Context(), have[1], listOf(bundles[1], 2)); !isLost(err) {
		t.Errorf("a ConfigMap that a person deleted is made again without a look: %v", err)
	}
	mustSave(t, mine, mustLoad(t, mine, bundles[1]), listOf(bundles[1], 2))
	for i, objects := range []int{0, 2, 0} {
		if have := mustLoad(t, client.session(), bundles[i]); len(have.entries) != objects {
			t.Errorf("of %s %d objects are listed, not %d", bundles[i], len(have.entries), objects)
		}
	}
}

// TestWhatAPersonGarblesIsDamaged: that list, and no other.
func TestWhatAPersonGarblesIsDamaged(t *testing.T) {
	for name, garble := range map[string]func(head string) string{
		"cut":                func(head string) string { return head[:len(head)/2] },
		"not an object":      func(string) string { return "[]" },
		"of another bundle":  func(head string) string { return strings.Replace(head, `"bundle":"bundle-`, `"bundle":"of-`, 1) },
		"an object less":     func(head string) string { return strings.Replace(head, `[\"\",\"v1\",\"ConfigMap\"`, "", 1) },
		"an unknown format":  func(head string) string { return strings.Replace(head, `"format":"2"`, `"format":"3"`, 1) },
		"chunks that aren't": func(head string) string { return strings.Replace(head, `"format":"2"`, `"format":"1"`, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			client := newConfigMaps()
			bundles := neighbours(2)
			for _, bundle := range bundles {
				mustSave(t, client.session(), mustLoad(t, client.session(), bundle), listOf(bundle, 2))
			}
			client.edit(t, shardName(3), func(cm *corev1.ConfigMap) {
				whole := cm.Data[bundles[0]]
				if cm.Data[bundles[0]] = garble(whole); cm.Data[bundles[0]] == whole {
					t.Fatal("nothing was garbled")
				}
			})
			s := client.session()
			have, err := s.load(t.Context(), bundles[0])
			if !errors.Is(err, errDamaged) || len(have.entries) > 0 {
				t.Fatalf("it lists %d objects, %v", len(have.entries), err)
			}
			if other := mustLoad(t, s, bundles[1]); len(other.entries) != 2 {
				t.Errorf("of its neighbour %d objects are listed", len(other.entries))
			}
			mustSave(t, s, have, listOf(bundles[0], 3)) // a grant writes it anew
			if have := mustLoad(t, client.session(), bundles[0]); len(have.entries) != 3 {
				t.Errorf("then it lists %d objects", len(have.entries))
			}
		})
	}
}

// TestAShardThatIsFull: short lists get ConfigMaps of their own, and what a ConfigMap cannot take is refused, and harms no other.
func TestAShardThatIsFull(t *testing.T) {
	client := newConfigMaps()
	s := client.session()
	bundles := neighbours(200)
	have := map[string]stored{}
	for _, bundle := range bundles {
		have[bundle] = mustSave(t, s, stored{}, listOf(bundle, 40)) // some 4 KiB each, with what JSON adds
	}
	if n := client.chunks(); n < 20 || n > 150 {
		t.Errorf("%d lists of %d have a ConfigMap of their own", n, len(bundles))
	}
	last := bundles[len(bundles)-1]
	client.requests()
	have[last] = mustSave(t, s, have[last], func() inventory { inv := listOf(last, 40); inv.revision = "next"; return inv }())
	if n := client.requests("create ", "update ", "delete "); n != 1 || !have[last].chunked {
		t.Errorf("the same list in a ConfigMap of its own costs %d writes", n)
	}
	long := neighbours(201)[200]
	client.requests()
	mustSave(t, s, stored{}, listOf(long, 100))
	if n := client.requests("create ", "update ", "delete ", "get "); n != 2 {
		t.Errorf("a long list costs %d requests", n)
	}
	size := func() (n int) {
		for _, head := range client.lie[shardName(3)].Data {
			n += len(head)
		}
		return n
	}
	if n := size(); n > roomForLists+100*1024 {
		t.Errorf("the shard has %d KiB", n>>10)
	}
	client.edit(t, shardName(3), func(cm *corev1.ConfigMap) { cm.Data["by-hand"] = strings.Repeat("x", roomForHeads-size()-100) })
	another := neighbours(202)[201]
	if _, err := s.save(t.Context(), stored{}, listOf(another, 1)); !errors.Is(err, errFull) || !strings.Contains(err.Error(), "no room for more: inventories.") {
		t.Errorf("more than a ConfigMap takes: %v", err)
	}
	mustSave(t, s, have[bundles[0]], listOf(bundles[0], 1)) // what makes it smaller is taken
	for _, bundle := range []string{bundles[0], bundles[1], last} {
		want := 40
		if bundle == bundles[0] {
			want = 1
		}
		if have := mustLoad(t, client.session(), bundle); len(have.entries) != want {
			t.Errorf("of %s %d objects are listed", bundle, len(have.entries))
		}
	}
}

// TestTheShardTellsOfItsKinds: it is the parent of an ApplySet.
func TestTheShardTellsOfItsKinds(t *testing.T) {
	client := newConfigMaps()
	s := client.session()
	bundles := neighbours(2)
	mustSave(t, s, stored{}, listOf(bundles[0], 1))
	more := listOf(bundles[1], 100)
	more.entries[key{schema.GroupKind{Group: "apps", Kind: "Deployment"}, "ns", "d"}] = entry{version: "v1"}
	have := mustSave(t, s, stored{}, more)
	cm := client.lie[shardName(3)]
	want := map[string]string{
		annotationTooling: tooling, annotationKinds: "ConfigMap,Deployment.apps", annotationFleet: "acme", annotationCluster: "fra",
		annotationNamespaces: strings.Join(slices.Sorted(slices.Values([]string{"ns", "ns-of-" + bundles[0], "ns-of-" + bundles[1]})), ","),
	}
	if diff := cmp.Diff(want, cm.Annotations); diff != "" {
		t.Error(diff)
	}
	if cm.Labels[labelApplySetID] != applySetID(bundles[0]) || applySetID(bundles[0]) != applySetID(bundles[1]) {
		t.Errorf("labels: %v", cm.Labels)
	}
	if err := s.remove(t.Context(), have); err != nil {
		t.Fatal(err)
	}
	if kinds := client.lie[shardName(3)].Annotations[annotationKinds]; kinds != "ConfigMap" {
		t.Errorf("without the second it tells of %s", kinds)
	}
}

// life is a bundle in a cluster that is carried out as bundle does it: listed, applied, its UIDs noted, what left it pruned.
type life struct {
	bundle string
	have   stored
}

// cluster is what the bundles of a life apply to.
type cluster struct {
	maps    *configMaps
	mu      sync.Mutex
	objects map[key]types.UID
	made    int
}

// carryOut makes a cluster have so many objects of a bundle; none is a withdrawal.
func (l *life) carryOut(ctx context.Context, s *inventories, c *cluster, objects int) (err error) {
	inv := l.have.inventory.clone()
	inv.bundle, inv.bundleUID = l.bundle, "uid"
	if inv.entries == nil {
		inv.entries = map[key]entry{}
	}
	wanted := listOf(l.bundle, objects)
	for k := range wanted.entries {
		if _, listed := inv.entries[k]; !listed {
			inv.entries[k] = entry{version: "v1"}
		}
	}
	if l.have, err = s.save(ctx, l.have, inv); err != nil {
		return err
	}
	inv = inv.clone()
	for k := range wanted.entries {
		inv.entries[k] = entry{version: "v1", uid: c.apply(k)}
	}
	for k, e := range inv.entries {
		if _, stays := wanted.entries[k]; !stays {
			c.erase(k, e.uid)
			delete(inv.entries, k)
		}
	}
	if objects == 0 {
		err = s.remove(ctx, l.have)
		if err == nil {
			l.have = stored{}
		}
		return err
	}
	l.have, err = s.save(ctx, l.have, inv)
	return err
}

func (c *cluster) apply(k key) types.UID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.objects[k] == "" {
		c.made++
		c.objects[k] = types.UID(fmt.Sprint("u", c.made))
	}
	return c.objects[k]
}

// erase deletes an object that is listed. One whose UID was never learned bears our label, in this cluster.
func (c *cluster) erase(k key, uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if uid == "" || c.objects[k] == uid {
		delete(c.objects, k)
	}
}

// check fails unless every object is listed by its bundle, as it lies in the cluster.
func (c *cluster) check(t *testing.T, bundles []string, when string) {
	t.Helper()
	c.maps.refuse, c.maps.lose = nil, nil
	listed := map[key]types.UID{}
	for _, bundle := range bundles {
		have, err := c.maps.session().load(t.Context(), bundle)
		if err != nil {
			t.Fatalf("%s: %s: %v", when, bundle, err)
		}
		for k, e := range have.entries {
			listed[k] = e.uid
		}
	}
	for k, uid := range c.objects {
		if as, is := listed[k]; !is || as != "" && as != uid {
			t.Errorf("%s: %s is orphaned: listed %v as %q, it is %q", when, k, is, as, uid)
		}
	}
}

// TestACrashAtAnyRequestOrphansNothing: after each request, done or not, everything ends, and another session goes on from what lies there.
func TestACrashAtAnyRequestOrphansNothing(t *testing.T) {
	bundles := append(neighbours(2), "elsewhere")
	stages := []int{2, 120, 121, 3, 0, 1} // lists grow into chunks, come back, go, and are made again
	crash := errors.New("the process is gone")
	for _, done := range []bool{false, true} {
		for at, died := 1, true; died; at++ {
			died = false
			c := &cluster{maps: newConfigMaps(), objects: map[key]types.UID{}}
			n := 0
			dies := func(string) error {
				if n++; n >= at {
					died = true
					return crash
				}
				return nil
			}
			if done {
				c.maps.lose = dies
				c.maps.refuse = func(string) error {
					if died {
						return crash
					}
					return nil
				}
			} else {
				c.maps.refuse = dies
			}
			when := fmt.Sprintf("request %d, done %v", at, done)
			lives := map[string]*life{}
			begin := func(s *inventories) error {
				var grants []Grant
				for _, bundle := range bundles {
					grants = append(grants, Grant{Bundle: bundle})
				}
				if err := s.survey(t.Context(), grants); err != nil {
					return err
				}
				for _, bundle := range bundles {
					have, err := s.first(t.Context(), bundle)
					if err != nil {
						return err
					}
					lives[bundle] = &life{bundle, have}
				}
				return nil
			}
			s := c.maps.session()
			err := begin(s)
			for stage := 0; stage < len(stages); {
				for _, bundle := range bundles {
					if err == nil {
						err = lives[bundle].carryOut(t.Context(), s, c, stages[stage])
					}
				}
				if err == nil {
					stage++
					continue
				}
				if !errors.Is(err, crash) {
					t.Fatalf("%s: %v", when, err)
				}
				c.check(t, bundles, when)
				s = c.maps.session()
				err = begin(s)
			}
			c.check(t, bundles, when+", in the end")
			if len(c.objects) != len(bundles) || c.maps.chunks() > 0 {
				t.Errorf("%s: in the end there are %d objects and %d chunks", when, len(c.objects), c.maps.chunks())
			}
		}
	}
}

// TestManyBundlesInAClusterThatFails: requests are refused, answers get lost, persons write beside; what is listed is right all the same.
func TestManyBundlesInAClusterThatFails(t *testing.T) {
	c := &cluster{maps: newConfigMaps(), objects: map[key]types.UID{}}
	random := rand.New(rand.NewPCG(7, 7))
	fails := func(string) error { // under the lock of the maps
		switch random.IntN(12) {
		case 0:
			return errors.New("the network is away")
		case 1: // somebody writes a neighbour of all
			if cm := c.maps.lie[shardName(3)]; cm != nil {
				cm = cm.DeepCopy()
				c.maps.version++
				cm.ResourceVersion = fmt.Sprint(c.maps.version)
				cm.Data["somebody"] = cm.ResourceVersion
				c.maps.lie[cm.Name] = cm
			}
		}
		return nil
	}
	c.maps.refuse, c.maps.lose = fails, fails
	s := c.maps.session()
	bundles := append(neighbours(12), "elsewhere", "and-there")
	var all sync.WaitGroup
	for i, bundle := range bundles {
		all.Go(func() {
			l := &life{bundle: bundle}
			known := false
			for stage := 0; stage < 12; {
				objects := []int{1, 2, 100, 3, 0, 2}[(stage+i)%6]
				if !known {
					have, err := s.load(t.Context(), bundle)
					if known = err == nil; !known {
						continue
					}
					l.have = have
				}
				if known = l.carryOut(t.Context(), s, c, objects) == nil; known {
					stage++
				}
			}
		})
	}
	all.Wait()
	c.check(t, bundles, "in the end")
	for i, bundle := range bundles {
		objects := []int{1, 2, 100, 3, 0, 2}[(11+i)%6]
		have := mustLoad(t, c.maps.session(), bundle)
		if len(have.entries) != objects {
			t.Errorf("of %s %d objects are listed, not %d", bundle, len(have.entries), objects)
		}
	}
	if said := c.maps.lie[shardName(3)].Data["somebody"]; said == "" {
		t.Error("what somebody wrote beside is gone")
	}
}

// TestAWithdrawalWhoseAnswerIsLostEnds: the inventory is gone, and is not looked for where it was.
func TestAWithdrawalWhoseAnswerIsLostEnds(t *testing.T) {
	client := newConfigMaps()
	s := client.session()
	mustSave(t, s, stored{}, listOf("shop", 0))
	told := 0
	watched := &watches{running: map[schema.GroupKind]*watching{}}
	b := &bundle{
		s: &session{
			board: newBoard(func([]Report) {}, 0), inventories: s, watches: watched,
			withdrawn: func(context.Context, string, string) error { told++; return nil },
		}, name: "shop", mail: newMailbox(), logger: slog.New(slog.DiscardHandler), phase: withdrawing, grant: Grant{Bundle: "shop", BundleUID: "uid", Withdraw: true},
	}
	lost := false
	client.lose = func(request string) error {
		if strings.HasPrefix(request, "delete ") && !lost {
			lost = true
			return errors.New("the answer is lost")
		}
		return nil
	}
	tries := 0
	for ; b.phase == withdrawing && tries < 10; tries++ {
		if err := b.step(t.Context()); err == nil && b.phase == withdrawing {
			t.Fatal("it waits for nothing")
		}
	}
	if told != 1 || !lost || tries < 2 {
		t.Errorf("told %d times after %d tries", told, tries)
	}
	if left := client.lie[shardNameOf("shop")]; left != nil {
		t.Errorf("left: %v", left.Data)
	}
}
