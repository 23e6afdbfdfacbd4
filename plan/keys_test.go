package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestWhoKeepsTheKeyOfAGroup(t *testing.T) {
	reader := func(name, tier, recipient string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}}, Status: v1alpha1.ClusterStatus{Recipient: recipient}}
	}
	fleet := []*v1alpha1.Cluster{reader("ams", "prod", "A"), reader("fra", "prod", "F"), reader("iad", "dev", "I"), reader("new", "prod", ""), reader("sin", "prod", "S")}
	wrap := func(cluster, recipient string, epoch int64) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID(recipient), Epoch: epoch, Wrap: []byte("wrapped")}
	}
	all := []KeyReader{{"ams", "A"}, {"fra", "F"}, {"sin", "S"}}
	for name, c := range map[string]struct {
		epoch int64
		wraps []v1alpha1.KeyWrap
		self  string
		away  string
		want  KeyDuty
	}{
		"the first of the group makes the key, for all of it that have a recipient": {0, nil, "ams", "", KeyDuty{Make: true, Wrap: all}},
		"a recovery recipient is given it, too":                                     {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1)}, "ams", "recovery", KeyDuty{Wrap: []KeyReader{{"", "R"}}}},
		"so is one that is the fleet's":                                             {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1)}, "ams", "fleet", KeyDuty{Wrap: []KeyReader{{"", "R"}}}},
		"one that both name is given it once":                                       {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1)}, "ams", "fleet and recovery", KeyDuty{Wrap: []KeyReader{{"", "R"}}}},
		"one that is taken out makes for another key":                               {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1), wrap("", "lost", 1)}, "ams", "", KeyDuty{Make: true, Why: "a recovery recipient may not read any more", Wrap: all}},
		"the second waits for it":                                                   {0, nil, "fra", "", KeyDuty{Waits: true, Turn: "ams"}},
		"and does it when the first is away":                                        {0, nil, "fra", "ams", KeyDuty{Make: true, Wrap: all}},
		"who is not of the group never does":                                        {0, nil, "iad", "ams", KeyDuty{Waits: true}},
		"the first that holds it wraps it for the others":                           {1, []v1alpha1.KeyWrap{wrap("fra", "F", 1)}, "fra", "", KeyDuty{Wrap: []KeyReader{{"ams", "A"}, {"sin", "S"}}}},
		"who does not hold it waits, the first by name too":                         {1, []v1alpha1.KeyWrap{wrap("fra", "F", 1)}, "ams", "", KeyDuty{Waits: true}},
		"with all wraps there is nothing to do":                                     {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1)}, "ams", "", KeyDuty{}},
		"a wrap of an older key is none":                                            {2, []v1alpha1.KeyWrap{wrap("ams", "A", 2), wrap("fra", "F", 1), wrap("sin", "S", 2)}, "ams", "", KeyDuty{Wrap: []KeyReader{{"fra", "F"}}, Prove: true}},
		"nor one to a recipient that a cluster has no more: another key is due":     {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "lost", 1), wrap("sin", "S", 1)}, "ams", "", KeyDuty{Make: true, Why: "cluster fra may not read any more, or has another key of its own", Wrap: all}},
		"the second waits for that, too":                                            {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("iad", "I", 1), wrap("sin", "S", 1)}, "sin", "", KeyDuty{Waits: true, Turn: "ams"}},
		"and makes it when the first is away":                                       {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "lost", 1), wrap("sin", "S", 1)}, "sin", "ams", KeyDuty{Make: true, Why: "cluster fra may not read any more, or has another key of its own", Wrap: all}},
		"who has another key of its own does not":                                   {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "lost", 1), wrap("sin", "S", 1)}, "fra", "ams", KeyDuty{Waits: true}},
		"the first by name that did not make the key says that it opens":            {2, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("ams", "A", 2), wrap("fra", "F", 2), wrap("sin", "S", 2)}, "fra", "made by ams", KeyDuty{Prove: true}},
		"who made it does not":                                                      {2, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("ams", "A", 2), wrap("fra", "F", 2), wrap("sin", "S", 2)}, "ams", "made by ams", KeyDuty{Waits: true, Turn: "fra"}},
		"but for a key that nobody else holds":                                      {2, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("ams", "A", 2)}, "ams", "made by ams", KeyDuty{Wrap: []KeyReader{{"fra", "F"}, {"sin", "S"}}, Prove: true}},
		"an admin asks for another key":                                             {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1)}, "ams", "asked", KeyDuty{Make: true, Why: "it was asked for", Wrap: all}},
		"who holds that one passes on no other":                                     {2, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("ams", "A", 2), wrap("fra", "F", 2), wrap("sin", "S", 2)}, "ams", "asked", KeyDuty{Make: true, Why: "it was asked for", Wrap: all}},
		"a key is as old as it may be":                                              {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1)}, "ams", "old", KeyDuty{Make: true, Why: v1alpha1.KeyIsOld, Wrap: all, Waits: true}},
		"it is not yet, and time passes":                                            {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1)}, "ams", "young", KeyDuty{Waits: true}},
		"who alone held it and lost its own key makes no other one":                 {1, []v1alpha1.KeyWrap{wrap("ams", "lost", 1)}, "ams", "", KeyDuty{Waits: true}},
		"who left the group keeps nothing for those that stay":                      {1, []v1alpha1.KeyWrap{wrap("iad", "I", 1)}, "iad", "", KeyDuty{Waits: true}},
		"nobody waits until one is wrapped for that no key can be wrapped for":      {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1)}, "fra", "unsigned", KeyDuty{}},
		"the first says so":                                                         {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1)}, "ams", "unsigned", KeyDuty{Wrap: []KeyReader{{"sin", "S"}}}},
		"beside it another one may be waited for":                                   {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1)}, "fra", "unsigned, recovery", KeyDuty{Waits: true, Turn: "ams"}},
		"and another key":                                                           {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("", "lost", 1)}, "fra", "unsigned", KeyDuty{Waits: true, Turn: "ams"}},
		"and the first key":                                                         {0, nil, "fra", "unsigned", KeyDuty{Waits: true, Turn: "ams"}},
		"and who says that a key opens":                                             {2, []v1alpha1.KeyWrap{wrap("sin", "S", 1), wrap("ams", "A", 2), wrap("fra", "F", 2)}, "fra", "unsigned", KeyDuty{Waits: true, Turn: "ams"}},
		"when the first holder is away, the next one that is in":                    {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1)}, "fra", "ams", KeyDuty{Wrap: []KeyReader{{"sin", "S"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.RecipientGroup{Status: v1alpha1.RecipientGroupStatus{Epoch: c.epoch, Wraps: c.wraps},
				Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}}}
			of := Candidates{Clusters: fleet}
			if strings.Contains(c.away, "recovery") {
				g.Spec.RecoveryRecipients = []string{"R"}
			}
			if strings.Contains(c.away, "fleet") {
				of.Fleet.RecoveryRecipients = []string{"R"}
			}
			now := time.Unix(9000, 0)
			switch c.away {
			case "made by ams":
				g.Status.By = "ams"
			case "asked":
				g.Spec.Rotate = 1
			case "old":
				g.Spec.RotateAfter, g.Status.Begun = &metav1.Duration{Duration: 2 * time.Hour}, &metav1.Time{Time: now.Add(-2 * time.Hour)}
			case "young":
				g.Spec.RotateAfter, g.Status.Begun = &metav1.Duration{Duration: 2 * time.Hour}, &metav1.Time{Time: now.Add(-time.Hour)}
			}
			takes := func(r KeyReader) bool { return r.Cluster != "sin" || !strings.Contains(c.away, "unsigned") }
			got, err := Keys(g, of, c.self, now, func(cluster string) bool { return cluster != c.away }, takes)
			if err != nil {
				t.Fatal(err)
			}
			got.Others = false
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAGroupThatMayBeLostIsTold(t *testing.T) {
	cluster := func(name string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name, Incarnation: "id-" + name}}
	}
	held := func(by ...string) (wraps []v1alpha1.KeyWrap) {
		for _, name := range by {
			wraps = append(wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("of " + name), Epoch: 1, Wrap: []byte("wrapped")})
		}
		return wraps
	}
	// unproven are wraps of key 2 beside those of key 1.
	unproven := held("fra", "iad")
	for _, w := range held("fra", "iad") {
		w.Epoch = 2
		unproven = append(unproven, w)
	}
	for name, c := range map[string]struct {
		epoch    int64
		wraps    []v1alpha1.KeyWrap
		recovery []string
		away     bool
		want     string
	}{
		"two hold the key":                             {1, held("fra", "iad"), nil, false, ""},
		"one does, and a person":                       {1, held("fra"), []string{"R"}, false, ""},
		"one does, and nobody else":                    {1, held("fra"), nil, false, "only one cluster holds the key of group g"},
		"the other one is vacant":                      {1, held("fra", "iad"), nil, false, "only cluster fra is left to open what is sealed for group g, as those that hold its key beside it have no member now: iad; let one join again with its key (hanse join --keys-from DIR), or name a recovery recipient: kubectl edit"},
		"it is vacant, and there is a person":          {1, held("fra", "iad"), []string{"R"}, false, ""},
		"another one's wrap opens nothing":             {1, []v1alpha1.KeyWrap{held("fra")[0], {Cluster: "iad", Key: held("iad")[0].Key, Epoch: 1, Wrap: v1alpha1.NoWrap}}, nil, false, "only one cluster holds the key of group g"},
		"nobody has made it":                           {0, nil, []string{"R"}, false, "group g has no key yet"},
		"all that hold it are away":                    {1, held("fra", "iad"), nil, true, "nobody else can open"},
		"and will not come back":                       {1, held("fra"), nil, true, "if none can be, seal the values from their source for another group, and delete this one once it may go: hanse delete recipientgroup g"},
		"all are away, and there is a person":          {1, append(held("fra"), v1alpha1.KeyWrap{Key: v1alpha1.KeyID("R"), Epoch: 1, Wrap: []byte("wrapped")}), []string{"R"}, true, "with a recovery key"},
		"and a person who was given no key":            {1, held("fra"), []string{"R"}, true, "nobody else can open"},
		"those that hold it are picked no more":        {1, held("fra", "iad"), nil, false, "nobody else can open"},
		"who held it is in the fleet no more":          {1, held("gone"), nil, false, "nobody else can open"},
		"one who held it may not read any more":        {1, held("fra", "iad", "gone"), nil, false, "is to get another key, as cluster gone may not read any more, or has another key of its own; the member of cluster fra makes it"},
		"a key is new":                                 {2, unproven, []string{"R"}, false, ""},
		"a key that no second cluster opened for long": {2, unproven, []string{"R"}, false, "was opened by no second cluster for 10m0s, so a key before it may be lost to who joins from now on"},
		"nor for long, and the other is vacant":        {2, unproven, []string{"R"}, false, "those that could have no member now: iad; let one join again with its key (hanse join --keys-from DIR), or take out those that do not come back: hanse remove CLUSTER"},
	} {
		g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Status: v1alpha1.RecipientGroupStatus{Epoch: c.epoch, Wraps: c.wraps}}
		g.Spec.RecoveryRecipients, g.Spec.ClusterSelector = c.recovery, &metav1.LabelSelector{}
		g.Status.By, g.Status.Begun = "fra", &metav1.Time{Time: time.Unix(9000, 0).Add(-time.Minute)}
		if strings.Contains(name, "for long") {
			g.Status.Begun.Time = time.Unix(9000, 0).Add(-11 * time.Minute)
		}
		if strings.Contains(name, "picked") {
			g.Spec.ClusterSelector.MatchLabels = map[string]string{"tier": "moon"}
		}
		of := Candidates{Clusters: []*v1alpha1.Cluster{cluster("fra"), cluster("iad")}}
		if strings.Contains(name, "vacant") {
			of.Clusters[1].Status.Incarnation = ""
		}
		for i := range 2 { // of the group, and of the fleet
			got := GroupAtRisk(g, of, time.Unix(9000, 0), func(string) bool { return !c.away })
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%s, %d: %q", name, i, got)
			}
			g.Spec.RecoveryRecipients, of.Fleet.RecoveryRecipients = nil, c.recovery
		}
	}
}

func TestWhoAloneWouldHoldAKeyAndIsSilent(t *testing.T) {
	member := func(name, tier string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}}
	}
	wrap := func(cluster, of string) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID(of), Epoch: 1, Wrap: []byte("wrapped")}
	}
	both := []v1alpha1.KeyWrap{wrap("fra", "of fra"), wrap("iad", "of iad")}
	fra, iad, ams := member("fra", "prod"), member("iad", "prod"), member("ams", "prod")
	for name, c := range map[string]struct {
		wraps []v1alpha1.KeyWrap
		after []*v1alpha1.Cluster
		heard string
		want  []string
	}{
		"one goes, and the other one is silent":       {both, []*v1alpha1.Cluster{iad}, "fra ams", []string{"iad"}},
		"by its label":                                {both, []*v1alpha1.Cluster{member("fra", "edge"), iad}, "fra ams", []string{"iad"}},
		"the other one is heard":                      {both, []*v1alpha1.Cluster{iad}, "iad", nil},
		"both are silent":                             {both, []*v1alpha1.Cluster{iad}, "", []string{"iad"}},
		"one goes that does not hold it":              {both, []*v1alpha1.Cluster{fra, iad}, "", nil},
		"the other one is heard, and opens nothing":   {[]v1alpha1.KeyWrap{both[0], wrap("ams", "of ams"), {Cluster: "iad", Key: both[1].Key, Epoch: 1, Wrap: v1alpha1.NoWrap}}, []*v1alpha1.Cluster{ams, iad}, "iad", []string{"ams"}},
		"nobody is left":                              {both[:1], []*v1alpha1.Cluster{iad}, "", nil},
		"a recovery recipient holds it":               {append(both[:2:2], wrap("", "R")), []*v1alpha1.Cluster{iad}, "fra", nil},
		"one that is heard may read, and has not got": {both, []*v1alpha1.Cluster{ams, iad}, "ams", []string{"iad"}},
	} {
		g := &v1alpha1.RecipientGroup{Status: v1alpha1.RecipientGroupStatus{Epoch: 1, Wraps: c.wraps}}
		g.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}
		of := func(all ...*v1alpha1.Cluster) Readership {
			return Readership{g, Candidates{Fleet: v1alpha1.FleetSpec{RecoveryRecipients: []string{"R"}}, Clusters: all}}
		}
		got := LeftToSilence(of(ams, fra, iad), of(c.after...), func(name string) bool { return strings.Contains(c.heard, name) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Another selector of a group, or none of its recovery recipients, may leave it to the silent as well.
func TestASelectorOrAPersonTakenOutLeavesAGroupToTheSilent(t *testing.T) {
	member := func(name string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}}
	}
	g := &v1alpha1.RecipientGroup{Status: v1alpha1.RecipientGroupStatus{Epoch: 1}}
	g.Spec.ClusterSelector, g.Spec.RecoveryRecipients = &metav1.LabelSelector{}, []string{"R"}
	for _, name := range []string{"fra", "iad", ""} {
		w := v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("of " + name), Epoch: 1, Wrap: []byte("wrapped")}
		if name == "" {
			w.Key = v1alpha1.KeyID("R")
		}
		g.Status.Wraps = append(g.Status.Wraps, w)
	}
	of := Candidates{Clusters: []*v1alpha1.Cluster{member("fra"), member("iad")}}
	for name, c := range map[string]struct {
		change func(*v1alpha1.RecipientGroupSpec)
		want   []string
	}{
		"the selector alone": {func(s *v1alpha1.RecipientGroupSpec) { s.ClusterSelector.MatchLabels = map[string]string{"name": "iad"} }, nil},
		"and the person": {func(s *v1alpha1.RecipientGroupSpec) {
			s.RecoveryRecipients, s.ClusterSelector.MatchLabels = nil, map[string]string{"name": "iad"}
		}, []string{"iad"}},
		"to who is heard": {func(s *v1alpha1.RecipientGroupSpec) {
			s.RecoveryRecipients, s.ClusterSelector.MatchLabels = nil, map[string]string{"name": "fra"}
		}, nil},
	} {
		then := g.DeepCopy()
		c.change(&then.Spec)
		got := LeftToSilence(Readership{g, of}, Readership{then, of}, func(cluster string) bool { return cluster == "fra" })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAKeyThatDoesNotOpen(t *testing.T) {
	now := time.Unix(9000, 0)
	fleet := []*v1alpha1.Cluster{}
	for _, name := range []string{"ams", "fra", "sin"} {
		fleet = append(fleet, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}})
	}
	id := func(name string) string { return v1alpha1.KeyID("of " + name) }
	wrap := func(epoch int64, names ...string) (wraps []v1alpha1.KeyWrap) {
		for _, name := range names {
			wraps = append(wraps, v1alpha1.KeyWrap{Cluster: name, Key: id(name), Epoch: epoch, Wrap: []byte("wrapped")})
		}
		return wraps
	}
	struck := func(ago time.Duration, names ...string) (left []v1alpha1.FormerReader) {
		for _, name := range names {
			left = append(left, v1alpha1.FormerReader{Cluster: name, Key: id(name), Epoch: 2, Until: metav1.Time{Time: now.Add(-ago)}})
		}
		return left
	}
	by := func(cluster string, left []v1alpha1.FormerReader) []v1alpha1.FormerReader {
		for i := range left {
			left[i].By = cluster
		}
		return left
	}
	all := []KeyReader{{"ams", "of ams"}, {"fra", "of fra"}, {"sin", "of sin"}}
	const why = "nobody that is there opens the present one"
	for name, c := range map[string]struct {
		wraps []v1alpha1.KeyWrap
		left  []v1alpha1.FormerReader
		self  string
		away  string
		want  KeyDuty
	}{
		"a wrap that was struck a moment ago is not made anew": {wrap(2, "ams", "fra"), struck(time.Second, "sin"), "ams", "", KeyDuty{Waits: true, Others: true}},
		"one that was a minute ago is":                         {wrap(2, "ams", "fra"), struck(time.Minute, "sin"), "ams", "", KeyDuty{Wrap: all[2:], Others: true}},
		"its maker alone does not say that a key opens":        {slices.Concat(wrap(1, "ams", "fra", "sin"), wrap(2, "ams")), struck(time.Second, "fra", "sin"), "ams", "", KeyDuty{Waits: true}},
		"with the maker there, nobody else makes another key":  {slices.Concat(wrap(1, "ams", "fra", "sin"), wrap(2, "ams")), struck(time.Second, "fra", "sin"), "fra", "", KeyDuty{Waits: true, Others: true}},
		"with the maker away, one that holds the key before":   {slices.Concat(wrap(1, "ams", "fra", "sin"), wrap(2, "ams")), struck(time.Second, "fra", "sin"), "fra", "ams", KeyDuty{Make: true, Why: why, From: 1, Wrap: all, Others: true}},
		"or when it does nothing for a minute, so fra waits":   {slices.Concat(wrap(1, "ams", "fra", "sin"), wrap(2, "ams")), struck(time.Minute, "fra", "sin"), "fra", "", KeyDuty{Waits: true, Others: true, Turn: "ams"}},
		"who wrote what was struck makes no other one":         {wrap(2, "ams", "fra"), by("ams", struck(9*time.Minute, "sin")), "ams", "", KeyDuty{Waits: true, Others: true}},
		"it is another one's turn, when it does nothing":       {wrap(2, "ams", "fra"), by("ams", struck(9*time.Minute, "sin")), "fra", "", KeyDuty{Waits: true, Others: true, Turn: "ams"}},
		"and that one makes it":                                {wrap(2, "ams", "fra"), by("ams", struck(9*time.Minute, "sin")), "fra", "ams", KeyDuty{Wrap: all[2:], Others: true}},
		"some time later, who wrote it does again":             {wrap(2, "ams", "fra"), by("ams", struck(10*time.Minute, "sin")), "ams", "", KeyDuty{Wrap: all[2:], Others: true}},
		"the second waits for that":                            {slices.Concat(wrap(1, "ams", "fra", "sin"), wrap(2, "ams")), struck(time.Second, "fra", "sin"), "sin", "ams", KeyDuty{Waits: true, Others: true, Turn: "fra"}},
		"and nobody does as long as another one has the key":   {slices.Concat(wrap(1, "ams", "fra", "sin"), wrap(2, "ams", "sin")), struck(time.Second, "fra"), "fra", "ams", KeyDuty{Waits: true, Others: true}},
		"who struck it and may not read any more held the key": {wrap(2, "ams"), []v1alpha1.FormerReader{{Cluster: "gone", Key: "x", Epoch: 2}}, "ams", "", KeyDuty{Make: true, Why: "cluster gone may not read any more, or has another key of its own", Wrap: all}},
		"who did with the key before makes for no other one":   {wrap(2, "ams", "fra", "sin"), []v1alpha1.FormerReader{{Cluster: "gone", Key: "x", Epoch: 1}}, "ams", "", KeyDuty{Others: true}},
	} {
		g := &v1alpha1.RecipientGroup{Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{}},
			Status: v1alpha1.RecipientGroupStatus{Epoch: 2, By: "ams", Wraps: c.wraps, Left: c.left}}
		got, err := Keys(g, Candidates{Clusters: fleet}, c.self, now, func(cluster string) bool { return cluster != c.away }, func(KeyReader) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestWhoCannotOpenTheKeyIsNoHolderAnywhere: ams has NoWrap in the place of its wrap. All who ask who holds the key are asked here.
func TestWhoCannotOpenTheKeyIsNoHolderAnywhere(t *testing.T) {
	now := time.Unix(9000, 0)
	var fleet []*v1alpha1.Cluster
	for _, name := range []string{"ams", "fra", "sin"} {
		fleet = append(fleet, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name, Incarnation: "id-" + name}})
	}
	wrap := func(cluster string, epoch int64, text []byte) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID("of " + cluster), Epoch: epoch, Wrap: text}
	}
	// group is one whose present key ams and fra hold, ams as the text says; fra made it, and ams held the one before, if former is a wrap.
	group := func(text, former []byte) *v1alpha1.RecipientGroup {
		g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{}}}
		g.Status = v1alpha1.RecipientGroupStatus{Epoch: 2, By: "fra", Wraps: []v1alpha1.KeyWrap{wrap("ams", 1, former), wrap("ams", 2, text), wrap("fra", 2, []byte("wrapped"))}}
		return g
	}
	of := Candidates{Clusters: fleet}
	all := func(string, string) bool { return true }
	hadBesideItsMaker := func(g *v1alpha1.RecipientGroup) []string {
		readers, err := readersOf(g, of)
		if err != nil {
			t.Fatal(err)
		}
		return readers.HadBeside(g, g.Status.By)
	}
	there := func(but string) func(string) bool { return func(cluster string) bool { return cluster != but } }
	keys := func(g *v1alpha1.RecipientGroup, self, away string) KeyDuty {
		duty, err := Keys(g, of, self, now, there(away), func(KeyReader) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		return duty
	}
	one := func(g *v1alpha1.RecipientGroup) *v1alpha1.RecipientGroup {
		g.Status.Wraps = g.Status.Wraps[1:]
		return g
	} // nobody holds one before
	for name, holds := range map[string]func(text []byte) bool{
		"it holds":           func(text []byte) bool { return group(text, nil).Holds("ams", "of ams") },
		"it is told as such": func(text []byte) bool { return slices.Equal(group(text, nil).Status.Holders(), []string{"ams", "fra"}) },
		"it held one before": func(text []byte) bool { _, epoch := group(nil, text).ProvenWrap("ams", "of ams"); return epoch == 1 },
		"it had a key":       func(text []byte) bool { return slices.Equal(hadBesideItsMaker(group(nil, text)), []string{"ams"}) },
		"the key is lost when it may not read": func(text []byte) bool {
			return group(text, nil).Lost(func(cluster, _ string) bool { return cluster != "ams" }) != ""
		},
		"the key is not its maker's alone": func(text []byte) bool { return !group(text, []byte("wrapped")).Orphaned(all) },
		"it wraps the key for others":      func(text []byte) bool { return len(keys(one(group(text, nil)), "ams", "").Wrap) > 0 },
		"others need not":                  func(text []byte) bool { return len(keys(one(group(text, nil)), "fra", "").Wrap) == 0 },
		"fra is not the only one":          func(text []byte) bool { return keys(one(group(text, nil)), "fra", "").Others },
		"it says that the key opens":       func(text []byte) bool { return keys(group(text, []byte("wrapped")), "ams", "").Prove },
		"its maker does not":               func(text []byte) bool { return !keys(group(text, text), "fra", "").Prove },
		"it seals again": func(text []byte) bool {
			s, err := SealersOf(group(text, nil), of, "ams", there(""))
			return err == nil && s.Holds()
		},
		"it is given what is sealed": func(text []byte) bool {
			return !Scene{Sealed: map[string]*Holders{"secret.db": HoldersOf(group(text, nil), []v1alpha1.Cluster{*fleet[0]})}}.Keyless("secret.db", "ams")
		},
		"one more may be lost": func(text []byte) bool { return GroupAtRisk(one(group(text, nil)), of, now, there("")) == "" },
		"when fra goes, it is left": func(text []byte) bool {
			return slices.Equal(LeftToSilence(Readership{one(group(text, nil)), of}, Readership{one(group(text, nil)), Candidates{Clusters: fleet[:1]}}, there("ams")), []string{"ams"})
		},
	} {
		if !holds([]byte("wrapped")) || holds(v1alpha1.NoWrap) {
			t.Errorf("%s: with a wrap %v, with none %v", name, holds([]byte("wrapped")), holds(v1alpha1.NoWrap))
		}
	}
	if duty := keys(group(v1alpha1.NoWrap, []byte("wrapped")), "ams", "fra"); !duty.Make || duty.From != 1 {
		t.Errorf("who alone has the key before, and not the present one, whose maker is away, is to do %+v", duty)
	}
}

// TestWhoWrapsAKeyOnceMoreForWhoRecovers: one that lies about it is not all that they have.
func TestWhoWrapsAKeyOnceMoreForWhoRecovers(t *testing.T) {
	var fleet []*v1alpha1.Cluster
	for _, name := range []string{"ams", "fra", "sin"} {
		fleet = append(fleet, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}})
	}
	wrap := func(cluster string) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID("of " + cluster), Epoch: 1, Wrap: []byte("wrapped")}
	}
	person := func(by, second string) v1alpha1.KeyWrap {
		w := v1alpha1.KeyWrap{Key: v1alpha1.KeyID("R"), Epoch: 1, Wrap: []byte("wrapped"), By: by}
		if second != "" {
			w.Second = &v1alpha1.SecondWrap{By: second, Wrap: []byte("wrapped")}
		}
		return w
	}
	all := []v1alpha1.KeyWrap{wrap("ams"), wrap("fra"), wrap("sin")}
	second := KeyDuty{Second: []KeyReader{{"", "R"}}, Others: true}
	for name, c := range map[string]struct {
		wraps      []v1alpha1.KeyWrap
		self, away string
		want       KeyDuty
	}{
		"the first that did not":                        {append(all[:3:3], person("ams", "")), "fra", "", second},
		"not who did":                                   {append(all[:3:3], person("ams", "")), "ams", "", KeyDuty{Others: true, Waits: true}},
		"nor the next one, who waits":                   {append(all[:3:3], person("ams", "")), "sin", "", KeyDuty{Others: true, Waits: true, Turn: "fra"}},
		"but when that one is away":                     {append(all[:3:3], person("ams", "")), "sin", "fra", second},
		"once":                                          {append(all[:3:3], person("ams", "sin")), "fra", "", KeyDuty{Others: true}},
		"with the word that the key opens":              {append([]v1alpha1.KeyWrap{{Cluster: "sin", Key: v1alpha1.KeyID("of sin"), Wrap: []byte("wrapped")}}, append(all[:3:3], person("ams", ""))...), "fra", "", KeyDuty{Second: []KeyReader{{"", "R"}}, Prove: true, Others: true}},
		"nobody waits where no other one holds the key": {[]v1alpha1.KeyWrap{all[0], person("ams", "")}, "ams", "", KeyDuty{Wrap: []KeyReader{{"fra", "of fra"}, {"sin", "of sin"}}}},
	} {
		g := &v1alpha1.RecipientGroup{Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{}, RecoveryRecipients: []string{"R"}},
			Status: v1alpha1.RecipientGroupStatus{Epoch: 1, By: "ams", Wraps: c.wraps}}
		got, err := Keys(g, Candidates{Clusters: fleet}, c.self, time.Unix(9000, 0), func(cluster string) bool { return cluster != c.away }, func(KeyReader) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestWhoHasLostItsKeyIsNoHolder: iad has another one of its own than the group's key is wrapped to, and mad may not read any more.
func TestWhoHasLostItsKeyIsNoHolder(t *testing.T) {
	cluster := func(name, recipient, tier string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}}, Status: v1alpha1.ClusterStatus{Recipient: recipient}}
	}
	g := &v1alpha1.RecipientGroup{Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}}, Status: v1alpha1.RecipientGroupStatus{Epoch: 1}}
	for _, name := range []string{"fra", "iad", "mad"} {
		g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("of " + name), Epoch: 1, Wrap: []byte("wrapped")})
	}
	of := Candidates{Clusters: []*v1alpha1.Cluster{cluster("fra", "of fra", "prod"), cluster("iad", "another", "prod"), cluster("mad", "of mad", "dev")}}
	if got := WhoHolds(g, of); !slices.Equal(got, []string{"fra"}) {
		t.Errorf("the holders are %v", got)
	}
	g.Spec.ClusterSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Like"}}
	if got := WhoHolds(g, of); !slices.Equal(got, []string{"fra", "iad", "mad"}) {
		t.Errorf("as its selector cannot be read the holders are %v", got)
	}
}

// TestTheMakerOfAKeyThatNobodyOpensMayReadNoMore: it is there, and of no use to those that hold the key before.
func TestTheMakerOfAKeyThatNobodyOpensMayReadNoMore(t *testing.T) {
	cluster := func(name, recipient, tier string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}}, Status: v1alpha1.ClusterStatus{Recipient: recipient}}
	}
	wrap := func(cluster, recipient string, epoch int64) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID(recipient), Epoch: epoch, Wrap: []byte("wrapped")}
	}
	g := &v1alpha1.RecipientGroup{Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}},
		Status: v1alpha1.RecipientGroupStatus{Epoch: 2, By: "ams", Wraps: []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1), wrap("ams", "A", 2)}}}
	for name, ams := range map[string]*v1alpha1.Cluster{
		"it left the group":                cluster("ams", "A", "dev"),
		"it has another key of its own":    cluster("ams", "A2", "prod"),
		"it has none, and is in the group": cluster("ams", "", "prod"),
	} {
		fleet := []*v1alpha1.Cluster{ams, cluster("fra", "F", "prod"), cluster("sin", "S", "prod")}
		for self, want := range map[string]bool{"ams": false, "fra": true, "sin": false} {
			duty, err := Keys(g, Candidates{Clusters: fleet}, self, time.Unix(9000, 0), func(string) bool { return true }, func(KeyReader) bool { return true })
			if err != nil || duty.Make != want || duty.Waits == want || want && duty.From != 1 {
				t.Errorf("%s: %s is to do %+v: %v", name, self, duty, err)
			}
		}
	}
}

func TestWhoSealsAgain(t *testing.T) {
	fleet := []*v1alpha1.Cluster{}
	for _, name := range []string{"ams", "fra", "sin"} {
		fleet = append(fleet, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}})
	}
	held := func(epoch int64, by ...string) (wraps []v1alpha1.KeyWrap) {
		for _, name := range by {
			wraps = append(wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("of " + name), Epoch: epoch, Wrap: []byte("wrapped")})
		}
		return wraps
	}
	all := held(2, "ams", "fra", "sin")
	sealed := func(found, epoch int64, by, confirmed string) *v1alpha1.Sealing {
		return &v1alpha1.Sealing{Found: found, Epoch: epoch, By: by, Confirmed: confirmed, Witness: confirmed}
	}
	for name, c := range map[string]struct {
		epoch int64
		wraps []v1alpha1.KeyWrap
		known *v1alpha1.Sealing
		self  string
		away  string
		want  SealWork
	}{
		"to the only key that there was, nobody":                 {1, held(1, "ams", "fra", "sin"), nil, "ams", "", SealKept},
		"but of what was sealed for another group before":        {1, held(1, "ams", "fra", "sin"), nil, "ams", "", SealAgain},
		"what nobody has looked at, the first":                   {2, all, nil, "ams", "", SealAgain},
		"not the second":                                         {2, all, nil, "fra", "", SealWaits},
		"but when the first is away":                             {2, all, nil, "fra", "ams", SealAgain},
		"what was sealed again to the key before, the first":     {3, held(3, "ams", "fra", "sin"), sealed(1, 2, "fra", "ams"), "ams", "", SealAgain},
		"what was sealed again is for another to confirm":        {2, all, sealed(1, 2, "ams", ""), "fra", "", SealConfirm},
		"not for who did it":                                     {2, all, sealed(1, 2, "ams", ""), "ams", "", SealWaits},
		"nor for a third one":                                    {2, all, sealed(1, 2, "ams", ""), "sin", "", SealWaits},
		"but when the second is away":                            {2, all, sealed(1, 2, "ams", ""), "sin", "fra", SealConfirm},
		"nor for who did it, as long as others may hold the key": {2, held(2, "ams"), sealed(1, 2, "ams", ""), "ams", "", SealWaits},
		"what is told of a revision needs another's word":        {2, all, sealed(2, 2, "ams", ""), "fra", "", SealConfirm},
		"once":                       {2, all, sealed(2, 2, "ams", "fra"), "fra", "", SealKept},
		"be it that no key opens it": {2, all, sealed(0, 2, "ams", ""), "fra", "", SealConfirm},
		"what is confirmed is kept":  {2, all, sealed(1, 2, "ams", "fra"), "ams", "", SealKept},
		"nothing is sealed to a key that one holds who may not read": {2, append(held(2, "gone"), all...), nil, "ams", "", SealWaits},
	} {
		g := &v1alpha1.RecipientGroup{Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{}}, Status: v1alpha1.RecipientGroupStatus{Epoch: c.epoch, Wraps: c.wraps}}
		sealers, err := SealersOf(g, Candidates{Clusters: fleet}, c.self, func(cluster string) bool { return cluster != c.away })
		if err != nil {
			t.Fatal(err)
		}
		got, on := sealers.Work(SealDueOf(g.Status.Epoch, c.known, strings.HasSuffix(name, "another group before")))
		if got != c.want || on == c.self || on != "" && got != SealWaits {
			t.Errorf("%s: %v instead of %v, and it is the turn of %q", name, got, c.want, on)
		}
	}
}
