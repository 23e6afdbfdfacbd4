package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

var statusNow = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) *metav1.Time { return &metav1.Time{Time: statusNow.Add(-d)} }

// aFleet is five clusters in three regions, seen from iad.
func aFleet() v1alpha1.FleetStatus {
	s := v1alpha1.FleetStatus{Fleet: "acme", Member: "iad", Revision: 812, Leader: "fra",
		Quorum: v1alpha1.Quorum{Voters: 5, Reached: 5, Have: true}, RegionsYouCanLose: []string{"ap", "eu", "us"}}
	for _, c := range []v1alpha1.ClusterFleetStatus{
		{Name: "ams", Region: "eu", RTTMillis: 86}, {Name: "fra", Region: "eu", RTTMillis: 84},
		{Name: "iad", Region: "us"}, {Name: "pdx", Region: "us", RTTMillis: 61.4},
		{Name: "sin", Region: "ap", RTTMillis: 162, Lag: 1},
	} {
		c.Voter, c.Reachable, c.LastSeen, c.Revision = true, true, ago(0), 812-c.Lag
		c.Bundles = v1alpha1.BundleCounts{Total: 14, Ready: 14}
		s.Clusters = append(s.Clusters, c)
	}
	for _, region := range []string{"ap", "eu", "us"} {
		s.Regions = append(s.Regions, v1alpha1.RegionFleetStatus{Name: region, Bundles: v1alpha1.BundleCounts{Total: 14, Ready: 14}})
	}
	return s
}

func rendered(s v1alpha1.FleetStatus) string {
	var out bytes.Buffer
	statusView{s: s, now: statusNow}.print(&out)
	return out.String()
}

func TestStatusOfAFleetThatIsWell(t *testing.T) {
	s := aFleet()
	s.Clusters[3].Bundles.Ready, s.Regions[2].Bundles.Ready = 13, 13
	want := `fleet acme   revision 812   quorum 5 of 5   leader fra   can lose: any one of ap, eu, us

REGION   CLUSTERS   VOTERS     BEHIND   BUNDLES                 RTT
us       2 ready    iad pdx    –        1 in change, 13 ready   61 ms
eu       2 ready    ams fra*   –        14 ready                84 ms
ap       1 ready    sin        1        14 ready                162 ms
`
	if diff := cmp.Diff(want, rendered(s)); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if !well(s) {
		t.Error("it is not well; a rollout under way is no reason")
	}
}

func TestWhatIsSuspendedIsNotInChange(t *testing.T) {
	s := aFleet()
	s.Regions[0].Bundles = v1alpha1.BundleCounts{Total: 14, Ready: 1, Failed: 1, Drifted: 2, Suspended: 12}
	if text := rendered(s); !strings.Contains(text, " 1 failed, 2 drifted, 12 suspended, 1 ready ") {
		t.Errorf("it is told so:\n%s", text)
	}
}

func TestStatusWithARegionGone(t *testing.T) {
	s := aFleet()
	s.Leader, s.Quorum.Reached, s.RegionsYouCanLose = "iad", 3, nil
	s.VoterChange = &v1alpha1.VoterChange{Joining: []string{"gru"}, Leaving: []string{"ams", "fra"}, ThenYouCanLose: []string{"ap"}}
	for i := range 2 {
		s.Clusters[i].Reachable, s.Clusters[i].LastSeen, s.Clusters[i].Lag = false, ago(34*time.Second), 3
		s.Clusters[i].SeenGoneBy = []string{"iad", "pdx", "sin"}
	}
	s.Clusters[4].Bundles = v1alpha1.BundleCounts{Total: 14, Ready: 11, Failed: 1, Drifted: 1}
	s.Regions[0].Bundles = s.Clusters[4].Bundles
	s.Unwell = []v1alpha1.BundleFleetStatus{{Name: "shop", Failed: 1, Clusters: []string{"sin"}}, {Name: "cart", Drifted: 1, Clusters: []string{"sin"}}}
	s.Clusters[2].LastDrift = &v1alpha1.Drift{ObjectRef: v1alpha1.ObjectRef{Kind: "ConfigMap", Namespace: "shop", Name: "settings"}, Manager: "kubectl-patch", At: *ago(41 * time.Second)}
	want := `fleet acme   revision 812   quorum 3 of 5   leader iad   can lose: no region

REGION   CLUSTERS          VOTERS     BEHIND   BUNDLES                                      RTT
eu       2 gone for 34 s   ams fra    3        14 last seen ready                           –        seen gone by iad, pdx, sin
ap       1 ready           sin        1        1 failed, 1 drifted, 2 in change, 11 ready   162 ms
us       2 ready           iad* pdx   –        14 ready                                     61 ms

voters   replacing ams, fra by gru; then can lose: ap

failed    shop in sin   hanse explain shop --cluster sin
drifted   cart in sin   hanse drift cart
drift     41 s ago: iad configmap shop/settings, edited by kubectl-patch
`
	if diff := cmp.Diff(want, rendered(s)); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if well(s) {
		t.Error("it is well")
	}
}

func TestAClusterThatWasNeverHeardIsToldFirst(t *testing.T) {
	s := aFleet()
	s.Clusters[1].Reachable, s.Clusters[1].LastSeen = false, ago(time.Hour)
	s.Clusters[3].Reachable, s.Clusters[3].LastSeen = false, nil
	if text := rendered(s); !strings.Contains(text, "\ngone   pdx in us, fra in eu for 60 min\n") {
		t.Errorf("it is told so:\n%s", text)
	}
}

func TestAMemberOfAnOlderVersionCountsBundlesByClusterAlone(t *testing.T) {
	s := aFleet()
	s.Regions = nil
	s.Clusters[4].Bundles = v1alpha1.BundleCounts{Total: 14, Ready: 12, Failed: 1, Drifted: 1}
	text := rendered(s)
	lines := strings.Split(text, "\n")
	if !strings.HasPrefix(lines[3], "ap ") || !strings.Contains(lines[3], "1 failed, 1 drifted, 1 in change, 12 ready") || !strings.Contains(text, " 28 ready ") {
		t.Errorf("it is told so:\n%s", text)
	}
}

func TestOneRegionWithAllAdminsIsToldAndIsNoIllness(t *testing.T) {
	const words = "warning   all clusters with the right Admin are in eu: without it nobody could change the fleet\n"
	one := aFleet()
	one.Clusters = one.Clusters[:2]
	for name, tt := range map[string]struct {
		fleet v1alpha1.FleetStatus
		admin []string
		told  bool
	}{
		"one of three":                  {aFleet(), []string{"eu"}, true},
		"two of three":                  {aFleet(), []string{"eu", "us"}, false},
		"the only one there is":         {one, []string{"eu"}, false},
		"a member that does not say so": {aFleet(), nil, false},
	} {
		tt.fleet.AdminRegions = tt.admin
		if told := strings.HasSuffix(rendered(tt.fleet), words); told != tt.told {
			t.Errorf("%s: told is %v:\n%s", name, told, rendered(tt.fleet))
		}
		if !well(tt.fleet) {
			t.Errorf("%s: it is not well", name)
		}
	}
}

func TestStatusNamesClustersWithoutTheFleetsAPI(t *testing.T) {
	s := aFleet()
	if text := rendered(s); strings.Contains(text, "API") {
		t.Errorf("told of none:\n%s", text)
	}
	s.Clusters[1].NotAggregated, s.Clusters[3].NotAggregated = "Forbidden", "NotAvailable"
	const words = "warning   the fleet's API is not in the cluster fra: Forbidden; nor in pdx\n"
	if text := rendered(s); !strings.Contains(text, words) {
		t.Errorf("it is not told:\n%s", text)
	}
	if !well(s) {
		t.Error("it is not well")
	}
}

// aLargeFleet is 300 clusters in 30 regions, with trouble of each sort.
func aLargeFleet() v1alpha1.FleetStatus {
	s := aFleet()
	s.Clusters, s.Regions, s.RegionsYouCanLose = nil, nil, []string{"r00", "r01", "r02"}
	for i := range 300 {
		c := v1alpha1.ClusterFleetStatus{Name: fmt.Sprintf("c%03d", i), Region: fmt.Sprintf("r%02d", i%30), Voter: i < 7, Reachable: i%71 != 17, LastSeen: ago(time.Hour + time.Duration(i)*time.Minute), RTTMillis: 84}
		c.Bundles = v1alpha1.BundleCounts{Total: 50, Ready: 50}
		if !c.Reachable {
			c.SeenGoneBy = []string{"c000", "c001", "c002"}
		}
		s.Clusters = append(s.Clusters, c)
	}
	for i := range 30 {
		n := v1alpha1.BundleCounts{Total: 50, Ready: 50}
		switch i {
		case 29:
			n.Failed, n.Ready = 40, 10
		case 28:
			n.Drifted = 3
		case 12:
			n.Ready = 49
		case 9:
			n.Suspended, n.Ready = 50, 0
		}
		s.Regions = append(s.Regions, v1alpha1.RegionFleetStatus{Name: fmt.Sprintf("r%02d", i), Bundles: n})
	}
	for i := range 40 {
		s.Unwell = append(s.Unwell, v1alpha1.BundleFleetStatus{Name: fmt.Sprintf("app%02d", i), Failed: 10, Clusters: []string{"c029", "c059", "c089"}})
	}
	s.Unwell = append(s.Unwell, v1alpha1.BundleFleetStatus{Name: "cart", Drifted: 3, Clusters: []string{"c028", "c058", "c088"}})
	s.Rollouts = []v1alpha1.RolloutFleetStatus{
		{Bundle: "app00", Phase: v1alpha1.RolloutFailed, Message: "it fails in c029: no image"},
		{Bundle: "lost", Phase: v1alpha1.RolloutRunning, Asks: &v1alpha1.ApprovalAsked{Objects: 210, Of: 4000, Clusters: 40},
			Message: "nothing is granted: it would delete 210 of 4000 objects in c000, c001, c002 and 37 more (configmap shop/a, configmap shop/b, configmap shop/c, …), and so many need a person; to let it: hanse rollout approve lost --deletions"},
	}
	for i := range 20 {
		s.Rollouts = append(s.Rollouts, v1alpha1.RolloutFleetStatus{Bundle: fmt.Sprintf("mail%d", i), Phase: v1alpha1.RolloutRunning, Message: "wave 2 of 30, r01: waits for 9 of 10 clusters"})
	}
	s.Rollouts[20].Asks, s.Rollouts[21].Phase = &v1alpha1.ApprovalAsked{Stage: "world"}, v1alpha1.RolloutRolledBack
	s.Warnings = []string{"10 clusters are suspended by anna: moving disks; each: hanse unsuspend cluster c009"}
	for i := range 10 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("bundle app%d is suspended since 2030-01-01T11:00:00Z by anna: %d; hanse unsuspend bundle/app%[1]d", i, i))
	}
	for i := range 40 {
		s.Unplaced = append(s.Unplaced, v1alpha1.UnplacedFleetStatus{Name: fmt.Sprintf("spot%02d", i), Clusters: 10, Wanted: 60, Message: "60 clusters are wanted, and only 10 can be picked; zone has 3 values with a cluster, and 5 are wanted"})
	}
	s.Backup = &v1alpha1.BackupMade{Revision: 800, By: "c001", To: "s3://backups/acme"}
	return s
}

func TestStatusOf300ClustersFitsOneScreen(t *testing.T) {
	s := aLargeFleet()
	text := rendered(s)
	if n := strings.Count(text, "\n"); n > 32 {
		t.Errorf("it is %d lines:\n%s", n, text)
	}
	for line := range strings.Lines(text) {
		if printed(strings.TrimSpace(line)) > 100 && !strings.HasPrefix(line, "warning") { // whose reason somebody wrote
			t.Errorf("wider than 100 columns: %s", line)
		}
	}
	lines := strings.Split(text, "\n")
	for i, region := range []string{"r28 ", "r09 ", "r17 ", "r20 ", "r29 ", "r12 "} { // gone and drifted, gone, failed, in change
		if !strings.HasPrefix(lines[3+i], region) {
			t.Errorf("line %d is not of %s, the worst first: %s", i, region, lines[3+i])
		}
	}
	for _, want := range []string{
		"\n23 more   230 ready", "gone      c230 in r20 for 4 h, ", " and 2 more: hanse status -o wide\n",
		"\nfailed    app00 in c029, c059, c089 and 7 more   hanse explain app00 --cluster c029\n", "and 38 bundles more are not well somewhere: hanse status -o wide\n", "          and 17 more, of which 2 need a person: hanse status -o wide\n",
		"\napprove   lost: it would delete 210 of 4000 objects in 40 clusters   hanse rollout status lost\n",
		"and 6 more: hanse status -o wide\n", "\nplaced    spot00 in 10 of 60 clusters, spot01 in 10 of 60 and 38 more   hanse explain spot00\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	if t.Failed() {
		t.Log("\n" + text)
	}
}

func TestStatusSaysWhatIsToBeApproved(t *testing.T) {
	for want, r := range map[string]v1alpha1.RolloutFleetStatus{
		"shop: it would delete 3 of 9 objects in 1 cluster   ": {Asks: &v1alpha1.ApprovalAsked{Objects: 3, Of: 9, Clusters: 1}},
		"shop: stage world waits for a person   ":              {Asks: &v1alpha1.ApprovalAsked{Stage: "world"}},
		"shop: a person must let it into us   ":                {Asks: &v1alpha1.ApprovalAsked{}, Message: "a person must let it into us: hanse rollout approve shop-1 us"},
	} {
		s := aFleet()
		r.Bundle, r.Phase = "shop", v1alpha1.RolloutPaused
		s.Rollouts = []v1alpha1.RolloutFleetStatus{r}
		if text := rendered(s); !strings.Contains(text, "\napprove   "+want+"hanse rollout status shop\n") {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}

func TestStatusExitsThreeWhenARolloutNeedsAPerson(t *testing.T) {
	for name, r := range map[string]v1alpha1.RolloutFleetStatus{
		"it failed":         {Phase: v1alpha1.RolloutFailed},
		"it was taken back": {Phase: v1alpha1.RolloutRolledBack},
		"deletions wait":    {Phase: v1alpha1.RolloutRunning, Asks: &v1alpha1.ApprovalAsked{Objects: 3, Of: 9, Clusters: 1}},
		"a stage waits":     {Phase: v1alpha1.RolloutPaused, Asks: &v1alpha1.ApprovalAsked{Stage: "world"}},
	} {
		s := aFleet()
		s.Rollouts = []v1alpha1.RolloutFleetStatus{r}
		if well(s) {
			t.Errorf("%s, and all is well", name)
		}
	}
}

func TestStatusCountsWhatWhoLeftCouldRead(t *testing.T) {
	s := aFleet()
	for want, e := range map[string]v1alpha1.ExposedFleetStatus{
		"\nexposed   2 secrets have values that cdg, gru could read, and may not any more; list them with: hanse secret exposed\n": {Lines: 3, Secrets: 2, Clusters: []string{"cdg", "gru"}},
		"\nexposed   1 secret has values that who left could read, and may not any more; list it with: hanse secret exposed\n":     {Lines: 1, Secrets: 1},
	} {
		s.Exposed = &e
		if text := rendered(s); !strings.Contains(text, want) || well(s) {
			t.Errorf("well: %v; it is not told as %q:\n%s", well(s), want, text)
		}
	}
}

func TestStatusNamesBundlesThatLackWhatTheirPlacementAsksFor(t *testing.T) {
	lacks := v1alpha1.UnplacedFleetStatus{Name: "shop", Wanted: 1, Message: "1 cluster is wanted, and none can be picked"}
	uneven := v1alpha1.UnplacedFleetStatus{Name: "cart", Clusters: 5, Wanted: 5, Message: "zone is 3 clusters uneven, and maxSkew is 1: what is placed stays"}
	for want, all := range map[string][]v1alpha1.UnplacedFleetStatus{
		"\nplaced   shop in 0 of 1 cluster   hanse explain shop\n":                                      {lacks},
		"\nplaced   cart not spread as asked   hanse explain cart\n":                                    {uneven},
		"\nplaced   shop in 0 of 1 cluster, cart not spread as asked   hanse explain shop\n":            {lacks, uneven},
		"\nplaced   shop in 0 of 1 cluster, cart not spread as asked and 2 more   hanse explain shop\n": {lacks, uneven, uneven, uneven},
	} {
		s := aFleet()
		s.Unplaced = all
		if text := rendered(s); !strings.Contains(text, want) || !well(s) {
			t.Errorf("well: %v; it is not told as %q:\n%s", well(s), want, text)
		}
	}
	if text := rendered(aFleet()); strings.Contains(text, "placed") {
		t.Errorf("told of none:\n%s", text)
	}
}

func TestNoQuorumIsToldWithSinceWhen(t *testing.T) {
	s := aFleet()
	for _, test := range []struct {
		gone  map[string]time.Duration
		words string
		wait  string
	}{
		{map[string]time.Duration{"fra": 50 * time.Second, "ams": 60 * time.Second, "pdx": 41 * time.Second},
			"iad reaches 2 of 5 voters, for 41 s", "reads work (revision 812); writes wait for ams, fra or pdx"},
		{map[string]time.Duration{"fra": 50 * time.Second, "ams": 60 * time.Second, "pdx": 41 * time.Second, "sin": 5 * time.Second},
			"iad reaches 1 of 5 voters, for 41 s", "reads work (revision 812); writes wait for 2 of ams, fra, pdx, sin"},
		{map[string]time.Duration{"fra": time.Second},
			"iad reaches 4 of 5 voters", "reads work (revision 812); writes wait for a leader"},
	} {
		now := s
		now.Clusters = nil
		now.Quorum = v1alpha1.Quorum{Voters: 5, Reached: 5 - len(test.gone)}
		for _, c := range s.Clusters {
			if since, gone := test.gone[c.Name]; gone {
				c.Reachable, c.LastSeen = false, ago(since)
			}
			now.Clusters = append(now.Clusters, c)
		}
		if got := lostWords(now, statusNow); got != test.words {
			t.Errorf("words are %q, want %q", got, test.words)
		}
		if got := waitWords(now); got != test.wait {
			t.Errorf("words are %q, want %q", got, test.wait)
		}
	}
}

func TestAWordOfTheAPIIsSaidInWords(t *testing.T) {
	for camel, want := range map[string]string{"NotRendered": "not rendered", "RolledBack": "rolled back", "Failed": "failed", "NoKey": "no key", "": ""} {
		if got := inWords(camel); got != want {
			t.Errorf("%s is %q, want %q", camel, got, want)
		}
	}
	refused := v1alpha1.Work{Status: v1alpha1.WorkStatus{Problems: []v1alpha1.Problem{{ObjectRef: v1alpha1.ObjectRef{APIVersion: "v1", Kind: "ConfigMap", Name: "c"}, Reason: "UnknownKind", Message: "m"}}}}
	if got := trouble([]standing{{place: place{cluster: "fra"}, work: refused}}); len(got) != 1 || got[0].words != "fra: configmap c: unknown kind: m" {
		t.Errorf("what is wrong is told as %v", got)
	}
	if got := readyText(&metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotRendered, Message: "m"}); got != "not rendered: m" {
		t.Errorf("a condition is told as %q", got)
	}
}

func TestSpanReadsAsPeopleSay(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "<1 ms", 999 * time.Microsecond: "<1 ms", -time.Minute: "<1 ms", 1500 * time.Microsecond: "1.5 ms", 40 * time.Millisecond: "40 ms", 840 * time.Millisecond: "0.84 s",
		41 * time.Second: "41 s", 3 * time.Minute: "3 min", 5 * time.Hour: "5 h", 72 * time.Hour: "3 d",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Hour: "now", 0: "now", 400 * time.Millisecond: "now", time.Second: "1 s ago", 41 * time.Second: "41 s ago"} {
		if got := howLongAgo(d); got != want {
			t.Errorf("%v ago is %q, want %q", d, got, want)
		}
	}
	for ms, want := range map[float64]string{0: "–", 0.04: "<1 ms", 1.25: "1.2 ms", 84.4: "84 ms"} {
		if got := milliseconds(ms); got != want {
			t.Errorf("%v ms is %q, want %q", ms, got, want)
		}
	}
}

func TestStatusTellsWhatIsOnItsWay(t *testing.T) {
	s := aFleet()
	s.Frozen = &v1alpha1.Freeze{Reason: "black friday"}
	s.Rollouts = []v1alpha1.RolloutFleetStatus{
		{Bundle: "shop", Phase: v1alpha1.RolloutFailed, Message: "it fails in iad: no image"},
		{Bundle: "cart", Phase: v1alpha1.RolloutPaused, Message: "a person paused it"},
		{Bundle: "ads", Phase: v1alpha1.RolloutAborted, Message: "a person ended it"},
	}
	for range 8 {
		s.Rollouts = append(s.Rollouts, v1alpha1.RolloutFleetStatus{Bundle: "mail", Phase: v1alpha1.RolloutRunning, Message: "wave 2 of 3, us: waits for iad"})
	}
	for _, want := range []string{
		"\nfrozen    black friday; hanse unfreeze lets changes go on\n",
		"\nstopped   shop: it fails in iad: no image   hanse rollout status shop\n",
		"\npaused    cart: a person paused it   hanse rollout status cart\n",
		"\nrolling   mail: wave 2 of 3, us: waits for iad   hanse rollout status mail\n",
		"\naborted   ads: a person ended it   hanse rollout status ads\n",
		"\n          and 6 more: hanse status -o wide\n",
	} {
		if got := rendered(s); !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
	if well(s) {
		t.Error("all is well, with a rollout that stopped")
	}
	if s.Rollouts = s.Rollouts[1:]; !well(s) {
		t.Error("a rollout under way is no reason")
	}
}
