package main

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func workOf(cluster, revision string, health v1alpha1.Health, problems ...string) v1alpha1.Work {
	w := v1alpha1.Work{Spec: v1alpha1.WorkSpec{Bundle: "shop", Cluster: cluster, Wanted: revision, Granted: revision}}
	w.Status = v1alpha1.WorkStatus{Applied: revision, Health: health, Objects: 3, ReadyObjects: 1}
	for _, p := range problems {
		w.Status.Problems = append(w.Status.Problems, v1alpha1.Problem{ObjectRef: v1alpha1.ObjectRef{Kind: "ConfigMap", Name: "c"}, Reason: "Refused", Message: p})
	}
	return w
}

func lineOf(p *progress, begun time.Time, looks ...time.Time) string {
	var out bytes.Buffer
	line := newProgressLine(&out, begun, len(p.goals))
	var all []standing
	for _, at := range looks {
		all = p.look(at)
		line.show(all)
	}
	line.finish(all)
	return out.String()
}

func TestProgressKnowsWhenThereIsNothingMoreToWaitFor(t *testing.T) {
	begun := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	const rev, old = "shop-01234567-2", "shop-01234567-1"
	for _, test := range []struct {
		name  string
		works []v1alpha1.Work
		away  []string
		after time.Duration // of the last look
		over  bool
		left  int
		line  string
	}{
		{name: "all are there", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", rev, "Ready")}, over: true,
			line: "fra 0.09 s   iad 0.09 s\n"},
		{name: "one has the old revision", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", old, "Ready")}, left: 1,
			line: "fra 0.09 s   iad not yet\n"},
		{name: "one is on its way", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", rev, "InProgress")}, left: 1, after: time.Hour,
			line: "fra 0.09 s   iad not yet\n"},
		{name: "one is not known yet", works: []v1alpha1.Work{workOf("fra", rev, "Ready")}, left: 1,
			line: "fra 0.09 s   iad not yet\n"},
		{name: "one is away, so it is owed", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", old, "Ready")}, away: []string{"iad"}, over: true,
			line: "fra 0.09 s   iad owed\n"},
		{name: "one may be about to have the key", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), keyless("iad")}, after: 9 * time.Second,
			line: "fra 0.09 s   iad owed\n"},
		{name: "one has no key, so it is owed", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), keyless("iad")}, after: 11 * time.Second, over: true,
			line: "fra 0.09 s   iad owed\n"},
		{name: "one that is away has it already", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", rev, "Ready")}, away: []string{"iad"}, over: true,
			line: "fra 0.09 s   iad 0.09 s\n"},
		{name: "a refusal may pass", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", rev, "Failed", "no")}, left: 1, after: 9 * time.Second,
			line: "fra 0.09 s   iad failed\n"},
		{name: "a refusal that stays is one", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", rev, "Failed", "no")}, left: 1, after: 11 * time.Second, over: true,
			line: "fra 0.09 s   iad failed\n"},
		{name: "what was wrong with the revision before is of no matter", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", old, "Failed", "no")}, left: 1, after: time.Hour,
			line: "fra 0.09 s   iad not yet\n"},
		{name: "a cluster that is to lose it is waited for", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", rev, "Ready"), workOf("sin", "", "Ready")}, left: 1,
			line: "fra 0.09 s   iad 0.09 s   sin not yet\n"},
		{name: "other bundles do not matter", works: []v1alpha1.Work{workOf("fra", rev, "Ready"), workOf("iad", rev, "Ready"),
			{Spec: v1alpha1.WorkSpec{Bundle: "other", Cluster: "iad"}}}, over: true,
			line: "fra 0.09 s   iad 0.09 s\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProgress(goal{bundle: "shop", revision: rev, clusters: []string{"fra", "iad"}})
			p.replace(test.works)
			for _, c := range test.away {
				p.away[c] = true
			}
			last := begun.Add(90*time.Millisecond + test.after)
			line := lineOf(p, begun, begun.Add(90*time.Millisecond), last)
			if diff := cmp.Diff(test.line, line); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
			all := p.look(last)
			if got := over(all, last); got != test.over {
				t.Errorf("over is %v, want %v", got, test.over)
			}
			if got := len(unfinished(all)); got != test.left {
				t.Errorf("%d places are unfinished, want %d", got, test.left)
			}
		})
	}
}

// keyless is a cluster that cannot open the secret yet.
func keyless(cluster string) v1alpha1.Work {
	w := workOf(cluster, "", "Unknown")
	w.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoKey, Message: "no key"}}
	return w
}

// Of a rollout that stands, what is not granted is not waited for; what is granted may still get there.
func TestProgressWaitsForNoGrantOfARolloutThatStands(t *testing.T) {
	begun := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	const rev, old = "shop-01234567-2", "shop-01234567-1"
	suspended := workOf("iad", rev, "InProgress")
	suspended.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonSuspended, Message: "the cluster is suspended"}}
	in := func(phase v1alpha1.RolloutPhase, orders v1alpha1.RolloutOrders) v1alpha1.Rollout {
		return v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: rev}, Spec: v1alpha1.RolloutSpec{Orders: orders}, Status: v1alpha1.RolloutStatus{Phase: phase, Stops: 1, Stopped: "it fails in fra", Message: "it fails in fra"}}
	}
	none := v1alpha1.RolloutOrders{}
	about := in(v1alpha1.RolloutFailed, none)
	about.Status.Back = old
	for _, test := range []struct {
		name    string
		iad     v1alpha1.Work
		rollout v1alpha1.Rollout
		over    bool
		says    string // of iad, and of the rollout
	}{
		{"it runs", workOf("iad", old, "Ready"), in(v1alpha1.RolloutRunning, none), false, "not granted yet; it is written, and goes on; see"},
		{"it failed", workOf("iad", old, "Ready"), in(v1alpha1.RolloutFailed, none), true, "not granted; it is written, and shop-01234567-2 has stopped: it fails in fra; see"},
		{"it failed, and was resumed", workOf("iad", old, "Ready"), in(v1alpha1.RolloutFailed, v1alpha1.RolloutOrders{Resumed: 1}), false, "not granted yet; it is written, and goes on; see"},
		{"it failed, and iad is granted it", workOf("iad", rev, "InProgress"), in(v1alpha1.RolloutFailed, none), false, "1 of 3 objects healthy; it is written, and shop-01234567-2 has stopped: it fails in fra; see"},
		{"it is about to be taken back", workOf("iad", old, "Ready"), about, false, "not granted yet; it is written, and shop-01234567-2 is about to be taken back: it fails in fra; see"},
		{"it was taken back", workOf("iad", old, "Ready"), in(v1alpha1.RolloutRolledBack, none), true, "not granted; it is written, and shop-01234567-2 was taken back: it fails in fra; see"},
		{"it was aborted", workOf("iad", old, "Ready"), in(v1alpha1.RolloutAborted, v1alpha1.RolloutOrders{Aborted: true}), true, "not granted; it is written, and shop-01234567-2 was aborted; see"},
		{"the cluster is suspended", suspended, in(v1alpha1.RolloutRunning, none), true, "the cluster is suspended; it is written, and goes on; see"},
		{"a person is to approve", workOf("iad", old, "Ready"), in(v1alpha1.RolloutPaused, none), false, "not granted yet; it is written, and shop-01234567-2 waits: it fails in fra; see"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProgress(goal{bundle: "shop", revision: rev, clusters: []string{"fra", "iad"}})
			test.iad.Spec.Wanted = rev
			p.replace([]v1alpha1.Work{workOf("fra", rev, "Ready"), test.iad})
			p.rollouts["shop"] = test.rollout
			all := p.look(begun)
			if got := over(all, begun.Add(time.Hour)); got != test.over {
				t.Errorf("over is %v, want %v", got, test.over)
			}
			left := unfinished(all)
			if len(left) != 1 {
				t.Fatalf("unfinished are %v", left)
			}
			if says := soFar(left[0]) + "; " + p.goesOn(left)[0].words; says != test.says {
				t.Errorf("it says\n%s, want\n%s", says, test.says)
			}
		})
	}
}

func TestProgressSeesAClusterLoseTheBundle(t *testing.T) {
	begun := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p := newProgress(goal{bundle: "shop"})
	p.replace([]v1alpha1.Work{workOf("fra", "shop-01234567-1", "Ready")})
	if over(p.look(begun), begun) {
		t.Error("over while the bundle is in fra")
	}
	p.replace(nil)
	now := begun.Add(time.Second)
	if all := p.look(now); !over(all, now) || len(all) != 1 || all[0].state != withdrawn {
		t.Errorf("standings are %v", all)
	}
}

func TestWhatWasWrongBeforeABundleIsToGoDoesNotEndTheWait(t *testing.T) {
	begun := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p := newProgress(goal{bundle: "shop"})
	work := workOf("fra", "shop-01234567-1", "Failed", "the cluster does not serve the kind")
	p.replace([]v1alpha1.Work{work})
	p.look(begun)
	now := begun.Add(time.Hour)
	if all := p.look(now); over(all, now) {
		t.Errorf("over before fra was told: %v", all)
	}
	work.Spec.Granted = ""
	p.replace([]v1alpha1.Work{work})
	p.look(now)
	if now = now.Add(time.Minute); !over(p.look(now), now) {
		t.Error("not over, though it fails to go")
	}
}

func TestProgressWaitsForWhatIsLeaving(t *testing.T) {
	begun := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	work := workOf("fra", "", "Failed", "it is being deleted")
	work.Status.Problems[0].Reason = "PruneFailed"
	p := newProgress(goal{bundle: "shop"})
	p.replace([]v1alpha1.Work{work})
	p.look(begun)
	now := begun.Add(time.Hour)
	all := p.look(now)
	if over(all, now) {
		t.Error("over while a namespace is on its way out")
	}
	if why := missed(p, unfinished(all)); why != "not gone from fra" {
		t.Errorf("told as %q", why)
	}
	work.Status.Problems[0].Reason = "InventoryDamaged"
	p.replace([]v1alpha1.Work{work})
	p.look(now)
	if now = now.Add(time.Minute); !over(p.look(now), now) {
		t.Error("not over, though it waits for a person")
	}
}

func TestProgressSeesANewerApply(t *testing.T) {
	p := newProgress(goal{bundle: "shop", revision: "shop-01234567-9", clusters: []string{"fra"}})
	for wanted, want := range map[string]string{
		"shop-01234567-10": "shop-01234567-10", "shop-01234567-9": "", "shop-01234567-8": "", "shop-76543210-99": "", "": "",
	} {
		p.replace([]v1alpha1.Work{workOf("fra", wanted, "Ready")})
		if got := p.superseded(); got != want {
			t.Errorf("wanted %q: superseded by %q, want %q", wanted, got, want)
		}
	}
}

func TestManyClustersAreCounted(t *testing.T) {
	begun := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	const rev = "shop-01234567-1"
	g := goal{bundle: "shop", revision: rev}
	var works []v1alpha1.Work
	for i := range 300 {
		name := fmt.Sprintf("c%03d", i)
		g.clusters = append(g.clusters, name)
		if i > 2 {
			works = append(works, workOf(name, rev, "Ready"))
		}
	}
	p := newProgress(g)
	p.replace(works)
	p.away["c000"], p.away["c001"] = true, true
	want := "297 of 300 clusters, the last after 2.10 s   2 owed   1 not yet\n"
	if got := lineOf(p, begun, begun.Add(2100*time.Millisecond)); got != want {
		t.Errorf("line is %q, want %q", got, want)
	}
}
