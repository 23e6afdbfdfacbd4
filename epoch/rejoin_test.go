package epoch

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

func TestUnderWhichTermsAClusterComesIn(t *testing.T) {
	v := fleet(t)
	for name, tt := range map[string]struct {
		token, joiner law.Terms
		want          string // the terms, or of the refusal
	}{
		"a new one, by the token and by what it says":  {law.Terms{Region: "eu"}, law.Terms{Cluster: "ams", Zone: "a"}, "ams eu/a Eligible Admin"},
		"a new one that never votes":                   {law.Terms{Cluster: "ams", Voting: v1alpha1.VotingNever}, law.Terms{Region: "eu"}, "ams eu/ Never OwnObjects"},
		"a new one that says nothing":                  {law.Terms{}, law.Terms{Cluster: "ams"}, "neither the token nor the joiner says cluster and region"},
		"a vacant one, as its record says":             {law.Terms{Cluster: "sin"}, law.Terms{Cluster: "sin"}, "sin r-sin/z Eligible Admin"},
		"a vacant one that says the same":              {law.Terms{Cluster: "sin", Region: "r-sin", Labels: map[string]string{"tier": "prod"}, Rights: v1alpha1.RightsAdmin}, law.Terms{Zone: "z"}, "sin r-sin/z Eligible Admin"},
		"not a vacant one that nobody named":           {law.Terms{}, law.Terms{Cluster: "sin"}, "takes a token of its own: hanse token create --cluster sin"},
		"not a vacant one in another region":           {law.Terms{Cluster: "sin"}, law.Terms{Region: "eu"}, `sin is on record with region "r-sin", not "eu"; join without it, or change the record first: kubectl edit cluster sin`},
		"not a vacant one in another zone":             {law.Terms{Cluster: "sin"}, law.Terms{Zone: "b"}, `zone "z", not "b"`},
		"not by a token with another region":           {law.Terms{Cluster: "sin", Region: "eu"}, law.Terms{}, `region "r-sin", not "eu"; make a token that does not say it: hanse token create --cluster sin`},
		"not by a token that takes its vote":           {law.Terms{Cluster: "sin", Voting: v1alpha1.VotingNever}, law.Terms{}, `voting "Eligible", not "Never"`},
		"not by a token with other rights":             {law.Terms{Cluster: "sin", Rights: v1alpha1.RightsReadOnly}, law.Terms{}, `rights "Admin", not "ReadOnly"`},
		"not by a token with another label":            {law.Terms{Cluster: "sin", Labels: map[string]string{"tier": "edge"}}, law.Terms{}, `label "tier=prod", not "tier=edge"`},
		"not by a token with one more label":           {law.Terms{Cluster: "sin", Labels: map[string]string{"disk": "ssd"}}, law.Terms{}, `label "disk=", not "disk=ssd"`},
		"not another one than the token names":         {law.Terms{Cluster: "sin"}, law.Terms{Cluster: "ams"}, "the token is for cluster sin, not ams"},
		"not one that is there":                        {law.Terms{Cluster: "iad"}, law.Terms{Region: "r-iad"}, "hanse token create --cluster iad --replace"},
		"one whose disk is lost, as its record says":   {law.Terms{Cluster: "iad", Replace: true}, law.Terms{Cluster: "iad"}, "iad r-iad/z Eligible Admin"},
		"not one whose disk is lost, in another place": {law.Terms{Cluster: "iad", Replace: true}, law.Terms{Region: "eu"}, `region "r-iad", not "eu"`},
		"not by a token to replace that says another":  {law.Terms{Cluster: "iad", Replace: true, Region: "eu"}, law.Terms{}, "hanse token create --cluster iad --replace"},
		"not one that is to be replaced and is none":   {law.Terms{Cluster: "ams", Replace: true}, law.Terms{}, "no cluster ams whose member could be replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Enter(v, law.Token{Terms: tt.token}, Joiner{Terms: tt.joiner})
			got := strings.Join([]string{e.Terms.Cluster, e.Terms.Region + "/" + e.Terms.Zone, string(e.Terms.Voting), string(e.Terms.Rights)}, " ")
			if err != nil {
				got = err.Error()
				if !errors.As(err, new(Refusal)) {
					t.Errorf("no refusal: %v", err)
				}
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Of one that was removed there may be something left for a moment: what it was granted would be the new one's. So the joiner is to ask again.
func TestANewOneComesInOnceNothingIsLeftOfTheOneBefore(t *testing.T) {
	grant, tomb := put(t, v1alpha1.GrantKey("ams", "shop"), v1alpha1.Grant{Bundle: "shop"}), put(t, v1alpha1.KeyTombstones+"u", v1alpha1.Tombstone{Bundle: "shop", Clusters: []string{"ams", "fra"}})
	for name, tt := range map[string]struct {
		left []store.Op
		want string
	}{
		"what it was granted":             {[]store.Op{grant}, "cluster ams was removed, and the grant of bundle shop to cluster ams is still to be forgotten"},
		"that a deleted bundle waits":     {[]store.Op{tomb}, "cluster ams was removed, and what is left of the deleted bundle with uid u is still to be forgotten"},
		"nothing":                         {nil, ""},
		"what one of another name has":    {[]store.Op{put(t, v1alpha1.GrantKey("ams-2", "shop"), v1alpha1.Grant{}), put(t, v1alpha1.GrantKey("am", "s"), v1alpha1.Grant{})}, ""},
		"what one that is on record had ": {[]store.Op{grant, tomb, put(t, v1alpha1.KeyClusters+"ams", clusterOf("ams"))}, ""},
	} {
		v := fleet(t)
		if len(tt.left) > 0 {
			v = state(t, v, tt.left...)
		}
		_, err := Enter(v, law.Token{Terms: law.Terms{Cluster: "ams"}}, Joiner{Terms: law.Terms{Region: "r-ams"}})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, new(Refusal))) {
			t.Errorf("there is left %s: %v", name, err)
		}
	}
}

// A new incarnation has a key of its own: what only the one before opens would be lost.
func TestTheOnlyOneThatOpensASecretIsNotReplaced(t *testing.T) {
	v := sealed(t, fleet(t), "readers", "iad")
	enter := func(v *store.View, token law.Terms) error {
		_, err := Enter(v, law.Token{Terms: token}, Joiner{})
		return err
	}
	replace := law.Terms{Cluster: "iad", Replace: true}
	if err := enter(v, replace); !errors.As(err, new(Refusal)) || !strings.Contains(err.Error(), "holds the key of group readers") || !strings.Contains(err.Error(), "secret db-readers would be lost with it; join with --keys-from and its former data directory, or") {
		t.Errorf("it is replaced: %v", err)
	}
	if err := enter(v, law.Terms{Cluster: "sin"}); err != nil {
		t.Errorf("another one does not come in: %v", err)
	}
	if err := enter(state(t, v, store.Delete(v1alpha1.KeyFleetSecrets+"db-readers")), replace); err != nil {
		t.Errorf("nothing is sealed: %v", err)
	}
}

// What only the member before opens is not lost without a word: the next one brings its key, or somebody says that it is gone.
func TestWhoJoinsAgainBringsItsKey(t *testing.T) {
	const refused = "only the member that sin had holds the key of group readers, in age.key of its data directory, and no recovery recipient does: secret db-readers would be lost"
	for name, tt := range map[string]struct {
		openers []string
		token   law.Terms
		joiner  Joiner
		want    string
	}{
		"it does":                          {[]string{"sin"}, law.Terms{Cluster: "sin"}, Joiner{Recipient: "of sin"}, ""},
		"it does not":                      {[]string{"sin"}, law.Terms{Cluster: "sin"}, Joiner{}, refused},
		"it has another one":               {[]string{"sin"}, law.Terms{Cluster: "sin"}, Joiner{Recipient: "another"}, refused},
		"it says that the key is gone":     {[]string{"sin"}, law.Terms{Cluster: "sin"}, Joiner{KeysLost: true}, ""},
		"another cluster opens it":         {[]string{"sin", "iad"}, law.Terms{Cluster: "sin"}, Joiner{}, ""},
		"a person does":                    {[]string{"sin", ""}, law.Terms{Cluster: "sin"}, Joiner{}, ""},
		"it opens nothing":                 {[]string{"iad"}, law.Terms{Cluster: "sin"}, Joiner{}, ""},
		"nobody does":                      {nil, law.Terms{Cluster: "sin"}, Joiner{}, ""},
		"one that is replaced does":        {[]string{"iad"}, law.Terms{Cluster: "iad", Replace: true}, Joiner{Recipient: "of iad"}, ""},
		"one that is replaced does not":    {[]string{"iad"}, law.Terms{Cluster: "iad", Replace: true}, Joiner{}, "secret db-readers would be lost"},
		"one that is replaced says so":     {[]string{"iad"}, law.Terms{Cluster: "iad", Replace: true}, Joiner{KeysLost: true}, "secret db-readers would be lost"},
		"a cluster that is new has no key": {[]string{"sin"}, law.Terms{Cluster: "ams", Region: "eu"}, Joiner{Recipient: "of ams"}, "the fleet has no cluster ams on record"},
	} {
		t.Run(name, func(t *testing.T) {
			v := sealed(t, fleet(t), "readers", tt.openers...)
			e, err := Enter(v, law.Token{Terms: tt.token}, tt.joiner)
			if tt.want != "" {
				if !errors.As(err, new(Refusal)) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("it comes in: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			m := memberOf(tt.token.Cluster)
			m.ID, m.Pin = "fresh", store.Pin{99}
			_, ops, err := e.Ops(v, Newcomer{Member: m, Version: "v2", At: noon.Time})
			if err != nil {
				t.Fatal(err)
			}
			c, _, err := OnRecord(state(t, v, ops...), tt.token.Cluster)
			if err != nil || c.Status.Recipient != tt.joiner.Recipient || c.Status.RecipientSignature != nil || c.Status.RecipientSince != nil {
				t.Errorf("its record is %+v: %v", c.Status, err)
			}
		})
	}
}

// What was looked at before a key goes is still so when it does.
func TestAKeyGoesWhileWhoElseReadsStays(t *testing.T) {
	const groups, clusters, fleets, fleetSecrets = v1alpha1.KeyRecipientGroups, v1alpha1.KeyClusters, v1alpha1.KeyFleets, v1alpha1.KeyFleetSecrets
	replace := law.Terms{Cluster: "iad", Replace: true}
	for name, tt := range map[string]struct {
		openers []string
		token   law.Terms
		joiner  Joiner
		want    []string
	}{
		"another one opens it, too":      {[]string{"iad", "fra"}, replace, Joiner{}, []string{groups, clusters, fleets}},
		"it opens nothing":               {[]string{"fra"}, replace, Joiner{}, []string{groups}},
		"it alone opens, and nothing is": {[]string{"iad"}, replace, Joiner{}, []string{groups, clusters, fleets, fleetSecrets}},
		"it brings its key":              {[]string{"iad"}, replace, Joiner{Recipient: "of iad"}, nil},
		"one that joins again":           {[]string{"sin", "fra"}, law.Terms{Cluster: "sin"}, Joiner{}, []string{groups, clusters, fleets}},
		"its key is gone":                {[]string{"sin"}, law.Terms{Cluster: "sin"}, Joiner{KeysLost: true}, nil},
		"a new cluster":                  {[]string{"iad"}, law.Terms{Cluster: "ams", Region: "eu"}, Joiner{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v := sealed(t, fleet(t), "readers", tt.openers...)
			if len(tt.openers) == 1 && tt.openers[0] == "iad" {
				v = state(t, v, store.Delete(fleetSecrets+"db-readers"))
			}
			e, err := Enter(v, law.Token{Terms: tt.token}, tt.joiner)
			if err != nil {
				t.Fatal(err)
			}
			m := memberOf(tt.token.Cluster)
			m.ID, m.Pin = "fresh", store.Pin{99}
			conditions, _, err := e.Ops(v, Newcomer{Member: m, Version: "v2", At: noon.Time})
			if err != nil {
				t.Fatal(err)
			}
			for _, prefix := range []string{groups, clusters, fleets, fleetSecrets} {
				if has := slices.Contains(conditions, store.PrefixUnchanged(prefix, v.Revision())); has != slices.Contains(tt.want, prefix) {
					t.Errorf("it wants nothing to have changed under %s: %v", prefix, has)
				}
			}
		})
	}
}

// Who reads, only admins say: by a label, a selector, or a token.
func TestAJoinerDoesNotSayThatItReads(t *testing.T) {
	by := func(key string, op metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: op, Values: values}}}
	}
	const region, zone = v1alpha1.LabelRegion, v1alpha1.LabelZone
	const refused = "ams would read what is sealed for group readers by what it says of itself, and only admins say who reads; join with a token that says it: hanse token create --cluster ams "
	both := by(region, metav1.LabelSelectorOpIn, "eu")
	both.MatchExpressions = append(both.MatchExpressions, by(zone, metav1.LabelSelectorOpIn, "a").MatchExpressions...)
	for name, tt := range map[string]struct {
		selector *metav1.LabelSelector
		token    law.Terms
		joiner   law.Terms
		want     string
	}{
		"a region that is read by":                 {by(region, metav1.LabelSelectorOpIn, "eu", "us"), law.Terms{}, law.Terms{Region: "eu"}, refused + "--region eu"},
		"said by the token, too":                   {by(region, metav1.LabelSelectorOpIn, "eu", "us"), law.Terms{Region: "eu"}, law.Terms{Region: "eu"}, ""},
		"another one":                              {by(region, metav1.LabelSelectorOpIn, "eu"), law.Terms{}, law.Terms{Region: "ap"}, ""},
		"one that is not left out":                 {by(region, metav1.LabelSelectorOpNotIn, "ap"), law.Terms{}, law.Terms{Region: "eu"}, refused + "--region eu"},
		"a zone":                                   {by(zone, metav1.LabelSelectorOpExists), law.Terms{Region: "eu"}, law.Terms{Zone: "a"}, refused + "--zone a"},
		"no zone":                                  {by(zone, metav1.LabelSelectorOpNotIn, "b"), law.Terms{Region: "eu"}, law.Terms{}, refused + "--zone ZONE"},
		"region and zone":                          {both, law.Terms{}, law.Terms{Region: "eu", Zone: "a"}, refused + "--region eu --zone a"},
		"a zone, of a region by token":             {both, law.Terms{Region: "eu"}, law.Terms{Zone: "a"}, refused + "--zone a"},
		"every cluster reads":                      {&metav1.LabelSelector{}, law.Terms{}, law.Terms{Region: "eu"}, ""},
		"by a label, which admins give":            {by("tier", metav1.LabelSelectorOpIn, "prod"), law.Terms{Labels: map[string]string{"tier": "prod"}}, law.Terms{Region: "eu"}, ""},
		"by a region, and a label that it has not": {&metav1.LabelSelector{MatchLabels: map[string]string{region: "eu", "tier": "prod"}}, law.Terms{}, law.Terms{Region: "eu"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.RecipientGroup{TypeMeta: v1alpha1.TypeOf("RecipientGroup"), ObjectMeta: metav1.ObjectMeta{Name: "readers"}, Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: tt.selector}}
			op, err := law.Put(v1alpha1.KeyRecipientGroups+"readers", g)
			if err != nil {
				t.Fatal(err)
			}
			tt.joiner.Cluster = "ams"
			_, err = Enter(state(t, fleet(t), op), law.Token{Terms: tt.token}, Joiner{Terms: tt.joiner})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want || !errors.As(err, new(Refusal))) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestWhatComesInIsWrittenAtOnce(t *testing.T) {
	enter := func(v *store.View, terms law.Terms) *store.View {
		t.Helper()
		e, err := Enter(v, law.Token{Terms: terms}, Joiner{Terms: law.Terms{Region: terms.Region}})
		if err != nil {
			t.Fatal(err)
		}
		m := memberOf(terms.Cluster)
		m.ID, m.Pin = "fresh", store.Pin{99}
		_, ops, err := e.Ops(v, Newcomer{Member: m, Version: "v2", Meta: clusterOf(terms.Cluster).ObjectMeta, At: noon.Time})
		if err != nil {
			t.Fatal(err)
		}
		return state(t, v, ops...)
	}
	on := func(v *store.View, cluster string) *v1alpha1.Cluster {
		t.Helper()
		c, _, err := OnRecord(v, cluster)
		if err != nil || c == nil {
			t.Fatalf("%s: %v", cluster, err)
		}
		return c
	}
	t.Run("a cluster on record keeps all but what its member says", func(t *testing.T) {
		for _, terms := range []law.Terms{{Cluster: "sin"}, {Cluster: "iad", Replace: true}} {
			before := looking(t, "fra", "sin", "iad")
			after := enter(before, terms)
			was, is := on(before, terms.Cluster), on(after, terms.Cluster)
			if is.Status.Incarnation != "fresh" || is.Status.Version != "v2" {
				t.Errorf("its status is %+v", is.Status)
			}
			is.Status = was.Status
			if diff := cmp.Diff(was, is); diff != "" {
				t.Error(diff)
			}
			if m := membersOf(after, terms.Cluster); len(m) != 1 || m[0].ID != "fresh" || !m[0].Eligible {
				t.Errorf("its members are %+v", m)
			}
			if !Looks(after, terms.Cluster) {
				t.Errorf("%s acts", terms.Cluster)
			}
		}
	})
	t.Run("a new cluster acts", func(t *testing.T) {
		if Looks(enter(fleet(t), law.Terms{Cluster: "ams", Region: "eu"}), "ams") {
			t.Error("it only looks")
		}
	})
	t.Run("a new cluster only looks while another does: the fleet may have had it", func(t *testing.T) {
		if !Looks(enter(looking(t, "sin"), law.Terms{Cluster: "ams", Region: "eu"}), "ams") {
			t.Error("it acts")
		}
	})
}

func TestALivingMemberIsNotReplaced(t *testing.T) {
	v := fleet(t)
	now := noon.Add(time.Hour)
	for name, tt := range map[string]struct {
		sign    Sign
		leader  store.MemberID
		replace bool
		want    string
	}{
		"one that is long silent":  {Sign{Heard: now.Add(-time.Minute)}, "id-fra", true, ""},
		"one that lives":           {Sign{Heard: now.Add(-time.Second), Alive: true}, "id-fra", true, "is alive: it was heard 1s ago"},
		"one that leads":           {Sign{}, "id-iad", true, "is alive, and leads"},
		"one that may be starting": {Sign{Heard: now.Add(-5 * time.Second)}, "id-fra", true, "may only be restarting"},
		"by a token that must not": {Sign{Alive: true}, "id-fra", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			token := law.Token{Terms: law.Terms{Cluster: "iad", Replace: tt.replace}}
			err := Replaceable(v, token, tt.leader, now, func(store.MemberID) Sign { return tt.sign })
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
