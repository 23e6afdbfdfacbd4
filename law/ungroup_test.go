package law

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// moved is the realm of keyed, where fra and iad hold the key of readers, and the secret db was sealed for that and is now for the group others, of
// fra alone, which has a key as well.
func moved(t *testing.T) *realm {
	r := keyed(t)
	if err := r.tryBare("id-fra", "", 0, r.group("readers", wrapped("iad"))); err != nil {
		t.Fatal(err)
	}
	others := group("others", "yes")
	others.Spec.ClusterSelector.MatchLabels["only"] = "fra"
	if err := r.try("id-fra", "anna", 0, r.whole(r.cluster("fra", func(c *v1alpha1.Cluster) { c.Labels["only"] = "fra" }))...); err != nil {
		t.Fatal(err)
	}
	if err := r.try("id-fra", "anna", 0, r.put(v1alpha1.KeyRecipientGroups+"others", others)); err != nil {
		t.Fatal(err)
	}
	if err := r.tryBare("id-fra", "", 0, r.group("others", made("fra"))); err != nil {
		t.Fatal(err)
	}
	r.seals("db", 1, "readers")
	r.seals("db", 2, "others")
	return r
}

// seals writes a generation of a secret, for a group.
func (r *realm) seals(name string, generation int64, group string) {
	r.Helper()
	s := secret(name)
	s.Generation, s.Spec.Group = generation, group
	if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+name, s))...); err != nil {
		r.Fatal(err)
	}
}

// says writes what nobody but the leader may.
func (r *realm) says(ops ...store.Op) {
	r.Helper()
	if err := r.tryBare("id-fra", "", term, ops...); err != nil {
		r.Fatal(err)
	}
}

func (r *realm) tells(generation int, since ...map[string]int64) {
	r.Helper()
	r.says(r.put(fmt.Sprintf("%ssecret.db-u-db-%d", v1alpha1.KeySealings, generation), v1alpha1.Sealing{Group: "others", Found: 1, Epoch: 1, By: "fra", Witness: "fra", Since: since}))
}

func (r *realm) granted(generation int) {
	r.Helper()
	r.says(r.put(v1alpha1.GrantKey("fra", "secret.db"), v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u-db", Revision: fmt.Sprintf("secret.db-u-db-%d", generation)}))
}

func (r *realm) rolls(generation int64, phase v1alpha1.RolloutPhase, waves ...v1alpha1.Wave) {
	r.Helper()
	r.rollsAgain(generation, 1, phase, waves...)
}

func (r *realm) rollsAgain(generation int64, number int32, phase v1alpha1.RolloutPhase, waves ...v1alpha1.Wave) {
	r.Helper()
	o := &v1alpha1.Rollout{TypeMeta: v1alpha1.TypeOf("Rollout"), ObjectMeta: named(fmt.Sprintf("secret.db-u-db-%d-%d", generation, number))}
	o.Spec.Number = number
	o.Spec.Bundle, o.Spec.BundleUID, o.Spec.Generation, o.Spec.Revision = "secret.db", "u-db", generation, fmt.Sprintf("secret.db-u-db-%d", generation)
	o.Spec.Waves = waves
	o.Status.Phase, o.Status.Waves = phase, []v1alpha1.WaveStatus{{}}
	if phase == v1alpha1.RolloutComplete {
		o.Status.Waves[0].Settled = &metav1.Time{Time: time.Unix(9, 0)}
	}
	r.says(r.put(v1alpha1.KeyRollouts+o.Name, o))
}

func TestAGroupStaysWhileItAloneRemembersWhoCouldReadAValue(t *testing.T) {
	iadsOwn := func(r *realm) { // iad reads for the other group as well
		r.says(r.cluster("iad", func(c *v1alpha1.Cluster) { c.Labels["only"] = "fra" }))
	}
	left := func(cluster string, epoch int64) func(*realm) {
		return func(r *realm) {
			r.says(r.group("readers", func(g *v1alpha1.RecipientGroup) {
				g.Status.Wraps, g.Status.Epoch = g.Status.Wraps[:1], 3
				g.Status.Left = []v1alpha1.FormerReader{{Cluster: cluster, Key: v1alpha1.KeyID("age of " + cluster), Epoch: epoch}}
			}))
		}
	}
	for name, c := range map[string]struct {
		then []func(*realm)
		want string
	}{
		"nobody has told yet, and a holder of its key may not read now": {nil, "cluster iad could read a value of secret db"},
		"the value is as it was": {[]func(*realm){func(r *realm) { r.tells(2, map[string]int64{"others": 1, "readers": 1}) }}, "cluster iad could read a value of secret db"},
		"one of two is":          {[]func(*realm){func(r *realm) { r.tells(2, map[string]int64{"others": 1}, map[string]int64{"others": 1, "readers": 1}) }}, "cluster iad could read a value of secret db"},
		"it is another one":      {[]func(*realm){func(r *realm) { r.tells(2, map[string]int64{"others": 1}) }}, ""},
		"it is another one in what the secret is, and clusters keep the one before": {[]func(*realm){
			func(r *realm) { r.tells(2, map[string]int64{"others": 1, "readers": 1}) },
			func(r *realm) { r.seals("db", 3, "others"); r.tells(3, map[string]int64{"others": 1}); r.granted(2) },
		}, "cluster iad could read a value of secret db"},
		"all who held its key may read now": {[]func(*realm){iadsOwn}, ""},
		"one that left had its key":         {[]func(*realm){iadsOwn, left("sin", 1)}, "cluster sin could read a value of secret db"},
		"one left before the value was made": {[]func(*realm){left("sin", 1), func(r *realm) {
			r.tells(2, map[string]int64{"others": 1, "readers": 2})
		}}, ""},
		"one that reads now had it by another key of its own": {[]func(*realm){iadsOwn, left("iad", 1), func(r *realm) {
			r.says(r.cluster("iad", func(c *v1alpha1.Cluster) { c.Status.Recipient = "another of iad" }))
		}}, "cluster iad could read a value of secret db"},
		"the secret is deleted": {[]func(*realm){func(r *realm) {
			if err := r.try("id-fra", "otto", 0, r.whole(store.Delete(v1alpha1.KeyFleetSecrets+"db"))...); err != nil {
				r.Fatal(err)
			}
		}}, ""},
		"one of its name that was deleted was for it": {[]func(*realm){func(r *realm) {
			if err := r.try("id-fra", "otto", 0, r.whole(store.Delete(v1alpha1.KeyFleetSecrets+"db"))...); err != nil {
				r.Fatal(err)
			}
			past := secret("db")
			r.says(store.Delete(v1alpha1.KeyBundleRevisions+"secret.db-u-db-1"), store.Delete(v1alpha1.KeyBundleRevisions+"secret.db-u-db-2"),
				r.put(v1alpha1.KeyPasts+v1alpha1.ChangeName("fleetsecrets", "db", "u-db", 7), past))
			again := secret("db")
			again.UID, again.Spec.Group = "u-again", "others"
			r.says(r.put(v1alpha1.KeyFleetSecrets+"db", again), r.put(v1alpha1.KeyBundleRevisions+"secret.db-u-again-1", map[string]any{"spec": map[string]any{
				"bundle": "secret.db", "bundleUID": "u-again", "generation": 1, "manifests": []any{map[string]any{"spec": map[string]any{"group": "others"}}},
			}}))
		}}, "cluster iad could read a value of secret db"},
	} {
		t.Run(name, func(t *testing.T) {
			r := moved(t)
			for _, then := range c.then {
				then(r)
			}
			r.goes("readers", c.want)
		})
	}
}

// goes deletes a group; want is why it stays, "" when it is to go.
func (r *realm) goes(group, want string) {
	r.Helper()
	remove := store.Delete(v1alpha1.KeyRecipientGroups + group)
	if want == "" {
		if err := r.try("id-fra", "anna", 0, r.whole(remove)...); err != nil {
			r.Errorf("it stays: %v", err)
		}
		return
	}
	if err := r.try("id-fra", "anna", 0, remove); err == nil || !strings.Contains(err.Error(), want) {
		r.Errorf("it goes, or stays for something else: %v", err)
	}
}

// What a secret says is one thing, what clusters run another: until that is so everywhere, or is given up for the last good one, both are to be opened.
func TestWhatClustersKeepOrMayGetAgainIsSealedForItsGroup(t *testing.T) {
	const kept = "revision secret.db-u-db-1 has it, which clusters keep or may get again, is sealed for it"
	other := func(r *realm) { // what is moved has another value, and is told so
		r.tells(2, map[string]int64{"others": 1})
	}
	for name, c := range map[string]struct {
		then []func(*realm)
		want bool
	}{
		"it is rolled out, and has not reached a cluster": {[]func(*realm){func(r *realm) { r.granted(1) }}, false},
		"each cluster was granted it, and it may go back": {[]func(*realm){func(r *realm) { r.granted(2); r.rolls(1, v1alpha1.RolloutComplete); r.rolls(2, v1alpha1.RolloutPaused) }}, false},
		"it was given up, and who joins gets the last one": {[]func(*realm){func(r *realm) {
			r.granted(2)
			r.rolls(1, v1alpha1.RolloutComplete)
			r.rolls(2, v1alpha1.RolloutAborted)
		}}, false},
		"the one before is under way": {[]func(*realm){func(r *realm) { r.rolls(1, v1alpha1.RolloutRunning) }}, false},
		"it went through": {[]func(*realm){func(r *realm) {
			r.granted(2)
			r.rolls(1, v1alpha1.RolloutComplete)
			r.rolls(2, v1alpha1.RolloutComplete)
		}}, true},
		"it went through, was rolled out to who came later and given up, and who joins then gets the one before": {[]func(*realm){func(r *realm) {
			r.granted(2)
			r.rolls(1, v1alpha1.RolloutComplete)
			r.rolls(2, v1alpha1.RolloutComplete)
			r.rollsAgain(2, 2, v1alpha1.RolloutAborted)
		}}, false},
		"it was given up, and went through then": {[]func(*realm){func(r *realm) {
			r.granted(2)
			r.rolls(1, v1alpha1.RolloutComplete)
			r.rolls(2, v1alpha1.RolloutAborted)
			r.rollsAgain(2, 2, v1alpha1.RolloutComplete)
		}}, true},
		"it gave who joined the one before, and nobody else anything": {[]func(*realm){func(r *realm) {
			r.granted(2)
			r.rolls(1, v1alpha1.RolloutComplete)
			r.rolls(2, v1alpha1.RolloutComplete, v1alpha1.Wave{Revision: "secret.db-u-db-1"})
		}}, false},
		"nothing was ever granted": {nil, true},
		"one of its name that was deleted is granted": {[]func(*realm){func(r *realm) {
			r.says(r.put(v1alpha1.GrantKey("fra", "secret.db"), v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u-older", Revision: "secret.db-u-db-1"}))
		}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := moved(t)
			for _, then := range append(c.then, other) {
				then(r)
			}
			none := r.group("readers", func(g *v1alpha1.RecipientGroup) {
				g.Spec.ClusterSelector.MatchLabels["reads"] = "mars"
				g.Spec.RecoveryRecipients = nil
			})
			if c.want {
				r.goes("readers", "")
				return
			}
			r.goes("readers", kept)
			if err := r.try("id-fra", "anna", 0, none); err == nil || !strings.Contains(err.Error(), "which clusters keep or may get again, is sealed") {
				t.Errorf("its selector picks nobody who holds its key: %v", err)
			}
		})
	}
}

func TestWhatOneMemberAloneOpens(t *testing.T) {
	alone := func(cluster string) func(*v1alpha1.RecipientGroup) {
		return func(g *v1alpha1.RecipientGroup) { g.Status.Wraps = []v1alpha1.KeyWrap{wrapOf(cluster)} }
	}
	for name, c := range map[string]struct {
		held func(*v1alpha1.RecipientGroup)
		want string
	}{
		"it alone holds the key":         {alone("fra"), "db readers"},
		"another one does":               {alone("iad"), " "},
		"another one does, too":          {wrapped("iad"), " "},
		"a recovery recipient does, too": {recovering("of anna"), " "},
		"another one's opens nothing":    {func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Wraps[1].Wrap = v1alpha1.NoWrap }, "db readers"},
		"it holds it no more":            {func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[0].Key = "lost" }, " "},
	} {
		r := keyed(t)
		r.says(r.group("readers", c.held))
		if secret, group := OnlyOpener(r.store.View(), "fra"); secret+" "+group != " " {
			t.Errorf("%s: nothing is sealed, and it opens %s for %s", name, secret, group)
		}
		r.seals("db", 1, "readers")
		if secret, group := OnlyOpener(r.store.View(), "fra"); secret+" "+group != c.want {
			t.Errorf("%s: it opens %q for %q", name, secret, group)
		}
	}
}

// TestWhatOneMemberAloneOpensOfThePast: fra alone holds the key of the group that the secret was for, and a person, too, that of the present one.
func TestWhatOneMemberAloneOpensOfThePast(t *testing.T) {
	r := moved(t)
	r.says(r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Status.Wraps = []v1alpha1.KeyWrap{wrapOf("fra")} }))
	r.says(r.group("others", recovering("of anna")))
	if secret, group := OnlyOpener(r.store.View(), "fra"); secret != "" {
		t.Errorf("no cluster keeps what it was, and fra opens %s for %s", secret, group)
	}
	r.granted(1)
	if secret, group := OnlyOpener(r.store.View(), "fra"); secret+" "+group != "db readers" {
		t.Errorf("a cluster keeps what it was, and fra opens %q for %q", secret, group)
	}
}

func TestAGroupThatCannotBeReadGoes(t *testing.T) {
	r := keyed(t)
	r.says(store.Put(v1alpha1.KeyRecipientGroups+"empty", []byte("{")))
	r.goes("empty", "")
	if _, _, err := unsealed(r.store.View(), "empty"); err == nil || err.Error() != "recipient group empty is not there" {
		t.Errorf("once it has gone: %v", err)
	}
}

// TestTheGroupOfASecretThatCannotBeReadStays: clusters keep it, or may get it again, and have to open it.
func TestTheGroupOfASecretThatCannotBeReadStays(t *testing.T) {
	for name, then := range map[string]func(*realm){
		"clusters keep it":       func(r *realm) { r.granted(1) },
		"a rollout may grant it": func(r *realm) { r.rolls(1, v1alpha1.RolloutRunning) },
	} {
		r := keyed(t)
		r.seals("db", 1, "readers")
		then(r)
		r.says(store.Put(v1alpha1.KeyFleetSecrets+"db", []byte("{")))
		_, _, err := unsealed(r.store.View(), "readers")
		if err == nil || !strings.Contains(err.Error(), "secret db, as revision secret.db-u-db-1 has it") {
			t.Errorf("%s: the group goes: %v", name, err)
		}
	}
}

// TestWhoLeftAGroupIsLookedUpWithoutReadingClusters: every member judges that a group goes while it applies the log, and many may have left.
func TestWhoLeftAGroupIsLookedUpWithoutReadingClusters(t *testing.T) {
	const many = 400
	r := moved(t)
	for i := range 10 {
		r.seals(fmt.Sprint("moved-", i), 1, "readers")
		r.seals(fmt.Sprint("moved-", i), 2, "others")
	}
	costs := func(left int) float64 {
		r.says(r.group("readers", func(g *v1alpha1.RecipientGroup) {
			g.Status.Wraps = []v1alpha1.KeyWrap{wrapOf("fra")}
			g.Status.Left = slices.Repeat([]v1alpha1.FormerReader{{Cluster: "fra", Key: v1alpha1.KeyID("age of fra"), Epoch: 1}}, left)
		}))
		v := r.store.View()
		return testing.AllocsPerRun(3, func() {
			if secret, reader, err := remembers(v, "readers"); secret != "" || err != nil {
				t.Fatalf("%s could read %s: %v", reader, secret, err)
			}
		})
	}
	one, all := costs(1), costs(many)
	if each := (all - one) / (many - 1); each > 50 { // it is read itself; a cluster for each of 11 secrets takes hundreds
		t.Errorf("each that left takes %.0f allocations", each)
	}
}
