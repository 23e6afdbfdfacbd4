package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// keyed is a realm whose clusters have recipients, with the group readers, of fra and iad, and the group empty, of sin alone, which has
// no key yet.
func keyed(t testing.TB) *realm {
	r := newRealm(t)
	for _, name := range []string{"fra", "iad", "sin"} {
		op := r.cluster(name, func(c *v1alpha1.Cluster) {
			c.Status.Recipient = "age of " + name
			c.Labels["reads"] = map[bool]string{true: "yes", false: "no"}[name != "sin"]
		})
		if err := r.tryBare("id-fra", "", term, op); err != nil {
			t.Fatal(err)
		}
	}
	for name, reads := range map[string]string{"readers": "yes", "empty": "no"} {
		if err := r.try("id-fra", "anna", 0, r.put(v1alpha1.KeyRecipientGroups+name, group(name, reads))); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.tryBare("id-fra", "", 0, r.group("readers", made("fra"))); err != nil {
		t.Fatal(err)
	}
	return r
}

func group(name, reads string) *v1alpha1.RecipientGroup {
	return &v1alpha1.RecipientGroup{TypeMeta: v1alpha1.TypeOf("RecipientGroup"), ObjectMeta: named(name),
		Spec: v1alpha1.RecipientGroupSpec{RecoveryRecipients: []string{"of anna"}, ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"reads": reads}}}}
}

// group is a stored group, changed as a member changes it.
func (r *realm) group(name string, change func(*v1alpha1.RecipientGroup)) store.Op {
	r.Helper()
	kv, _ := r.store.View().Get(v1alpha1.KeyRecipientGroups + name)
	var g v1alpha1.RecipientGroup
	if err := json.Unmarshal(kv.Value, &g); err != nil {
		r.Fatal(err)
	}
	before := g.DeepCopy()
	change(&g)
	op, err := Amend(kv, before, &g)
	if err != nil {
		r.Fatal(err)
	}
	return op
}

// wrapOf is the first key for a cluster, wrapped by fra.
func wrapOf(cluster string) v1alpha1.KeyWrap {
	return v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID("age of " + cluster), Epoch: 1, Wrap: []byte("wrapped"), By: "fra"}
}

// made is the first key, wrapped for some by the first of them.
func made(clusters ...string) func(*v1alpha1.RecipientGroup) {
	return func(g *v1alpha1.RecipientGroup) {
		g.Status.Recipient, g.Status.Epoch, g.Status.Begun, g.Status.By = "age1pq1", 1, &metav1.Time{Time: time.Unix(9, 0)}, ""
		if len(clusters) > 0 {
			g.Status.By = clusters[0]
		}
		wrapped(clusters...)(g)
		for i := range g.Status.Wraps {
			g.Status.Wraps[i].By = g.Status.By
		}
	}
}

// recovering is the key wrapped for a person, by fra.
func recovering(recipient string) func(*v1alpha1.RecipientGroup) {
	return func(g *v1alpha1.RecipientGroup) {
		g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Key: v1alpha1.KeyID(recipient), Epoch: 1, Wrap: []byte("wrapped"), By: "fra"})
	}
}

func wrapped(clusters ...string) func(*v1alpha1.RecipientGroup) {
	return func(g *v1alpha1.RecipientGroup) {
		for _, c := range clusters {
			g.Status.Wraps = append(g.Status.Wraps, wrapOf(c))
		}
	}
}

func TestWhoWritesTheKeysOfAGroup(t *testing.T) {
	const yes, no = true, false
	type change = func(*v1alpha1.RecipientGroup)
	for name, c := range map[string]struct {
		member store.MemberID
		person string
		group  string
		change change
		want   bool
	}{
		"a holder wraps the key for another of the group":     {"id-fra", "", "readers", wrapped("iad"), yes},
		"who holds no key adds none, not for itself either":   {"id-iad", "", "readers", wrapped("iad"), no},
		"nor one of the key of another":                       {"id-sin", "", "readers", wrapped("iad"), no},
		"a holder wraps it for nobody outside":                {"id-fra", "", "readers", wrapped("sin"), no},
		"nor for a cluster that is not there":                 {"id-fra", "", "readers", wrapped("mars"), no},
		"nor twice for one":                                   {"id-fra", "", "readers", wrapped("iad", "iad"), no},
		"nor again for one that has it":                       {"id-fra", "", "readers", wrapped("fra"), no},
		"a person wraps nothing, an admin neither":            {"id-fra", "anna", "readers", wrapped("iad"), no},
		"a member of the group makes its first key":           {"id-sin", "", "empty", made("sin"), yes},
		"who is not of it does not":                           {"id-iad", "", "empty", made("iad"), no},
		"nor for others, without holding it":                  {"id-iad", "", "empty", made("sin"), no},
		"nor does anybody say that another made it":           {"id-sin", "", "empty", func(g *v1alpha1.RecipientGroup) { made("sin")(g); g.Status.By = "fra" }, no},
		"a key is made about now":                             {"id-sin", "", "empty", func(g *v1alpha1.RecipientGroup) { made("sin")(g); g.Status.Begun.Time = time.Unix(900, 0) }, no},
		"no other key is made as long as all may read":        {"id-fra", "", "readers", rotated("fra"), no},
		"the first key is held by who makes it":               {"id-sin", "", "empty", made(), no},
		"a holder takes no wrap away":                         {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { g.Status.Wraps = []v1alpha1.KeyWrap{wrapOf("iad")} }, no},
		"nor changes one":                                     {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Wraps[0].Wrap = []byte("other") }, no},
		"nor says that the group has another recipient":       {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Recipient = "mine" }, no},
		"nor another epoch":                                   {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { made("iad")(g); g.Status.Epoch = 2 }, no},
		"nor changes who is of the group":                     {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Spec.ClusterSelector = &metav1.LabelSelector{} }, no},
		"a wrap is to the recipient that the cluster has":     {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Wraps[1].Key = v1alpha1.KeyID("other") }, no},
		"a wrap has its bound":                                {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Wraps[1].Wrap = make([]byte, maxWrap+1) }, no},
		"a wrap is of the present key":                        {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Wraps[1].Epoch = 7 }, no},
		"a wrap is not empty":                                 {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Wraps[1].Wrap = nil }, no},
		"an admin changes who is of it, and not the keys":     {"id-fra", "anna", "readers", func(g *v1alpha1.RecipientGroup) { g.Spec.ClusterSelector = &metav1.LabelSelector{} }, yes},
		"an operator does not":                                {"id-fra", "otto", "readers", func(g *v1alpha1.RecipientGroup) { g.Spec.ClusterSelector = &metav1.LabelSelector{} }, no},
		"an admin through a member without rights does not":   {"id-sin", "anna", "readers", func(g *v1alpha1.RecipientGroup) { g.Spec.ClusterSelector = &metav1.LabelSelector{} }, no},
		"a holder wraps it for who recovers":                  {"id-fra", "", "readers", recovering("of anna"), yes},
		"in its own name":                                     {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { recovering("of anna")(g); g.Status.Wraps[1].By = "iad" }, no},
		"nor in nobody's":                                     {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { recovering("of anna")(g); g.Status.Wraps[1].By = "" }, no},
		"and not with what nobody opens":                      {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { recovering("of anna")(g); g.Status.Wraps[1].Wrap = v1alpha1.NoWrap }, no},
		"and once more neither":                               {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { recovering("of anna")(g); oneMore("fra")(g) }, no},
		"nor for a cluster in another one's name":             {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Wraps[1].By = "iad" }, no},
		"for a cluster neither with what nobody opens":        {"id-fra", "", "readers", func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Wraps[1].Wrap = v1alpha1.NoWrap }, no},
		"and for no other person":                             {"id-fra", "", "readers", recovering("of otto"), no},
		"a group is made without keys: nobody brings its own": {"id-fra", "anna", "new", made("fra"), no},
		"a group is made by an admin":                         {"id-fra", "anna", "new", func(*v1alpha1.RecipientGroup) {}, yes},
	} {
		t.Run(name, func(t *testing.T) {
			r := keyed(t)
			var op store.Op
			if c.group == "new" {
				g := group("new", "yes")
				c.change(g)
				op = r.put(v1alpha1.KeyRecipientGroups+"new", g)
			} else {
				op = r.group(c.group, c.change)
			}
			ops := []store.Op{op}
			if c.person != "" {
				ops = append(ops, r.records(c.member, c.person, op)...)
			}
			if err := r.tryBare(c.member, c.person, 0, ops...); (err == nil) != c.want {
				t.Errorf("it was written: %v: %v", err == nil, err)
			}
		})
	}
}

// oneMore is the last wrap once more, by a cluster.
func oneMore(by string) func(*v1alpha1.RecipientGroup) {
	return func(g *v1alpha1.RecipientGroup) {
		g.Status.Wraps[len(g.Status.Wraps)-1].Second = &v1alpha1.SecondWrap{By: by, Wrap: []byte("wrapped by " + by)}
	}
}

// TestASecondHolderWrapsTheKeyForWhoRecovers: one that lies strands nobody.
func TestASecondHolderWrapsTheKeyForWhoRecovers(t *testing.T) {
	type change = func(*v1alpha1.RecipientGroup)
	both := func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); recovering("of anna")(g) }
	and := func(one, other change) change { return func(g *v1alpha1.RecipientGroup) { one(g); other(g) } }
	for name, c := range map[string]struct {
		held   change
		member store.MemberID
		change change
		want   bool
	}{
		"the other one that holds it does": {both, "id-iad", oneMore("iad"), true},
		"not who did already":              {both, "id-fra", oneMore("fra"), false},
		"in no other name":                 {both, "id-iad", oneMore("sin"), false},
		"nor in that of the first":         {both, "id-iad", oneMore("fra"), false},
		"nor who holds no key":             {recovering("of anna"), "id-iad", oneMore("iad"), false},
		"once":                             {and(both, oneMore("sin")), "id-iad", oneMore("iad"), false},
		"for a person alone":               {func(g *v1alpha1.RecipientGroup) { recovering("of anna")(g); wrapped("iad")(g) }, "id-iad", oneMore("iad"), false},
		"and changes nothing else":         {both, "id-iad", and(oneMore("iad"), func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[2].Wrap = []byte("other") }), false},
		"nor who wrote the first":          {both, "id-iad", and(oneMore("iad"), func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[2].By = "iad" }), false},
		"nor a wrap of another":            {both, "id-iad", and(oneMore("iad"), func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[0].Wrap = []byte("other") }), false},
		"it is a wrap":                     {both, "id-iad", and(oneMore("iad"), func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[2].Second.Wrap = nil }), false},
		"and has its bound":                {both, "id-iad", and(oneMore("iad"), func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[2].Second.Wrap = make([]byte, maxWrap+1) }), false},
		"of the present key":               {and(both, func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[2].Epoch = 0 }), "id-iad", oneMore("iad"), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := keyed(t)
			r.says(r.group("readers", c.held))
			if err := r.tryBare(c.member, "", 0, r.group("readers", c.change)); (err == nil) != c.want {
				t.Errorf("it was written: %v: %v", err == nil, err)
			}
		})
	}
}

// TestWhoSaysThatAKeyOpensWrapsItOnceMore: with that word the wraps of the key before go, also those of who recovers it.
func TestWhoSaysThatAKeyOpensWrapsItOnceMore(t *testing.T) {
	proven := func(g *v1alpha1.RecipientGroup) { g.Status = Proven(g.Status) }
	for name, c := range map[string]struct {
		by   string
		want bool
	}{"in its own name": {"iad", true}, "in no other": {"sin", false}} {
		r := keyed(t)
		r.says(r.group("readers", func(g *v1alpha1.RecipientGroup) {
			wrapped("iad")(g)
			rotated("fra", "iad")(g)
			recovering("of anna")(g)
			g.Status.Wraps[len(g.Status.Wraps)-1].Epoch = 2
		}))
		change := func(g *v1alpha1.RecipientGroup) { oneMore(c.by)(g); proven(g) }
		if err := r.tryBare("id-iad", "", 0, r.group("readers", change)); (err == nil) != c.want {
			t.Errorf("%s: it was written: %v: %v", name, err == nil, err)
		}
	}
}

// TestTheKeysOfAGroupAreWrittenInOneForm: what members would not write themselves cannot be told from what the law makes, when the next key is
// judged, or stays for good.
func TestTheKeysOfAGroupAreWrittenInOneForm(t *testing.T) {
	r := keyed(t)
	if err := r.tryBare("id-fra", "", 0, r.group("readers", wrapped("iad"))); err != nil {
		t.Fatal(err)
	}
	struck := r.group("readers", func(g *v1alpha1.RecipientGroup) {
		g.Status = Unopened(g.Status, "iad", "age of iad", metav1.Time{Time: time.Unix(9, 0)})
	})
	first := r.group("empty", made("sin"))
	for name, c := range map[string]struct {
		member   store.MemberID
		op       store.Op
		old, new string
	}{
		"a fraction of a second in the first key": {"id-sin", first, `"begun":"1970-01-01T00:00:09Z"`, `"begun":"1970-01-01T00:00:09.5Z"`},
		"and of when a wrap was struck":           {"id-iad", struck, `"until":"1970-01-01T00:00:09Z"`, `"until":"1970-01-01T00:00:09.5Z"`},
		"a time of another place":                 {"id-sin", first, `"begun":"1970-01-01T00:00:09Z"`, `"begun":"1970-01-01T01:00:09+01:00"`},
		"a field that is not known":               {"id-sin", first, `"status":{`, `"status":{"also":"x",`},
		"one within a wrap":                       {"id-sin", first, `"wraps":[{`, `"wraps":[{"also":"x",`},
		"one that says nothing":                   {"id-sin", first, `"status":{`, `"status":{"left":null,`},
		"bytes in another form":                   {"id-sin", first, `"wrap":"d3JhcHBlZA=="`, `"wrap":"d3Jh\ncHBlZA=="`},
	} {
		if !bytes.Contains(c.op.Value, []byte(c.old)) {
			t.Fatalf("%s: %s is not in %s", name, c.old, c.op.Value)
		}
		if err := r.tryBare(c.member, "", 0, store.Put(c.op.Key, bytes.Replace(c.op.Value, []byte(c.old), []byte(c.new), 1))); err == nil {
			t.Errorf("%s is written", name)
		}
	}
	for member, op := range map[store.MemberID]store.Op{"id-sin": first, "id-iad": struck} {
		if err := r.tryBare(member, "", 0, op); err != nil {
			t.Errorf("without that, by %s: %v", member, err)
		}
	}
}

func TestAMemberSaysOfItselfWhatItsRecipientIs(t *testing.T) {
	r := keyed(t)
	say := func(member store.MemberID, cluster, recipient string) error {
		return r.tryBare(member, "", 0, r.cluster(cluster, toldRecipient(recipient)))
	}
	if err := say("id-sin", "sin", "age1pq1new"); err != nil {
		t.Errorf("its own: %v", err)
	}
	if err := say("id-sin", "iad", "age1pq1mine"); err == nil {
		t.Error("it says what another's is, and would get the keys that are for that one")
	}
	if err := say("id-sin", "sin", strings.Repeat("a", maxRecipient+1)); err == nil {
		t.Error("it may be as long as it likes")
	}
}

// toldRecipient is what a member tells of its recipient, about now.
func toldRecipient(recipient string) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) {
		c.Status.Recipient, c.Status.RecipientSignature, c.Status.RecipientSince = recipient, []byte("signed"), &metav1.Time{Time: time.Unix(9, 0)}
	}
}

// TestNotEvenTheLeaderPutsAnEarlierRecipientBack: what its member signed is no secret, and keeps its signature.
func TestNotEvenTheLeaderPutsAnEarlierRecipientBack(t *testing.T) {
	at := func(seconds int64) *metav1.Time { return &metav1.Time{Time: time.Unix(seconds, 0)} }
	since := func(since *metav1.Time) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) { c.Status.Recipient, c.Status.RecipientSince = "other", since }
	}
	first := keyed(t)
	sin, _ := first.store.View().Member("id-sin")
	gone, removed := store.Delete(store.KeyMembers+"id-sin"), first.put(store.KeyRemoved+"id-sin", store.Removed{ID: sin.ID, Pin: sin.Pin})
	for name, c := range map[string]struct {
		op   func(*realm) store.Op
		with []store.Op
		want bool
	}{
		"a later one":                    {func(r *realm) store.Op { return r.cluster("sin", since(at(11))) }, nil, true},
		"of the same time":               {func(r *realm) store.Op { return r.cluster("sin", since(at(10))) }, nil, true},
		"an earlier one":                 {func(r *realm) store.Op { return r.cluster("sin", since(at(9))) }, nil, false},
		"one of no time":                 {func(r *realm) store.Op { return r.cluster("sin", since(nil)) }, nil, false},
		"something that cannot be read":  {func(*realm) store.Op { return store.Put(v1alpha1.KeyClusters+"sin", []byte("{")) }, nil, false},
		"anything else":                  {func(r *realm) store.Op { return r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Version = "7" }) }, nil, true},
		"no Cluster, to be made anew":    {func(*realm) store.Op { return store.Delete(v1alpha1.KeyClusters + "sin") }, nil, false},
		"no Cluster, and no member":      {func(*realm) store.Op { return store.Delete(v1alpha1.KeyClusters + "sin") }, []store.Op{gone, removed}, true},
		"none, once its member is none":  {func(r *realm) store.Op { return r.cluster("sin", since(nil)) }, []store.Op{gone, removed}, true},
		"the first of one that had none": {func(r *realm) store.Op { return r.cluster("iad", since(at(1))) }, nil, true},
	} {
		r := keyed(t)
		r.says(r.cluster("sin", since(at(10))))
		if err := r.tryBare("id-fra", "", term, append(c.with, c.op(r))...); (err == nil) != c.want {
			t.Errorf("%s: it was written: %v: %v", name, err == nil, err)
		}
	}
}

func TestAMemberKeepsItsRecipientForAWhile(t *testing.T) {
	at := func(seconds int64) *metav1.Time { return &metav1.Time{Time: time.Unix(seconds, 0)} }
	const hour = int64(RecipientKept / time.Second)
	for name, c := range map[string]struct {
		was, is     string
		since, from *metav1.Time
		may         bool
	}{
		"the first one":                             {"", "new", nil, at(9), true},
		"without a time":                            {"", "new", nil, nil, false},
		"another one, nobody knows since when":      {"old", "new", nil, at(9), true},
		"another one, after an hour":                {"old", "new", at(9 - hour), at(9), true},
		"another one, too early":                    {"old", "new", at(10 - hour), at(9), false},
		"another one, as if it were there for long": {"old", "new", at(9), at(9 - hour), false},
		"another one, from then on":                 {"old", "new", at(9 - hour), at(9 + hour), false},
		"another one, long ago":                     {"old", "new", at(9 - 3*hour), at(9 - hour), false},
		"another one, as of the one before":         {"old", "new", at(9 - hour), at(9 - hour), false},
		"another one, without a time":               {"old", "new", at(9 - hour), nil, false},
		"none, too early":                           {"old", "", at(9), at(9), false},
		"none, and no time":                         {"old", "", at(9), nil, false},
		"one again after none, too early":           {"", "new", at(9), at(9), false},
		"the same, which it may sign":               {"old", "old", at(9), at(9), true},
		"the same, from now on":                     {"old", "old", nil, at(9), true},
		"the same, from another time on":            {"old", "old", at(9 - hour), at(9), false},
		"the same, from no time on":                 {"old", "old", at(9), nil, false},
	} {
		r := newRealm(t)
		tell := func(recipient string, since *metav1.Time) store.Op {
			return r.cluster("iad", func(c *v1alpha1.Cluster) {
				c.Status.Recipient, c.Status.RecipientSignature, c.Status.RecipientSince = recipient, []byte("by "+recipient), since
			})
		}
		if err := r.tryBare("id-fra", "", term, tell(c.was, c.since)); err != nil {
			t.Fatal(err)
		}
		if err := r.tryBare("id-iad", "", 0, tell(c.is, c.from)); (err == nil) != c.may {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := newRealm(t)
	for name, text := range map[string]string{"a time that is none": `{"recipientSince":"now"}`, "a fraction of a second": `{"recipientSince":"1970-01-01T00:00:09.5Z"}`,
		"a time of another place": `{"recipientSince":"1970-01-01T01:00:09+01:00"}`, "one that says the same otherwise": `{"recipientSince":"1970-01-01T00:00:09+00:00"}`,
		"a signature that is none": `{"recipientSignature":"?"}`, "a long one": `{"recipientSignature":"` + strings.Repeat("AAAA", maxOwnText/4+1) + `"}`} {
		op := r.cluster("iad", func(*v1alpha1.Cluster) {})
		op.Value = bytes.Replace(op.Value, []byte(`"status":{`), []byte(`"status":`+text[:len(text)-1]+`,`), 1)
		if err := r.tryBare("id-iad", "", 0, op); err == nil {
			t.Errorf("%s: it is written", name)
		}
	}
}

func TestAGroupStaysAsLongAsSomethingIsSealedForIt(t *testing.T) {
	r := keyed(t)
	if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...); err != nil {
		t.Fatal(err)
	}
	remove := store.Delete(v1alpha1.KeyRecipientGroups + "readers")
	err := r.try("id-fra", "anna", 0, remove)
	if err == nil || !strings.Contains(err.Error(), "secret db is sealed for it") {
		t.Errorf("it goes: %v", err)
	}
	if err := r.try("id-fra", "anna", 0, store.Delete(v1alpha1.KeyFleetSecrets+"db")); err != nil {
		t.Fatal(err)
	}
	if err := r.try("id-fra", "anna", 0, remove); err != nil {
		t.Errorf("it stays: %v", err)
	}
}

// Whoever is to give a cluster's vote to others first hears before that what else is in the way.
func TestThatAClusterVotesIsTheLastThatKeepsItInTheFleet(t *testing.T) {
	r := keyed(t)
	votes := r.cluster("iad", func(c *v1alpha1.Cluster) { c.Status.Voter = v1alpha1.RoleVoter })
	if err := r.try("id-fra", "", term, votes); err != nil {
		t.Fatal(err)
	}
	removal := func() error {
		kv, _ := r.store.View().Get(v1alpha1.KeyClusters + "iad")
		_, _, err := Companions(r.store.View(), Change{Key: kv.Key, Before: kv.Value, At: time.Unix(9, 0)})
		return err
	}
	if err := removal(); !errors.As(err, new(*Votes)) || !errors.As(err, new(*store.Forbidden)) {
		t.Errorf("it votes, and nothing else: %v", err)
	}
	if err := r.tryBare("id-fra", "", term, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[0] = wrapOf("iad") })); err != nil {
		t.Fatal(err)
	}
	if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...); err != nil {
		t.Fatal(err)
	}
	if err := removal(); err == nil || errors.As(err, new(*Votes)) || !strings.Contains(err.Error(), "secret db is sealed") {
		t.Errorf("a secret would be stranded, too: %v", err)
	}
}

// TestASecretIsNotStrandedByTwoThatGoAtOnce: each may go as long as the other stays.
func TestASecretIsNotStrandedByTwoThatGoAtOnce(t *testing.T) {
	r := keyed(t)
	if err := r.tryBare("id-fra", "", 0, r.group("readers", wrapped("iad"))); err != nil {
		t.Fatal(err)
	}
	if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...); err != nil {
		t.Fatal(err)
	}
	leaves := func(cluster string) store.Op {
		return r.cluster(cluster, func(c *v1alpha1.Cluster) { c.Labels["reads"] = "left" })
	}
	if err := r.try("id-fra", "anna", 0, leaves("fra"), leaves("iad")); err == nil || !strings.Contains(err.Error(), "one after the other") {
		t.Errorf("both leave at once: %v", err)
	}
	if err := r.fleet("of the safe"); err != nil {
		t.Fatal(err)
	}
	none := r.put(v1alpha1.KeyFleets+"acme", &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: named("acme")})
	if err := r.try("id-fra", "anna", 0, leaves("fra"), none); err == nil || !strings.Contains(err.Error(), "one after the other") {
		t.Errorf("one leaves with the fleet's recovery recipients: %v", err)
	}
	if err := r.try("id-fra", "anna", 0, leaves("fra")); err != nil {
		t.Error(err)
	}
	if err := r.try("id-fra", "anna", 0, leaves("iad")); err == nil {
		t.Error("the last one leaves")
	}
}

func TestASecretIsNotStranded(t *testing.T) {
	relabel := func(cluster string) func(*realm) []store.Op {
		return func(r *realm) []store.Op {
			return []store.Op{r.cluster(cluster, func(c *v1alpha1.Cluster) { c.Labels["reads"] = "left" })}
		}
	}
	remove := func(cluster string) func(*realm) []store.Op {
		return func(*realm) []store.Op { return []store.Op{store.Delete(v1alpha1.KeyClusters + cluster)} }
	}
	reselect := func(reads string) func(*realm) []store.Op {
		return func(r *realm) []store.Op {
			return []store.Op{r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.ClusterSelector.MatchLabels["reads"] = reads })}
		}
	}
	plain := func(*v1alpha1.RecipientGroup) {}
	// iads is held by iad alone.
	iads := func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[0] = wrapOf("iad") }
	without := func(r *realm) []store.Op {
		return []store.Op{r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.RecoveryRecipients = nil })}
	}
	// annas is held by a person alone.
	annas := func(g *v1alpha1.RecipientGroup) { recovering("of anna")(g); g.Status.Wraps = g.Status.Wraps[1:] }
	unrecovered := func(g *v1alpha1.RecipientGroup) { recovering("of anna")(g); g.Spec.RecoveryRecipients = nil }
	for name, c := range map[string]struct {
		held   func(*v1alpha1.RecipientGroup)
		change func(*realm) []store.Op
		want   bool
	}{
		"the selector picks nobody who holds the key": {plain, reselect("no"), false},
		"nor anybody":                                        {plain, reselect("mars"), false},
		"the label of the only holder":                       {plain, relabel("fra"), false},
		"the only holder is removed":                         {iads, remove("iad"), false},
		"that of one who does not hold it":                   {plain, relabel("iad"), true},
		"one who does not hold it is removed":                {plain, remove("iad"), true},
		"another one holds it, too":                          {wrapped("iad"), relabel("fra"), true},
		"another one has a wrap of it that nobody opens":     {func(g *v1alpha1.RecipientGroup) { wrapped("iad")(g); g.Status.Wraps[1].Wrap = v1alpha1.NoWrap }, relabel("fra"), false},
		"a person holds it, too":                             {recovering("of anna"), reselect("no"), true},
		"a person did who may not read any more":             {unrecovered, reselect("no"), false},
		"the person who alone holds it is taken out":         {annas, without, false},
		"a cluster holds it, too: the person is taken out":   {recovering("of anna"), without, true},
		"nothing is sealed: the selector picks nobody":       {plain, reselect("mars"), true},
		"nothing is sealed: the label of the only holder":    {plain, relabel("fra"), true},
		"the key was lost before: the selector picks others": {func(g *v1alpha1.RecipientGroup) { g.Status.Wraps[0].Key = "lost" }, reselect("no"), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := keyed(t)
			if err := r.tryBare("id-fra", "", term, r.group("readers", c.held)); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(name, "nothing") {
				if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...); err != nil {
					t.Fatal(err)
				}
			}
			ops := c.change(r)
			if c.want {
				ops = r.whole(ops...)
			}
			err := r.try("id-fra", "anna", 0, ops...)
			if (err == nil) != c.want || err != nil && !strings.Contains(err.Error(), "key of recipient group readers, for which secret db is sealed") {
				t.Errorf("it was written: %v: %v", err == nil, err)
			}
		})
	}
}

// fleet writes the fleet's recovery recipients, as an admin does.
func (r *realm) fleet(recipients ...string) error {
	r.Helper()
	return r.try("id-fra", "anna", 0, r.put(v1alpha1.KeyFleets+"acme", &v1alpha1.Fleet{
		TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: named("acme"), Spec: v1alpha1.FleetSpec{RecoveryRecipients: recipients},
	}))
}

func TestTheFleetsRecoveryRecipientsAreOfEveryGroup(t *testing.T) {
	r := keyed(t)
	write := func(change func(*v1alpha1.RecipientGroup)) error {
		return r.tryBare("id-fra", "", 0, r.group("readers", change))
	}
	if err := write(recovering("of the safe")); err == nil {
		t.Error("the key is wrapped for a stranger")
	}
	if err := r.fleet("of the safe", "of anna"); err != nil {
		t.Fatal(err)
	}
	if err := write(recovering("of the safe")); err != nil {
		t.Errorf("the key is not wrapped for the fleet's: %v", err)
	}
	if err := write(recovering("of anna")); err != nil {
		t.Errorf("the key is not wrapped for one that group and fleet name: %v", err)
	}
	if err := write(recovering("of anna")); err == nil {
		t.Error("that one gets two wraps")
	}
	if err := write(rotated("fra")); err == nil {
		t.Error("another key is made while all may read")
	}
	if err := r.fleet(); err != nil {
		t.Fatal(err)
	}
	if err := write(rotated("fra")); err == nil {
		t.Error("the group's own is left out of another key, and may read")
	}
	if err := write(func(g *v1alpha1.RecipientGroup) {
		rotated("fra")(g)
		g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Key: v1alpha1.KeyID("of anna"), Epoch: 2, Wrap: []byte("wrapped"), By: "fra"})
	}); err != nil {
		t.Errorf("one was taken out, and no other key can be made: %v", err)
	}
}

func TestTheFleetsLastRecoveryRecipientStaysWhileNobodyElseHoldsAKey(t *testing.T) {
	for name, c := range map[string]struct {
		held func(*v1alpha1.RecipientGroup)
		then []string
		want bool
	}{
		"it alone holds the key":                    {func(g *v1alpha1.RecipientGroup) { recovering("of the safe")(g); g.Status.Wraps = g.Status.Wraps[1:] }, nil, false},
		"another one comes, which does not hold it": {func(g *v1alpha1.RecipientGroup) { recovering("of the safe")(g); g.Status.Wraps = g.Status.Wraps[1:] }, []string{"of a new safe"}, false},
		"it stays beside another one":               {func(g *v1alpha1.RecipientGroup) { recovering("of the safe")(g); g.Status.Wraps = g.Status.Wraps[1:] }, []string{"of a new safe", "of the safe"}, true},
		"a cluster holds it, too":                   {recovering("of the safe"), nil, true},
		"a person of the group does":                {func(g *v1alpha1.RecipientGroup) { recovering("of anna")(g); g.Status.Wraps = g.Status.Wraps[1:] }, nil, true},
	} {
		r := keyed(t)
		if err := r.fleet("of the safe"); err != nil {
			t.Fatal(err)
		}
		if err := r.tryBare("id-fra", "", term, r.group("readers", c.held)); err != nil {
			t.Fatal(err)
		}
		if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...); err != nil {
			t.Fatal(err)
		}
		err := r.fleet(c.then...)
		if (err == nil) != c.want || err != nil && !strings.Contains(err.Error(), "key of recipient group readers, for which secret db is sealed") {
			t.Errorf("%s: it was written: %v: %v", name, err == nil, err)
		}
		if err := r.try("id-fra", "anna", 0, store.Delete(v1alpha1.KeyFleets+"acme")); (err == nil) != (c.want && len(c.then) == 0) {
			t.Errorf("%s: the fleet's settings go: %v", name, err)
		}
	}
}

// TestTheMakerOfAKeyThatNobodyOpensIsRemoved: iad makes a key that fra cannot open, and fra says so. What is sealed is not stranded without
// iad, as fra has the key before.
func TestTheMakerOfAKeyThatNobodyOpensIsRemoved(t *testing.T) {
	for name, change := range map[string]func(*realm) store.Op{
		"it is removed": func(*realm) store.Op { return store.Delete(v1alpha1.KeyClusters + "iad") },
		"it is labelled": func(r *realm) store.Op {
			return r.cluster("iad", func(c *v1alpha1.Cluster) { c.Labels["reads"] = "left" })
		},
	} {
		r := keyed(t)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(r.tryBare("id-fra", "", 0, r.group("readers", wrapped("iad"))))
		must(r.try("id-fra", "anna", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.RecoveryRecipients, g.Spec.Rotate = nil, 1 })))
		must(r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...))
		must(r.tryBare("id-iad", "", 0, r.group("readers", rotated("iad", "fra"))))
		must(r.tryBare("id-fra", "", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) {
			g.Status = Unopened(g.Status, "fra", "age of fra", metav1.Time{Time: time.Unix(9, 0)})
		})))
		if err := r.try("id-fra", "anna", 0, r.whole(change(r))...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.try("id-fra", "anna", 0, r.cluster("fra", func(c *v1alpha1.Cluster) { c.Labels["reads"] = "left" })); err == nil {
			t.Errorf("%s, and fra leaves: nobody can open what is sealed", name)
		}
		must(r.tryBare("id-fra", "", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) {
			began := g.Status.Former[0].Begun
			rotated("fra")(g)
			g.Status.Former = []v1alpha1.FormerKey{{Epoch: 1, Recipient: "age1pq1", Begun: began, Key: []byte("former")}}
		})))
	}
}

// TestAWrapThatNobodyOpensIsOne: a holder gave one to iad, whose recipient is none, and who makes another key cannot do better for it.
func TestAWrapThatNobodyOpensIsOne(t *testing.T) {
	r := keyed(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	junk := func(epoch int64) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: "iad", Key: v1alpha1.KeyID("junk"), Epoch: epoch, Wrap: []byte("none"), By: "fra"}
	}
	must(r.tryBare("id-iad", "", 0, r.cluster("iad", toldRecipient("junk"))))
	must(r.tryBare("id-fra", "", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Status.Wraps = append(g.Status.Wraps, junk(1)) })))
	must(r.try("id-fra", "anna", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate = 1 })))
	next := func(with ...v1alpha1.KeyWrap) func(*v1alpha1.RecipientGroup) {
		return func(g *v1alpha1.RecipientGroup) {
			fras := wrapOf("fra")
			fras.Epoch = 2
			g.Status = Rotated(g, func(string, string) bool { return true }, NewKey{By: "fra", Recipient: "age1pq2", Begun: metav1.Time{Time: time.Unix(9, 0)}, From: 1,
				Former: []byte("former"), Wraps: append([]v1alpha1.KeyWrap{fras}, with...)})
		}
	}
	if err := r.tryBare("id-fra", "", 0, r.group("readers", next())); err == nil {
		t.Error("iad gets none")
	}
	must(r.tryBare("id-fra", "", 0, r.group("readers", next(junk(2)))))
}

// TestWhoCannotOpenTheKeyHoldsNothing: iad has NoWrap in the place of its wrap, and what it holds is asked for in each rule of keys.
func TestWhoCannotOpenTheKeyHoldsNothing(t *testing.T) {
	type change = func(*v1alpha1.RecipientGroup)
	strike := func(cluster string) change {
		return func(g *v1alpha1.RecipientGroup) {
			g.Status = Unopened(g.Status, cluster, "age of "+cluster, metav1.Time{Time: time.Unix(9, 0)})
		}
	}
	noWrap := func(epoch int64) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: "iad", Key: v1alpha1.KeyID("age of iad"), Epoch: epoch, Wrap: v1alpha1.NoWrap, By: "fra"}
	}
	both := func(g *v1alpha1.RecipientGroup) { g.Status.Wraps = append(g.Status.Wraps, noWrap(1)) }
	// next is a key that fra has made, and nobody has opened: iad held the one before, or did not.
	next := func(held bool) change {
		return func(g *v1alpha1.RecipientGroup) {
			if both(g); held {
				g.Status.Wraps[1] = wrapOf("iad")
			}
			rotated("fra", "iad")(g)
			g.Status.Wraps[len(g.Status.Wraps)-1] = noWrap(2)
		}
	}
	instead := func(g *v1alpha1.RecipientGroup) {
		began := g.Status.Former[0].Begun
		rotated("iad", "fra")(g)
		g.Status.Former = []v1alpha1.FormerKey{{Epoch: 1, Recipient: "age1pq1", Begun: began, Key: []byte("former")}}
	}
	proven := func(g *v1alpha1.RecipientGroup) { g.Status = Proven(g.Status) }
	asked := func(r *realm) {
		r.says(r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ }))
	}
	for name, c := range map[string]struct {
		state  change
		then   func(*realm)
		member store.MemberID
		change change
		want   bool
	}{
		"it wraps the key for nobody":                             {both, nil, "id-iad", recovering("of anna"), false},
		"it makes no other key":                                   {both, asked, "id-iad", rotated("iad", "fra"), false},
		"it strikes what stands for it":                           {both, nil, "id-iad", strike("iad"), true},
		"as long as another one holds the key":                    {func(g *v1alpha1.RecipientGroup) { both(g); g.Status.Wraps[0].Wrap = v1alpha1.NoWrap }, nil, "id-iad", strike("iad"), false},
		"nobody strikes a wrap because of it":                     {both, nil, "id-fra", strike("fra"), false},
		"that it leaves is no reason for another key":             {both, func(r *realm) { r.leave("iad") }, "id-fra", rotated("fra"), false},
		"nobody but the maker holds a key: it has the one before": {next(true), nil, "id-iad", instead, true},
		"nor that":                             {next(false), nil, "id-iad", instead, false},
		"it says that no key opens":            {next(true), nil, "id-iad", proven, false},
		"the maker does, as nobody else holds": {next(false), nil, "id-fra", proven, true},
		"not while it holds the one before":    {next(true), nil, "id-fra", proven, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := keyed(t)
			r.says(r.group("readers", c.state))
			if c.then != nil {
				c.then(r)
			}
			if err := r.tryBare(c.member, "", 0, r.group("readers", c.change)); (err == nil) != c.want {
				t.Errorf("it was written: %v: %v", err == nil, err)
			}
		})
	}
	t.Run("it tells of nothing how it is sealed", func(t *testing.T) {
		r := keyed(t)
		r.says(r.group("readers", both))
		r.seals("db", 1, "readers")
		for by, want := range map[string]bool{"iad": false, "fra": true} {
			told := r.put(v1alpha1.KeySealings+"secret.db-u-db-1", v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 1, By: by})
			if err := r.tryBare(store.MemberID("id-"+by), "", 0, told); (err == nil) != want {
				t.Errorf("%s: %v", by, err)
			}
		}
	})
}

// TestWhatCannotBeReadToldNothing: how a revision is sealed was garbled, and a holder tells it anew, as if nobody had.
func TestWhatCannotBeReadToldNothing(t *testing.T) {
	r := keyed(t)
	r.seals("db", 1, "readers")
	key := v1alpha1.KeySealings + "secret.db-u-db-1"
	r.says(store.Put(key, []byte("junk")))
	told := v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 1, By: "fra"}
	confirmed := told
	confirmed.Witness = "iad"
	if err := r.tryBare("id-fra", "", 0, r.put(key, confirmed)); err == nil {
		t.Error("it is told as confirmed")
	}
	if err := r.tryBare("id-fra", "", 0, r.put(key, told)); err != nil {
		t.Error(err)
	}
}

// rotated is another key of the group, made by the first of these clusters and wrapped for all of them, when fra and anna may read.
func rotated(clusters ...string) func(*v1alpha1.RecipientGroup) {
	return func(g *v1alpha1.RecipientGroup) {
		may := func(cluster, key string) bool {
			return cluster == "" && key == v1alpha1.KeyID("of anna") || slices.Contains(clusters, cluster) && key == v1alpha1.KeyID("age of "+cluster)
		}
		to := NewKey{By: clusters[0], Recipient: fmt.Sprintf("age1pq%d", g.Status.Epoch+1), Begun: metav1.Time{Time: time.Unix(9, 0)}, From: g.Status.Epoch, Former: []byte("former")}
		for _, c := range clusters {
			w := wrapOf(c)
			w.Epoch, w.By = g.Status.Epoch+1, clusters[0]
			to.Wraps = append(to.Wraps, w)
		}
		g.Status = Rotated(g, may, to)
	}
}

// leave has a cluster leave the group readers, as an admin says.
func (r *realm) leave(cluster string) {
	r.Helper()
	if err := r.try("id-fra", "anna", 0, r.cluster(cluster, func(c *v1alpha1.Cluster) { c.Labels["reads"] = "left" })); err != nil {
		r.Fatal(err)
	}
}

func TestAGroupGetsAnotherKeyWhenItIsDue(t *testing.T) {
	type change = func(*v1alpha1.RecipientGroup)
	leaves := func(r *realm) { r.leave("iad") }
	asked := func(r *realm) {
		if err := r.try("id-fra", "anna", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate = 1 })); err != nil {
			r.Fatal(err)
		}
	}
	aged := func(after time.Duration) func(r *realm) {
		return func(r *realm) {
			r.index += uint64(2 * time.Hour / time.Second) // the time of the log, as the realm counts it
			if err := r.try("id-fra", "", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.RotateAfter = &metav1.Duration{Duration: after} })); err != nil {
				r.Fatal(err)
			}
		}
	}
	// aged moves the time of the log on, and the key is of that.
	now := func(change change) change {
		return func(g *v1alpha1.RecipientGroup) { change(g); g.Status.Begun.Time = time.Unix(7250, 0) }
	}
	// without drops the new wraps of one, and nothing else.
	without := func(cluster string, change change) change {
		return func(g *v1alpha1.RecipientGroup) {
			change(g)
			g.Status.Wraps = slices.DeleteFunc(g.Status.Wraps, func(w v1alpha1.KeyWrap) bool { return w.Cluster == cluster && w.Epoch == 2 })
		}
	}
	and := func(w v1alpha1.KeyWrap, change change) change {
		return func(g *v1alpha1.RecipientGroup) {
			change(g)
			w.Epoch = 2
			g.Status.Wraps = append(g.Status.Wraps, w)
		}
	}
	for name, c := range map[string]struct {
		when   func(*realm)
		member store.MemberID
		change change
		want   bool
	}{
		"one that may read is left out, and nothing else is wrong": {asked, "id-fra", without("iad", rotated("fra", "iad")), false},
		"a stranger has a wrap, and nothing else is wrong":         {asked, "id-fra", and(wrapOf("sin"), rotated("fra", "iad")), false},
		"the former key is long":                                   {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) { rotated("fra")(g); g.Status.Former[0].Key = make([]byte, maxWrap+1) }, false},
		"a key that is old at once": {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) {
			rotated("fra")(g)
			g.Status.Begun.Time, g.Status.Left[0].Until.Time = time.Unix(-700, 0), time.Unix(-700, 0)
		}, false},
		"one of it left":                     {leaves, "id-fra", rotated("fra"), true},
		"an admin asks":                      {asked, "id-fra", rotated("fra", "iad"), true},
		"the key is old":                     {aged(time.Hour), "id-fra", now(rotated("fra", "iad")), true},
		"it is not as old as it may be":      {aged(3 * time.Hour), "id-fra", now(rotated("fra", "iad")), false},
		"who left makes none":                {leaves, "id-iad", rotated("iad"), false},
		"nor is it wrapped for who left":     {leaves, "id-fra", rotated("fra", "iad"), false},
		"nobody who may read is left out":    {asked, "id-fra", rotated("fra"), false},
		"it is the next one":                 {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) { rotated("fra")(g); g.Status.Epoch++ }, false},
		"it has another recipient":           {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) { rotated("fra")(g); g.Status.Recipient = "age1pq1" }, false},
		"the key before can be read with it": {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) { rotated("fra")(g); g.Status.Former[0].Key = nil }, false},
		"and is told as what it was":         {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) { rotated("fra")(g); g.Status.Former[0].Recipient = "x" }, false},
		"who left is told":                   {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) { rotated("fra")(g); g.Status.Left = nil }, false},
		"its maker is told":                  {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) { rotated("fra")(g); g.Status.By = "iad" }, false},
		"wraps of the key before stay":       {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) { rotated("fra")(g); g.Status.Wraps = g.Status.Wraps[1:] }, false},
		"but none of who left": {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) {
			rotated("fra")(g)
			g.Status.Wraps = append([]v1alpha1.KeyWrap{wrapOf("iad")}, g.Status.Wraps...)
		}, false},
		"a person asks for it, and does not say that it is": {leaves, "id-fra", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate, g.Status.Rotated = 1, 1 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := keyed(t)
			if err := r.tryBare("id-fra", "", 0, r.group("readers", wrapped("iad"))); err != nil {
				t.Fatal(err)
			}
			c.when(r)
			op := r.group("readers", c.change)
			if err := r.tryBare(c.member, "", 0, op); (err == nil) != c.want {
				t.Errorf("it was written: %v: %v", err == nil, err)
			}
			if !c.want {
				return
			}
			if err := r.tryBare(c.member, "", 0, r.group("readers", rotated("fra"))); err == nil {
				t.Error("and once more, though nothing calls for it")
			}
		})
	}
}

func TestTheWrapsOfTheKeyBeforeGoWhenASecondClusterOpensTheNewOne(t *testing.T) {
	r := keyed(t)
	write := func(member store.MemberID, change func(*v1alpha1.RecipientGroup)) error {
		return r.tryBare(member, "", 0, r.group("readers", change))
	}
	proven := func(g *v1alpha1.RecipientGroup) { g.Status = Proven(g.Status) }
	if err := write("id-fra", wrapped("iad")); err != nil {
		t.Fatal(err)
	}
	if err := r.try("id-fra", "anna", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })); err != nil {
		t.Fatal(err)
	}
	if err := write("id-fra", rotated("fra", "iad")); err != nil {
		t.Fatal(err)
	}
	if err := write("id-fra", proven); err == nil {
		t.Error("its maker says so")
	}
	if err := write("id-iad", func(g *v1alpha1.RecipientGroup) { proven(g); g.Status.Wraps = g.Status.Wraps[:1] }); err == nil {
		t.Error("a wrap of the new one goes with them")
	}
	unopened := func(cluster string) func(*v1alpha1.RecipientGroup) {
		return func(g *v1alpha1.RecipientGroup) {
			g.Status = Unopened(g.Status, cluster, "age of "+cluster, metav1.Time{Time: time.Unix(9, 0)})
		}
	}
	if err := write("id-iad", unopened("fra")); err == nil {
		t.Error("iad strikes the wrap of fra")
	}
	if err := write("id-iad", unopened("iad")); err != nil {
		t.Errorf("iad cannot say that it does not open: %v", err)
	}
	if err := write("id-fra", unopened("fra")); err == nil {
		t.Error("the last wrap goes")
	}
	if err := write("id-fra", proven); err == nil {
		t.Error("its maker says so, alone by now")
	}
	again := func(g *v1alpha1.RecipientGroup) {
		w := wrapOf("iad")
		w.Epoch = 2
		g.Status.Wraps = append(g.Status.Wraps, w)
	}
	if err := write("id-fra", again); err == nil {
		t.Error("fra, whose wrap did not open, writes the next one at once")
	}
	r.write(store.Command{Proposer: "id-fra", Time: int64(10*time.Minute + 9*time.Second), Chunk: []byte("time passes")})
	if err := write("id-fra", again); err != nil {
		t.Fatal(err)
	}
	if err := write("id-iad", proven); err != nil {
		t.Error(err)
	}
}

// TestWhatAnotherKeyKeeps: of a key that nobody but its maker has opened no wrap stays, but those of the one before; and no more former keys
// than a group may keep.
func TestWhatAnotherKeyKeeps(t *testing.T) {
	of := func(cluster string, epoch int64) v1alpha1.KeyWrap { w := wrapOf(cluster); w.Epoch = epoch; return w }
	may := func(cluster, _ string) bool { return cluster != "gone" }
	for name, c := range map[string]struct {
		wraps, want  []v1alpha1.KeyWrap
		struck, left []v1alpha1.FormerReader
	}{
		"one that was struck by who goes": {[]v1alpha1.KeyWrap{of("fra", 1), of("gone", 1), of("fra", 2)}, []v1alpha1.KeyWrap{of("fra", 1), of("fra", 3)},
			[]v1alpha1.FormerReader{{Cluster: "gone", Key: v1alpha1.KeyID("age of gone"), Epoch: 2}}, []v1alpha1.FormerReader{{Cluster: "gone", Key: v1alpha1.KeyID("age of gone"), Epoch: 2}}},
		"a proven one": {[]v1alpha1.KeyWrap{of("fra", 2), of("gone", 2)}, []v1alpha1.KeyWrap{of("fra", 2), of("fra", 3)}, nil, []v1alpha1.FormerReader{{Cluster: "gone", Key: v1alpha1.KeyID("age of gone"), Epoch: 2}}},
		"one that is not proven": {[]v1alpha1.KeyWrap{of("fra", 1), of("gone", 1), of("fra", 2), of("gone", 2)}, []v1alpha1.KeyWrap{of("fra", 1), of("fra", 3)}, nil,
			[]v1alpha1.FormerReader{{Cluster: "gone", Key: v1alpha1.KeyID("age of gone"), Epoch: 2}}},
	} {
		g := &v1alpha1.RecipientGroup{Status: v1alpha1.RecipientGroupStatus{Epoch: 2, Wraps: c.wraps, Left: c.struck}}
		got := Rotated(g, may, NewKey{By: "fra", From: 2, Wraps: []v1alpha1.KeyWrap{of("fra", 3)}})
		if !slices.EqualFunc(got.Wraps, c.want, sameWrap) || !slices.Equal(got.Left, c.left) {
			t.Errorf("of %s it keeps %v, and %v left", name, got.Wraps, got.Left)
		}
	}
	g := &v1alpha1.RecipientGroup{Status: v1alpha1.RecipientGroupStatus{Epoch: 1}}
	for range v1alpha1.MaxFormerKeys + 5 {
		g.Status = Rotated(g, may, NewKey{From: g.Status.Epoch})
	}
	if n, first := len(g.Status.Former), g.Status.Former[0].Epoch; n != v1alpha1.MaxFormerKeys || first != 6 {
		t.Errorf("it keeps %d former keys from %d on", n, first)
	}
}

// TestWhoStrikesItsOwnWrapAndGoesHasHeldTheKey: it has opened the key, says that it does not open, and that it has another key of its own,
// so that nobody wraps for it again. The group gets another key all the same.
func TestWhoStrikesItsOwnWrapAndGoesHasHeldTheKey(t *testing.T) {
	r := keyed(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.tryBare("id-fra", "", 0, r.group("readers", wrapped("iad"))))
	must(r.tryBare("id-iad", "", 0,
		r.group("readers", func(g *v1alpha1.RecipientGroup) {
			g.Status = Unopened(g.Status, "iad", "age of iad", metav1.Time{Time: time.Unix(9, 0)})
		})))
	if err := r.tryBare("id-fra", "", 0, r.group("readers", rotated("fra", "iad"))); err == nil {
		t.Error("the group gets another key though all may read")
	}
	must(r.tryBare("id-iad", "", 0, r.cluster("iad", toldRecipient("junk"))))
	must(r.tryBare("id-fra", "", 0, r.group("readers", rotated("fra"))))
}

// TestAKeyThatNobodyButItsMakerOpensIsReplaced: the wraps of the key before bar its maker from saying that it opens, and who has one makes another.
func TestAKeyThatNobodyButItsMakerOpensIsReplaced(t *testing.T) {
	r := keyed(t)
	write := func(member store.MemberID, change func(*v1alpha1.RecipientGroup)) error {
		return r.tryBare(member, "", 0, r.group("readers", change))
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(write("id-fra", wrapped("iad")))
	must(r.try("id-fra", "anna", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })))
	must(write("id-fra", rotated("fra", "iad")))
	next := func(g *v1alpha1.RecipientGroup) {
		rotated("iad", "fra")(g)
		key := g.Status.Former[len(g.Status.Former)-1]
		g.Status.Former = g.Status.Former[:0]
		key.Epoch, key.Recipient = 1, "age1pq1"
		g.Status.Former = append(g.Status.Former, key)
	}
	if err := write("id-iad", next); err == nil {
		t.Error("who holds the present key passes on the one before")
	}
	must(write("id-iad", func(g *v1alpha1.RecipientGroup) {
		g.Status = Unopened(g.Status, "iad", "age of iad", metav1.Time{Time: time.Unix(9, 0)})
	}))
	if err := write("id-fra", func(g *v1alpha1.RecipientGroup) { g.Status = Proven(g.Status) }); err == nil {
		t.Error("its maker says that it opens, though iad had the one before")
	}
	if err := write("id-iad", rotated("iad", "fra")); err == nil {
		t.Error("iad passes on a key that it does not hold")
	}
	must(write("id-iad", func(g *v1alpha1.RecipientGroup) {
		began := g.Status.Former[0].Begun
		next(g)
		g.Status.Former[0].Begun = began
	}))
	if got := func() v1alpha1.RecipientGroupStatus {
		var g v1alpha1.RecipientGroup
		kv, _ := r.store.View().Get(v1alpha1.KeyRecipientGroups + "readers")
		must(json.Unmarshal(kv.Value, &g))
		return g.Status
	}(); got.Epoch != 3 || !got.Unproven() {
		t.Errorf("it has key %d, and those of the first are gone", got.Epoch)
	}
}

// TestAPersonWrapsNoKeyWithoutARecordEither: what a member says of keys that it holds leaves no record, and a person is no member.
func TestAPersonWrapsNoKeyWithoutARecordEither(t *testing.T) {
	r := keyed(t)
	if err := r.tryBare("id-fra", "anna", 0, r.group("readers", wrapped("iad"))); err == nil {
		t.Error("anna wraps a key")
	}
}

func TestAClusterWithoutARecipientHoldsNothing(t *testing.T) {
	r := keyed(t)
	if err := r.tryBare("id-fra", "", term, r.cluster("iad", func(c *v1alpha1.Cluster) { c.Status.Recipient = "" })); err != nil {
		t.Fatal(err)
	}
	if err := r.tryBare("id-fra", "", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) {
		wrapped("iad")(g)
		g.Status.Wraps[1].Key = v1alpha1.KeyID("")
	})); err == nil {
		t.Error("a key is wrapped for it")
	}
}

// TestWhoHoldsOnlyTheKeyBeforeMakesNone: as long as another one than its maker holds the present key.
func TestWhoHoldsOnlyTheKeyBeforeMakesNone(t *testing.T) {
	r := keyed(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	strikes := func(cluster string) {
		t.Helper()
		must(r.tryBare(store.MemberID("id-"+cluster), "", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) {
			g.Status = Unopened(g.Status, cluster, "age of "+cluster, metav1.Time{Time: time.Unix(9, 0)})
		})))
	}
	must(r.try("id-fra", "anna", 0, r.cluster("sin", func(c *v1alpha1.Cluster) { c.Labels["reads"] = "yes" })))
	must(r.tryBare("id-fra", "", 0, r.group("readers", wrapped("iad", "sin"))))
	must(r.try("id-fra", "anna", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })))
	must(r.tryBare("id-fra", "", 0, r.group("readers", rotated("fra", "iad", "sin"))))
	strikes("iad")
	next := func(g *v1alpha1.RecipientGroup) {
		first := g.Status.Former[0]
		rotated("iad", "fra", "sin")(g)
		first.Key = []byte("former")
		g.Status.Former = []v1alpha1.FormerKey{first}
	}
	if err := r.tryBare("id-iad", "", 0, r.group("readers", next)); err == nil {
		t.Error("iad makes the next key, and sin holds the present one")
	}
	strikes("sin")
	must(r.tryBare("id-iad", "", 0, r.group("readers", next)))
}

// TestWhoMadeAKeyAloneSaysThatItOpens: people that recover, and clusters that left, are nobody to wait for.
func TestWhoMadeAKeyAloneSaysThatItOpens(t *testing.T) {
	anna := v1alpha1.KeyWrap{Key: v1alpha1.KeyID("of anna"), Epoch: 2, Wrap: []byte("wrapped"), By: "fra"}
	for name, c := range map[string]struct {
		held, next func(*v1alpha1.RecipientGroup)
		then       func(*realm)
	}{
		"a person holds it": {recovering("of anna"), func(g *v1alpha1.RecipientGroup) { rotated("fra")(g); g.Status.Wraps = append(g.Status.Wraps, anna) }, func(*realm) {}},
		"who held it left":  {wrapped("iad"), rotated("fra", "iad"), func(r *realm) { r.leave("iad") }},
	} {
		r := keyed(t)
		for _, err := range []error{
			r.tryBare("id-fra", "", 0, r.group("readers", c.held)),
			r.try("id-fra", "anna", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })),
			r.tryBare("id-fra", "", 0, r.group("readers", c.next)),
		} {
			if err != nil {
				t.Fatal(name, err)
			}
		}
		c.then(r)
		if err := r.tryBare("id-fra", "", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Status = Proven(g.Status) })); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoStrikesItsWrap(t *testing.T) {
	at := func(cluster string, second int64) func(*v1alpha1.RecipientGroup) {
		return func(g *v1alpha1.RecipientGroup) {
			g.Status = Unopened(g.Status, cluster, "age of "+cluster, metav1.Time{Time: time.Unix(second, 0)})
		}
	}
	for name, c := range map[string]struct {
		held   func(*v1alpha1.RecipientGroup)
		change func(*v1alpha1.RecipientGroup)
		want   bool
	}{
		"when another cluster holds the key": {wrapped("iad"), at("fra", 9), true},
		"not when a person alone does":       {recovering("of anna"), at("fra", 9), false},
		"now, and not later":                 {wrapped("iad"), at("fra", 900), false},
		"nor long before":                    {wrapped("iad"), at("fra", -700), false},
	} {
		r := keyed(t)
		if err := r.tryBare("id-fra", "", 0, r.group("readers", c.held)); err != nil {
			t.Fatal(err)
		}
		if err := r.tryBare("id-fra", "", 0, r.group("readers", c.change)); (err == nil) != c.want {
			t.Errorf("%s: it was written: %v: %v", name, err == nil, err)
		}
	}
}

// TestWhoseWrapDidNotOpenWritesNoOtherOneSoon: another holder does, and the first one where what that wrote did not open either.
func TestWhoseWrapDidNotOpenWritesNoOtherOneSoon(t *testing.T) {
	r := keyed(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.try("id-fra", "anna", 0, r.cluster("sin", func(c *v1alpha1.Cluster) { c.Labels["reads"] = "yes" })))
	must(r.tryBare("id-fra", "", 0, r.group("readers", wrapped("iad", "sin"))))
	for _, round := range []struct{ lied, other string }{{"fra", "sin"}, {"sin", "fra"}} {
		must(r.tryBare("id-iad", "", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) {
			g.Status = Unopened(g.Status, "iad", "age of iad", metav1.Time{Time: time.Unix(9, 0)})
		})))
		wraps := func(by string) error {
			return r.tryBare(store.MemberID("id-"+by), "", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) {
				w := wrapOf("iad")
				w.By = by
				g.Status.Wraps = append(g.Status.Wraps, w)
			}))
		}
		if err := wraps(round.lied); err == nil {
			t.Errorf("%s writes another one", round.lied)
		}
		if err := wraps(round.other); err != nil {
			t.Errorf("%s writes none: %v", round.other, err)
		}
	}
}

// TestWhoReadsAloneConfirmsItself: nobody else ever could.
func TestWhoReadsAloneConfirmsItself(t *testing.T) {
	r := keyed(t)
	key := v1alpha1.KeySealings + "secret.db-u-db-1"
	told := v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 1, By: "fra"}
	if err := r.tryBare("id-fra", "", term, r.put(key, told)); err != nil {
		t.Fatal(err)
	}
	told.Confirmed, told.Witness = "fra", "fra"
	if err := r.tryBare("id-fra", "", 0, r.put(key, told)); err == nil {
		t.Error("fra confirms itself, and iad may read")
	}
	r.leave("iad")
	if err := r.tryBare("id-fra", "", 0, r.put(key, told)); err != nil {
		t.Error(err)
	}
}

func TestWhatIsSealedAgainHasItsBound(t *testing.T) {
	w := write{asker: asker{cluster: "fra"}}
	words := []v1alpha1.SealedWord{{By: "lon", Epoch: 2, Data: []byte("lon's")}, {By: "iad", Epoch: 3, Data: []byte("iad's")}}
	before := &v1alpha1.Sealing{Found: 1, Epoch: 3, By: "iad", Data: []byte("iad's"), Words: words[:1], Was: &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("was")}}
	for oldest, left := range map[int64]int{1: 2, 2: 2, 3: 1, 4: 0} {
		for keeps := range 3 {
			s := v1alpha1.Sealing{Found: 1, Epoch: 5, By: "fra", Data: []byte("again")}
			if s.Words = words[2-keeps:]; keeps == 0 {
				s.Words = nil
			}
			if oldest <= 2 {
				s.Was = before.Was
			}
			if got := w.sealsAgain(s, before, oldest); got != (keeps == left) {
				t.Errorf("%d words are kept from key %d on: %v", keeps, oldest, got)
			}
		}
	}
	for n, want := range map[int]bool{maxSealed: true, maxSealed + 1: false} {
		if got := w.sealsAgain(v1alpha1.Sealing{Found: 1, Epoch: 2, By: "fra", Data: make([]byte, n)}, nil, 0); got != want {
			t.Errorf("%d bytes: %v", n, got)
		}
	}
}

func TestWhoSealsAgain(t *testing.T) {
	const found, revision = 1, "secret.db-u-db-1"
	again := func(by string) v1alpha1.Sealing {
		return v1alpha1.Sealing{Group: "readers", Found: found, Epoch: 3, Data: []byte("again"), By: by}
	}
	// was is sealed again to the key before.
	was := func(confirmed string) v1alpha1.Sealing {
		return v1alpha1.Sealing{Group: "readers", Found: found, Epoch: 2, Data: []byte("first"), By: "fra", Confirmed: confirmed}
	}
	confirmed := func(by, cluster string) v1alpha1.Sealing {
		s := again(by)
		s.Confirmed, s.Witness = cluster, cluster
		return s
	}
	// instead takes the place of what fra sealed again.
	instead := again("iad")
	said := func(by string, epoch int64, data string) v1alpha1.SealedWord {
		return v1alpha1.SealedWord{By: by, Epoch: epoch, Data: []byte(data)}
	}
	instead.Instead, instead.Words = "fra", []v1alpha1.SealedWord{said("fra", 3, "again")}
	told := v1alpha1.Sealing{Group: "readers", Found: 3, Epoch: 3, By: "fra", Since: []map[string]int64{{"readers": 1}, {"readers": 3}}}
	with := func(s v1alpha1.Sealing, change func(*v1alpha1.Sealing)) v1alpha1.Sealing { change(&s); return s }
	for name, c := range map[string]struct {
		before *v1alpha1.Sealing
		member store.MemberID
		person string
		after  v1alpha1.Sealing
		want   bool
	}{
		"a holder, once":                 {nil, "id-fra", "", again("fra"), true},
		"another holder as well":         {nil, "id-iad", "", again("iad"), true},
		"who holds no key does not":      {nil, "id-sin", "", again("sin"), false},
		"nor a person":                   {nil, "id-fra", "anna", again("fra"), false},
		"nor in another's name":          {nil, "id-fra", "", again("iad"), false},
		"to the present key":             {nil, "id-fra", "", with(again("fra"), func(s *v1alpha1.Sealing) { s.Epoch = 2 }), false},
		"for the group that it is of":    {nil, "id-fra", "", with(again("fra"), func(s *v1alpha1.Sealing) { s.Group = "empty" }), false},
		"found to be sealed to no later": {nil, "id-fra", "", v1alpha1.Sealing{Group: "readers", Found: 4, Epoch: 3, By: "fra"}, false},
		"nor to less than none":          {nil, "id-fra", "", v1alpha1.Sealing{Group: "readers", Found: -1, Epoch: 3, By: "fra"}, false},
		"and of the same group as before": {ptr(with(was("iad"), func(s *v1alpha1.Sealing) { s.Group = "empty" })), "id-iad", "",
			with(again("iad"), func(s *v1alpha1.Sealing) { s.Was = &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")} }), false},
		"and is confirmed by another":    {nil, "id-fra", "", confirmed("fra", "iad"), false},
		"what is sealed to it is not":    {nil, "id-fra", "", with(again("fra"), func(s *v1alpha1.Sealing) { s.Found = 3 }), false},
		"it is only told":                {nil, "id-fra", "", v1alpha1.Sealing{Group: "readers", Found: 3, Epoch: 3, By: "fra"}, true},
		"as what no key opens":           {nil, "id-fra", "", v1alpha1.Sealing{Group: "readers", Epoch: 3, By: "fra"}, true},
		"since when values are the same": {nil, "id-fra", "", told, true},
		"of so many at most":             {nil, "id-fra", "", with(told, func(s *v1alpha1.Sealing) { s.Since = make([]map[string]int64, v1alpha1.MaxSince+1) }), false},
		"each of some group":             {nil, "id-fra", "", with(told, func(s *v1alpha1.Sealing) { s.Since = []map[string]int64{{}} }), false},
		"of another one":                 {nil, "id-fra", "", with(told, func(s *v1alpha1.Sealing) { s.Since = []map[string]int64{{strings.Repeat("g", 63): 9}} }), true},
		"of the name of one":             {nil, "id-fra", "", with(told, func(s *v1alpha1.Sealing) { s.Since = []map[string]int64{{strings.Repeat("g", 64): 1}} }), false},
		"since a key that there may be":  {nil, "id-fra", "", with(told, func(s *v1alpha1.Sealing) { s.Since = []map[string]int64{{"readers": 0}} }), false},
		"with its own word alone":        {nil, "id-fra", "", with(told, func(s *v1alpha1.Sealing) { s.Witness = "iad" }), false},
		"another one finds the same":     {&told, "id-iad", "", with(told, func(s *v1alpha1.Sealing) { s.Confirmed, s.Witness = "iad", "iad" }), true},
		"not who told it":                {&told, "id-fra", "", with(told, func(s *v1alpha1.Sealing) { s.Confirmed, s.Witness = "fra", "fra" }), false},
		"nor as something else":          {&told, "id-iad", "", with(told, func(s *v1alpha1.Sealing) { s.Confirmed, s.Witness, s.Since = "iad", "iad", told.Since[1:] }), false},
		"after another key that stays": {ptr(with(was("iad"), func(s *v1alpha1.Sealing) { s.Since, s.Witness = told.Since, "iad" })), "id-iad", "",
			with(again("iad"), func(s *v1alpha1.Sealing) {
				s.Since, s.Witness, s.Was = told.Since, "iad", &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}
			}), true},
		"and so does since when": {ptr(with(was("iad"), func(s *v1alpha1.Sealing) { s.Since, s.Witness = told.Since, "iad" })), "id-iad", "",
			with(again("iad"), func(s *v1alpha1.Sealing) {
				s.Since, s.Witness, s.Was = told.Since[1:], "iad", &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}
			}), false},
		"unless nobody has found the same": {ptr(with(was("iad"), func(s *v1alpha1.Sealing) { s.Since = told.Since })), "id-iad", "",
			with(again("iad"), func(s *v1alpha1.Sealing) {
				s.Since, s.Was = told.Since[1:], &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}
			}), true},
		"another takes the place of what is not so": {ptr(again("fra")), "id-iad", "", instead, true},
		"of what is only told, too":                 {&told, "id-iad", "", with(again("iad"), func(s *v1alpha1.Sealing) { s.Instead, s.Words = "fra", []v1alpha1.SealedWord{{By: "fra", Epoch: 3}} }), true},
		"it says so":                                {ptr(again("fra")), "id-iad", "", with(instead, func(s *v1alpha1.Sealing) { s.Instead = "" }), false},
		"and keeps what was there":                  {ptr(again("fra")), "id-iad", "", with(instead, func(s *v1alpha1.Sealing) { s.Words = nil }), false},
		"as it was":                                 {ptr(again("fra")), "id-iad", "", with(instead, func(s *v1alpha1.Sealing) { s.Words = []v1alpha1.SealedWord{said("fra", 3, "other")} }), false},
		"and not as what was confirmed": {ptr(again("fra")), "id-iad", "", with(instead, func(s *v1alpha1.Sealing) {
			s.Was, s.Words = &v1alpha1.SealedBefore{Epoch: 3, Data: []byte("again")}, nil
		}), false},
		"in its own name":          {ptr(again("fra")), "id-iad", "", with(instead, func(s *v1alpha1.Sealing) { s.By = "sin" }), false},
		"without a witness":        {ptr(again("fra")), "id-iad", "", with(instead, func(s *v1alpha1.Sealing) { s.Witness = "iad" }), false},
		"not of what is confirmed": {ptr(confirmed("fra", "iad")), "id-iad", "", instead, false},
		"not its own":              {ptr(again("fra")), "id-fra", "", with(again("fra"), func(s *v1alpha1.Sealing) { s.Instead, s.Data = "fra", []byte("other") }), false},
		"nor who holds no key":     {ptr(again("fra")), "id-sin", "", with(instead, func(s *v1alpha1.Sealing) { s.By = "sin" }), false},
		"once a key":               {&instead, "id-fra", "", with(again("fra"), func(s *v1alpha1.Sealing) { s.Instead, s.Words = "iad", []v1alpha1.SealedWord{said("iad", 3, "again")} }), false},
		"of one that took another's, a third one does": {ptr(with(instead, func(s *v1alpha1.Sealing) { s.By, s.Instead = "mad", "sin" })), "id-iad", "", with(again("iad"), func(s *v1alpha1.Sealing) {
			s.Instead, s.Words = "mad", []v1alpha1.SealedWord{said("fra", 3, "again"), said("mad", 3, "again")}
		}), true},
		"once, too": {ptr(with(instead, func(s *v1alpha1.Sealing) {
			s.By, s.Instead, s.Words = "mad", "sin", []v1alpha1.SealedWord{{By: "iad", Epoch: 3}}
		})), "id-iad", "", with(again("iad"), func(s *v1alpha1.Sealing) { s.Instead, s.Words = "mad", []v1alpha1.SealedWord{said("mad", 3, "again")} }), false},
		"what took its place is confirmed":            {&instead, "id-fra", "", with(instead, func(s *v1alpha1.Sealing) { s.Confirmed, s.Witness, s.Words = "fra", "fra", nil }), true},
		"not its data alone":                          {&instead, "id-fra", "", with(instead, func(s *v1alpha1.Sealing) { s.Confirmed, s.Words = "fra", nil }), false},
		"and not once more":                           {ptr(with(instead, func(s *v1alpha1.Sealing) { s.Confirmed = "sin" })), "id-fra", "", with(instead, func(s *v1alpha1.Sealing) { s.Confirmed, s.Witness, s.Words = "fra", "fra", nil }), false},
		"other data are not confirmed without a word": {ptr(again("fra")), "id-iad", "", with(confirmed("fra", "iad"), func(s *v1alpha1.Sealing) { s.Witness = "" }), false},
		"the first takes nobody's place":              {nil, "id-fra", "", with(again("fra"), func(s *v1alpha1.Sealing) { s.Instead = "iad" }), false},
		"nor does that of another key": {ptr(with(was("iad"), func(s *v1alpha1.Sealing) { s.Instead = "sin" })), "id-iad", "",
			with(again("iad"), func(s *v1alpha1.Sealing) {
				s.Instead, s.Was = "fra", &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}
			}), false},
		"and who witnessed it": {ptr(with(was("iad"), func(s *v1alpha1.Sealing) { s.Witness = "iad" })), "id-fra", "",
			with(again("fra"), func(s *v1alpha1.Sealing) {
				s.Witness, s.Was = "fra", &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}
			}), false},
		"twice by nobody":                     {ptr(again("fra")), "id-iad", "", again("iad"), false},
		"by the same neither":                 {ptr(again("fra")), "id-fra", "", with(again("fra"), func(s *v1alpha1.Sealing) { s.Data = []byte("other") }), false},
		"another confirms":                    {ptr(again("fra")), "id-iad", "", confirmed("fra", "iad"), true},
		"not the one who did it":              {ptr(again("fra")), "id-fra", "", confirmed("fra", "fra"), false},
		"nor with other data":                 {ptr(again("fra")), "id-iad", "", with(confirmed("fra", "iad"), func(s *v1alpha1.Sealing) { s.Data = nil }), false},
		"nor twice":                           {ptr(confirmed("fra", "iad")), "id-iad", "", confirmed("fra", "iad"), false},
		"after another key it is again":       {ptr(with(again("fra"), func(s *v1alpha1.Sealing) { s.Found, s.Epoch, s.Data = 1, 1, nil })), "id-iad", "", again("iad"), true},
		"and what was confirmed stays":        {ptr(was("iad")), "id-iad", "", with(again("iad"), func(s *v1alpha1.Sealing) { s.Was = &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")} }), true},
		"it does not go":                      {ptr(was("iad")), "id-iad", "", again("iad"), false},
		"nor is it told as what no key opens": {ptr(was("iad")), "id-iad", "", v1alpha1.Sealing{Group: "readers", Epoch: 3, By: "iad", Was: &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}}, false},
		"nor as sealed to the present one":    {ptr(was("iad")), "id-iad", "", v1alpha1.Sealing{Group: "readers", Found: 3, Epoch: 3, By: "iad", Was: &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}}, false},
		"what an earlier build let be told so is confirmed, and what opens it stays": {ptr(v1alpha1.Sealing{Group: "readers", Epoch: 3, By: "iad", Was: &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}}), "id-fra", "",
			v1alpha1.Sealing{Group: "readers", Epoch: 3, By: "iad", Confirmed: "fra", Witness: "fra", Was: &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}}, true},
		"and does not go": {ptr(v1alpha1.Sealing{Group: "readers", Epoch: 3, By: "iad", Was: &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")}}), "id-fra", "",
			v1alpha1.Sealing{Group: "readers", Epoch: 3, By: "iad", Confirmed: "fra", Witness: "fra"}, false},
		"what another said alone stays":    {ptr(was("")), "id-iad", "", with(again("iad"), func(s *v1alpha1.Sealing) { s.Words = []v1alpha1.SealedWord{said("fra", 2, "first")} }), true},
		"and does not go either":           {ptr(was("")), "id-iad", "", again("iad"), false},
		"nor become what was confirmed":    {ptr(was("")), "id-iad", "", with(again("iad"), func(s *v1alpha1.Sealing) { s.Was = &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("first")} }), false},
		"what it said itself it says anew": {ptr(was("")), "id-fra", "", again("fra"), true},
		"an earlier build's as that one's": {ptr(with(was("iad"), func(s *v1alpha1.Sealing) {
			s.Confirmed, s.By, s.Instead, s.Was = "", "fra", "iad", &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("of iad")}
		})), "id-fra", "", with(again("fra"), func(s *v1alpha1.Sealing) { s.Words = []v1alpha1.SealedWord{said("iad", 2, "of iad")} }), true},
		"until the next is": {ptr(with(again("fra"), func(s *v1alpha1.Sealing) { s.Was = &v1alpha1.SealedBefore{Epoch: 2} })), "id-iad", "", confirmed("fra", "iad"), true},
		"and what was found is told anew": {ptr(with(again("fra"), func(s *v1alpha1.Sealing) { s.Found, s.Epoch, s.Data = 0, 1, nil })), "id-iad", "",
			with(again("iad"), func(s *v1alpha1.Sealing) { s.Words = []v1alpha1.SealedWord{{By: "fra", Epoch: 1, None: true}} }), true},
		"that it was found is left out no": {ptr(with(again("fra"), func(s *v1alpha1.Sealing) { s.Found, s.Epoch, s.Data = 0, 1, nil })), "id-iad", "", again("iad"), false},
		"unless another found it as well": {ptr(with(again("fra"), func(s *v1alpha1.Sealing) { s.Found, s.Epoch, s.Data, s.Witness = 0, 1, nil, "iad" })), "id-iad", "",
			with(again("iad"), func(s *v1alpha1.Sealing) { s.Witness = "iad" }), false},
		"a revision that is not there no": {nil, "id-fra", "", again("fra"), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := keyed(t)
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			if !strings.Contains(name, "not there") {
				must(r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...))
			}
			must(r.tryBare("id-fra", "", 0, r.group("readers", wrapped("iad"))))
			for range 2 {
				must(r.try("id-fra", "anna", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })))
				must(r.tryBare("id-fra", "", 0, r.group("readers", rotated("fra", "iad"))))
			}
			key := v1alpha1.KeySealings + revision
			if c.before != nil {
				must(r.tryBare("id-fra", "", term, r.put(key, c.before)))
			}
			if op := r.put(key, c.after); c.want && r.tryBare(c.member, c.person, 0, store.Put(key, append(op.Value, ' '))) == nil {
				t.Error("it is written in another form")
			}
			if err := r.tryBare(c.member, c.person, 0, r.put(key, c.after)); (err == nil) != c.want {
				t.Fatalf("it was written: %v: %v", err == nil, err)
			}
			if !c.want {
				return
			}
			// Once somebody holds the key who may not read, nothing is sealed to it any more, nor confirmed.
			must(r.tryBare("id-fra", "", term, store.Delete(key)))
			r.leave("iad")
			if err := r.tryBare("id-fra", "", 0, r.put(key, again("fra"))); err == nil {
				t.Error("it is sealed to a key that iad holds, which left")
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// TestAPastThatIsStruckOffTakesWhatWasSealedAgain: with the revision goes what was made of it.
func TestAPastThatIsStruckOffTakesWhatWasSealedAgain(t *testing.T) {
	r := keyed(t)
	write := func(s *v1alpha1.FleetSecret) {
		t.Helper()
		if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", s))...); err != nil {
			t.Fatal(err)
		}
	}
	write(secret("db"))
	next := secret("db")
	next.Generation, next.Spec.Data = 2, []byte("other")
	write(next)
	key := v1alpha1.KeySealings + "secret.db-u-db-1"
	if err := r.tryBare("id-fra", "", term, r.put(key, v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 1, By: "fra"})); err != nil {
		t.Fatal(err)
	}
	pasts := r.store.View().List(v1alpha1.KeyPasts + "fleetsecrets")
	if len(pasts) != 1 {
		t.Fatalf("%d pasts", len(pasts))
	}
	if err := r.try("id-fra", "anna", 0, r.whole(store.Delete(pasts[0].Key))...); err != nil {
		t.Fatal(err)
	}
	if _, there := r.store.View().Get(key); there {
		t.Error("what was sealed again stays")
	}
}

// TestThoseWhoLeftAreBounded: of too many the last have their names, and one without stands for the others, with the latest key that any had.
func TestThoseWhoLeftAreBounded(t *testing.T) {
	g := &v1alpha1.RecipientGroup{}
	nobody := func(string, string) bool { return false }
	for i := range v1alpha1.MaxFormerReaders + 3 {
		g.Status.Epoch = int64(i + 1)
		g.Status.Wraps = []v1alpha1.KeyWrap{{Cluster: fmt.Sprint("c", i), Key: "k", Epoch: g.Status.Epoch}}
		g.Status = Rotated(g, nobody, NewKey{Begun: metav1.Time{Time: time.Unix(int64(i), 0)}, From: g.Status.Epoch})
	}
	left := g.Status.Left
	want := v1alpha1.FormerReader{Epoch: 4, Until: metav1.Time{Time: time.Unix(3, 0)}}
	if len(left) != v1alpha1.MaxFormerReaders || left[0] != want || left[1].Cluster != "c4" || left[len(left)-1].Cluster != fmt.Sprint("c", v1alpha1.MaxFormerReaders+2) {
		t.Errorf("%d are kept, the first %v, then %v", len(left), left[0], left[1])
	}
}
