package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

var anna = Who{Person: "anna", Through: "fra", Groups: []string{"admins"}, SourceIP: "10.0.0.9", UserAgent: "kubectl"}

// told is the record among ops.
func told(t *testing.T, ops []store.Op) (at int, c v1alpha1.Change) {
	t.Helper()
	for i, op := range ops {
		if strings.HasPrefix(op.Key, v1alpha1.KeyChanges) {
			if err := json.Unmarshal(op.Value, &c); err != nil {
				t.Fatal(err)
			}
			return i, c
		}
	}
	t.Fatal("no record")
	return 0, c
}

func TestARecordSaysWhoChangedWhat(t *testing.T) {
	r := newRealm(t)
	shop := r.bundle("shop", "fra", "sin")
	shop.Generation, shop.Labels = 2, map[string]string{"tier": "prod"}
	before, _ := r.store.View().Get(v1alpha1.KeyBundles + "shop")
	ops := r.wholeBy(anna, r.put(v1alpha1.KeyBundles+"shop", shop))
	if err := r.tryBare("id-fra", "anna", 0, ops...); err != nil {
		t.Fatal(err)
	}
	_, c := told(t, ops)
	want := v1alpha1.ChangeSpec{
		Resource: "bundles", Name: "shop", UID: "u-shop", Verb: v1alpha1.ChangeUpdate, Since: int64(before.Modified), Fields: []string{"metadata.labels", "spec.placement"},
		By: "anna", ByUID: "u-anna", Groups: []string{"admins"}, Through: "fra", SourceIP: "10.0.0.9", UserAgent: "kubectl", Size: int64(len(before.Value)),
	}
	if diff := cmp.Diff(want, c.Spec); diff != "" {
		t.Error(diff)
	}
	is, _ := r.store.View().Get(v1alpha1.KeyChanges + c.Name)
	now, _ := r.store.View().Get(v1alpha1.KeyBundles + "shop")
	past, _ := r.store.View().Get(v1alpha1.KeyPasts + c.Name)
	if is.Modified != now.Modified || past.Modified != now.Modified || !bytes.Equal(past.Value, before.Value) {
		t.Errorf("object at %d, record at %d, what was before at %d: %s", now.Modified, is.Modified, past.Modified, past.Value)
	}
	for verb, op := range map[v1alpha1.ChangeVerb]store.Op{
		v1alpha1.ChangeCreate: r.put(v1alpha1.KeyBundles+"new", r.bundle("new", "fra")),
		v1alpha1.ChangeDelete: store.Delete(v1alpha1.KeyBundles + "shop"),
	} {
		if _, c := told(t, r.wholeBy(anna, op)); c.Spec.Verb != verb || c.Spec.UID == "" || c.Spec.Fields != nil {
			t.Errorf("%s: %+v", verb, c.Spec)
		}
	}
}

func TestWhomATokenLetInIsTheDeedOfWhoMadeIt(t *testing.T) {
	r := newRealm(t)
	ops := r.wholeBy(anna, r.put(KeyTokens+"abc", Token{}))
	if err := r.tryBare("id-fra", "anna", 0, ops...); err != nil {
		t.Fatal(err)
	}
	later := time.Unix(1e9, 0).UTC()
	newcomer := r.put(v1alpha1.KeyClusters+"new", v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "new", UID: "u-new"}})
	ops, err := Enrolment(r.store.View(), Change{Key: newcomer.Key, After: newcomer.Value, At: later}, "abc")
	if err != nil {
		t.Fatal(err)
	}
	_, c := told(t, ops)
	want := v1alpha1.ChangeSpec{
		Resource: "clusters", Name: "new", UID: "u-new", Verb: v1alpha1.ChangeCreate, Token: "abc",
		By: "anna", ByUID: "u-anna", Groups: []string{"admins"}, Through: "fra",
	}
	if diff := cmp.Diff(want, c.Spec); diff != "" || !c.CreationTimestamp.Time.Equal(later) {
		t.Error(c.CreationTimestamp, diff)
	}

	old, _ := r.store.View().Get(v1alpha1.KeyClusters + "sin") // a new member of it, with a token of which nothing is remembered
	ops, err = Enrolment(r.store.View(), Change{Key: old.Key, Before: old.Value, After: old.Value, At: later}, "forgotten")
	if err != nil {
		t.Fatal(err)
	}
	_, c = told(t, ops)
	if c.Spec.Verb != v1alpha1.ChangeUpdate || c.Spec.By+c.Spec.Through != "" || c.Spec.Token != "forgotten" || len(ops) != 2 {
		t.Errorf("%+v with %d ops", c.Spec, len(ops))
	}
}

func TestWhatIsNoTrueRecordIsRefused(t *testing.T) {
	day := 24 * time.Hour
	edited := func(change func(*record)) func(*realm, []store.Op, int) []store.Op {
		return func(r *realm, ops []store.Op, at int) []store.Op {
			var rec record
			if err := json.Unmarshal(ops[at].Value, &rec); err != nil {
				r.Fatal(err)
			}
			change(&rec)
			ops[at] = r.put(ops[at].Key, rec)
			return ops
		}
	}
	as := func(at time.Duration) string { return time.Unix(0, 0).Add(10*day + at).UTC().Format(time.RFC3339) }
	for name, tt := range map[string]struct {
		change func(*realm, []store.Op, int) []store.Op
		pass   bool
	}{
		"as it is":           {edited(func(*record) {}), true},
		"from elsewhere":     {edited(func(r *record) { r.Spec.SourceIP, r.Spec.UserAgent, r.Spec.Groups = "::1", "", nil }), true},
		"somewhat earlier":   {edited(func(r *record) { r.Metadata.Created = as(-day / 2) }), true},
		"much earlier":       {edited(func(r *record) { r.Metadata.Created = as(-2 * day) }), false},
		"somewhat later":     {edited(func(r *record) { r.Metadata.Created = as(day / 2) }), true},
		"much later":         {edited(func(r *record) { r.Metadata.Created = as(2 * day) }), false},
		"of another age":     {edited(func(r *record) { r.Metadata.Created = "9999-12-31T23:59:59Z" }), false},
		"at no time":         {edited(func(r *record) { r.Metadata.Created = "yesterday" }), false},
		"in another zone":    {edited(func(r *record) { r.Metadata.Created = strings.Replace(as(0), "Z", "+00:00", 1) }), false},
		"of another person":  {edited(func(r *record) { r.Spec.By = "otto" }), false},
		"of nobody":          {edited(func(r *record) { r.Spec.By = "" }), false},
		"of another anna":    {edited(func(r *record) { r.Spec.ByUID = "u-otto" }), false},
		"through another":    {edited(func(r *record) { r.Spec.Through = "iad" }), false},
		"of another verb":    {edited(func(r *record) { r.Spec.Verb = v1alpha1.ChangeCreate }), false},
		"of other fields":    {edited(func(r *record) { r.Spec.Fields = nil }), false},
		"of a crowd":         {edited(func(r *record) { r.Spec.Groups = make([]string, maxGroups+1) }), false},
		"of many words":      {edited(func(r *record) { r.Spec.UserAgent = strings.Repeat("x", maxWord+1) }), false},
		"in red":             {edited(func(r *record) { r.Spec.UserAgent = "\x1b[31m" }), false},
		"in two lines":       {edited(func(r *record) { r.Spec.Groups[0] = "a\nb" }), false},
		"from right to left": {edited(func(r *record) { r.Spec.SourceIP = "\u202e1.2.3.4" }), false},
		"in another form": {func(_ *realm, ops []store.Op, at int) []store.Op {
			ops[at].Value = append([]byte(" "), ops[at].Value...)
			return ops
		}, false},
		"left out": {func(_ *realm, ops []store.Op, at int) []store.Op { return append(ops[:at], ops[at+2:]...) }, false},
		"without what was before": {func(_ *realm, ops []store.Op, at int) []store.Op {
			return append(ops[:at+1], ops[at+2:]...)
		}, false},
		"alone": {func(_ *realm, ops []store.Op, at int) []store.Op { return ops[at:] }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealm(t)
			r.write(store.Command{Proposer: "id-fra", Time: int64(10 * day), Chunk: []byte("time passes")})
			ops := r.wholeBy(anna, r.cluster("sin", func(c *v1alpha1.Cluster) { c.Labels["tier"] = "prod" }))
			at, _ := told(t, ops)
			if err := r.tryBare("id-fra", "anna", 0, tt.change(r, ops, at)...); (err == nil) != tt.pass {
				t.Errorf("%v\n%s", err, words(ops))
			}
		})
	}
}

// writeLarge writes ops as a member does: what is large in chunks.
func (r *realm) writeLarge(who Who, ops ...store.Op) {
	r.Helper()
	txn, chunks := store.SplitTxn(store.Txn{Then: r.wholeBy(who, ops...)})
	for _, c := range chunks {
		r.write(store.Command{Proposer: "id-fra", Chunk: c.Data})
	}
	if err := r.tryBare("id-fra", who.Person, 0, txn.Then...); err != nil {
		r.Fatal(err)
	}
}

// The chunks of what was before are those that lay there already, so ten edits of a megabyte are not ten megabytes.
func TestThePastOfALargeBundleSharesItsChunks(t *testing.T) {
	r := newRealm(t)
	size := func() int {
		var b bytes.Buffer
		if _, err := r.store.Snapshot().WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		return b.Len()
	}
	random := rand.New(rand.NewPCG(1, 2))
	manifest := func() runtime.RawExtension {
		words := make([]byte, 20<<10)
		for i := range words {
			words[i] = "abcdefghijklmnop"[random.IntN(16)]
		}
		return runtime.RawExtension{Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","data":{"x":%q}}`, words)}
	}
	large := r.bundle("large", "fra")
	for range 50 {
		large.Spec.Manifests = append(large.Spec.Manifests, manifest())
	}
	empty := size()
	r.writeLarge(anna, r.put(v1alpha1.KeyBundles+"large", large))
	once := size() - empty
	for range 10 {
		large.Generation++
		large.Spec.Manifests[random.IntN(50)] = manifest()
		r.writeLarge(anna, r.put(v1alpha1.KeyBundles+"large", large))
	}
	if grown := size() - empty - once; grown > 3*once {
		t.Errorf("a bundle of %d KiB grew by %d KiB with ten edits of 20 KiB", once>>10, grown>>10)
	} else {
		t.Logf("a bundle of %d KiB grew by %d KiB with ten edits of 20 KiB", once>>10, grown>>10)
	}
}

func TestOnlyTheLeaderDeletesRecords(t *testing.T) {
	r := newRealm(t)
	ops := r.wholeBy(anna, store.Delete(v1alpha1.KeyBundles+"own"))
	if err := r.tryBare("id-fra", "anna", 0, ops...); err != nil {
		t.Fatal(err)
	}
	_, c := told(t, ops)
	gone := []store.Op{store.Delete(v1alpha1.KeyChanges + c.Name), store.Delete(v1alpha1.KeyPasts + c.Name)}
	for _, op := range gone {
		for _, person := range []string{"", "anna", v1alpha1.LocalPerson, "hanse:fra:root"} {
			if err := r.tryBare("id-fra", person, 0, op); err == nil {
				t.Errorf("%q deletes %s", person, op.Key)
			}
		}
	}
	if err := r.tryBare("id-fra", "", term, gone...); err != nil {
		t.Error(err)
	}
}

func TestNoRecordIsWrittenOver(t *testing.T) {
	r := newRealm(t)
	victim := r.wholeBy(anna, r.put(v1alpha1.KeyUsers+"a.b", &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: metav1.ObjectMeta{Name: "a.b", UID: "u-x"}}))
	if err := r.tryBare("id-fra", "anna", 0, victim...); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, uid string }{{"a", "b.u-x"}, {"a/b", "u-x"}, {"a", strings.Repeat("u", 600)}} {
		u := &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named(tt.name)}
		u.UID = "u"
		op := r.put(v1alpha1.KeyUsers+tt.name, u)
		op.Value = bytes.Replace(op.Value, []byte(`"uid":"u"`), []byte(`"uid":"`+tt.uid+`"`), 1)
		if _, _, err := Companions(r.store.View(), Change{Key: op.Key, After: op.Value, Who: anna}); err == nil {
			t.Errorf("%s with uid %s has a record", tt.name, tt.uid)
		}
		if err := r.tryBare("id-fra", "anna", 0, append(victim[1:], op)...); err == nil {
			t.Errorf("%s with uid %s is written", tt.name, tt.uid)
		}
	}
}

// Whoever a member says that it writes for, nobody included: it leaves a record of what people write.
func TestAMemberWritesNothingOfPeoplesWithoutARecord(t *testing.T) {
	for name, tt := range map[string]struct {
		member store.MemberID
		ops    func(*realm) []store.Op
	}{
		"a user": {"id-fra", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyUsers+"eve", &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named("eve")})}
		}},
		"the fleet": {"id-fra", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyFleets+"f", &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: named("f")})}
		}},
		"a token":         {"id-fra", func(*realm) []store.Op { return []store.Op{store.Put(KeyTokens+"u", []byte("{}"))} }},
		"a bundle":        {"id-fra", func(r *realm) []store.Op { return r.whole(r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "fra"))) }},
		"a cluster's end": {"id-fra", func(r *realm) []store.Op { return r.whole(store.Delete(v1alpha1.KeyClusters + "iad")) }},
		"a cluster's rights": {"id-fra", func(r *realm) []store.Op {
			return r.whole(r.cluster("sin", func(c *v1alpha1.Cluster) { c.Spec.Rights = v1alpha1.RightsAdmin }))
		}},
		"its own cluster": {"id-fra", func(r *realm) []store.Op {
			return r.whole(r.cluster("fra", func(c *v1alpha1.Cluster) { c.Labels["tier"] = "prod" }))
		}},
		"another's status": {"id-fra", func(r *realm) []store.Op {
			return r.whole(r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Version = "v9" }))
		}},
		"a bundle of its own":   {"id-iad", func(r *realm) []store.Op { return r.whole(r.put(v1alpha1.KeyBundles+"mine", r.bundle("mine", "iad"))) }},
		"the end of its bundle": {"id-iad", func(r *realm) []store.Op { return r.whole(store.Delete(v1alpha1.KeyBundles + "own")) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealm(t)
			ops := tt.ops(r)
			if err := r.tryBare(tt.member, "", 0, ops...); err == nil || !strings.Contains(err.Error(), "the record of the change of ") {
				t.Errorf("without a record: %v", err)
			}
			if err := r.try(tt.member, "", 0, ops...); err != nil {
				t.Fatalf("with a record: %v", err)
			}
			kvs := r.store.View().List(v1alpha1.KeyChanges)
			var c v1alpha1.Change
			if len(kvs) != 1 || json.Unmarshal(kvs[0].Value, &c) != nil || c.Spec.By != "" || "id-"+c.Spec.Through != string(tt.member) {
				t.Errorf("%d records: %+v", len(kvs), c.Spec)
			}
		})
	}
}

func TestWhatAMemberSaysOfItselfAndALeaderDecidesLeavesNoRecord(t *testing.T) {
	r := newRealm(t)
	for _, cluster := range []string{"fra", "sin"} {
		if err := r.tryBare(store.MemberID("id-"+cluster), "", 0, r.cluster(cluster, func(c *v1alpha1.Cluster) { c.Status.Version = "v2" })); err != nil {
			t.Error(err)
		}
	}
	if err := r.tryBare("id-fra", "", term, r.put(v1alpha1.KeyUsers+"eve", &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named("eve")})); err != nil {
		t.Error(err)
	}
	if n := r.store.View().Count(v1alpha1.KeyChanges); n != 0 {
		t.Errorf("%d records", n)
	}
}

// An admin takes what was before a change away; that it was changed stays, and that somebody did this.
func TestAnAdminStrikesOffThePastButNoChange(t *testing.T) {
	r := newRealm(t)
	ops := r.wholeBy(anna, r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "sin")))
	if err := r.tryBare("id-fra", "anna", 0, ops...); err != nil {
		t.Fatal(err)
	}
	_, c := told(t, ops)
	past := store.Delete(v1alpha1.KeyPasts + c.Name)
	for _, who := range []struct{ member, person string }{{"id-fra", "otto"}, {"id-fra", "hanse:fra:jane"}, {"id-iad", "anna"}, {"id-iad", ""}} {
		if err := r.try(store.MemberID(who.member), who.person, 0, past); err == nil {
			t.Errorf("%s strikes it off through %s", who.person, who.member)
		}
	}
	if err := r.tryBare("id-fra", "anna", 0, past); err == nil {
		t.Error("it is struck off without a record")
	}
	if err := r.tryBare("id-fra", "anna", 0, r.wholeBy(anna, past)...); err != nil {
		t.Fatal(err)
	}
	if kvs := r.store.View().List(v1alpha1.KeyPasts); len(kvs) != 0 {
		t.Errorf("%d are left", len(kvs))
	}
	if kvs := r.store.View().List(v1alpha1.KeyChanges); len(kvs) != 2 {
		t.Errorf("%d records", len(kvs))
	}
	if _, err := r.store.Watch(v1alpha1.KeyBundles, r.store.View().Revision()-1); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("a watch tells of what is struck off: %v", err)
	}
}

func TestWhatTheLeaderStrikesOffForItsAgeEndsNoWatch(t *testing.T) {
	r := newRealm(t)
	ops := r.wholeBy(anna, r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "sin")))
	if err := r.tryBare("id-fra", "anna", 0, ops...); err != nil {
		t.Fatal(err)
	}
	_, c := told(t, ops)
	if err := r.tryBare("id-fra", "", term, store.Delete(v1alpha1.KeyPasts+c.Name)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Watch(v1alpha1.KeyBundles, 1); err != nil {
		t.Error(err)
	}
}

// What a bundle was lies in its revision, too. That goes with the past, unless a cluster is still to run it, or the bundle still
// says so.
func TestAPastGoesWithTheRevisionThatItWas(t *testing.T) {
	r := newRealm(t)
	write := func(ops ...store.Op) v1alpha1.Change {
		t.Helper()
		ops = r.wholeBy(anna, ops...)
		if err := r.tryBare("id-fra", "anna", 0, ops...); err != nil {
			t.Fatal(err)
		}
		_, c := told(t, ops)
		return c
	}
	b := r.bundle("keys", "fra")
	write(r.put(v1alpha1.KeyBundles+"keys", b))
	b.Labels = map[string]string{"tier": "prod"}
	labelled := write(r.put(v1alpha1.KeyBundles+"keys", b))
	leaked := v1alpha1.KeyBundleRevisions + v1alpha1.RevisionName("keys", string(b.UID), b.Generation)
	there := func() bool { _, ok := r.store.View().Get(leaked); return ok }
	write(store.Delete(v1alpha1.KeyPasts + labelled.Name))
	if !there() {
		t.Fatal("the revision is gone that the bundle still is")
	}
	b.Generation++
	mended := write(r.put(v1alpha1.KeyBundles+"keys", b))
	past := store.Delete(v1alpha1.KeyPasts + mended.Name)
	granted := r.put(v1alpha1.GrantKey("fra", "keys"), v1alpha1.Grant{Bundle: "keys", BundleUID: string(b.UID), Revision: strings.TrimPrefix(leaked, v1alpha1.KeyBundleRevisions)})
	if err := r.tryBare("id-fra", "", term, granted); err != nil {
		t.Fatal(err)
	}
	was, _ := r.store.View().Get(past.Key)
	_, _, err := Companions(r.store.View(), Change{Key: past.Key, Before: was.Value, Who: anna})
	if forbidden := (*store.Forbidden)(nil); !errors.As(err, &forbidden) || !strings.Contains(forbidden.Reason, "still to run so in fra") {
		t.Errorf("it is granted: %v", err)
	}
	if err := r.tryBare("id-fra", "", term, store.Delete(granted.Key)); err != nil {
		t.Fatal(err)
	}
	rollout := &v1alpha1.Rollout{TypeMeta: v1alpha1.TypeOf("Rollout"), ObjectMeta: metav1.ObjectMeta{Name: "keys-2"}}
	rollout.Spec.Waves = []v1alpha1.Wave{{Revision: strings.TrimPrefix(leaked, v1alpha1.KeyBundleRevisions)}}
	for _, rollout.Status.Phase = range []v1alpha1.RolloutPhase{v1alpha1.RolloutRunning, v1alpha1.RolloutComplete} {
		if err := r.tryBare("id-fra", "", term, r.put(v1alpha1.KeyRollouts+"keys-2", rollout)); err != nil {
			t.Fatal(err)
		}
		_, _, err := Companions(r.store.View(), Change{Key: past.Key, Before: was.Value, Who: anna})
		forbidden := (*store.Forbidden)(nil)
		if refused := errors.As(err, &forbidden) && strings.Contains(forbidden.Reason, "rollout keys-2 is still to grant it"); refused == rollout.Status.Phase.Ended() {
			t.Errorf("a rollout of it is %s: %v", rollout.Status.Phase, err)
		}
	}
	ops := r.wholeBy(anna, past)
	for i, op := range ops {
		if op.Key == leaked {
			if err := r.tryBare("id-fra", "anna", 0, slices.Delete(slices.Clone(ops), i, i+1)...); err == nil {
				t.Error("the past goes and its revision stays")
			}
		}
	}
	if write(past); there() {
		t.Error("the revision is left")
	}
	if err := r.tryBare("id-fra", "anna", 0, store.Delete(v1alpha1.KeyBundleRevisions+v1alpha1.RevisionName("keys", string(b.UID), b.Generation))); err == nil {
		t.Error("an admin deletes a revision alone")
	}
}

func TestAnObjectKeepsItsUID(t *testing.T) {
	r := newRealm(t)
	u := &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named("otto")}
	u.UID = "u-anna"
	op := r.put(v1alpha1.KeyUsers+"otto", u)
	before, _ := r.store.View().Get(op.Key)
	if _, _, err := Companions(r.store.View(), Change{Key: op.Key, Before: before.Value, After: op.Value, Who: anna}); err == nil {
		t.Error("a record tells of another object")
	}
	if err := r.tryBare("id-fra", "anna", 0, op); err == nil || !strings.Contains(err.Error(), "uid") {
		t.Error(err)
	}
}

// That somebody was told a secret is told apart from whatever else is written of it, and brings no past: nothing else was different. Nobody
// writes the note of it but so.
func TestARecordSaysThatASecretWasRevealed(t *testing.T) {
	const note = v1alpha1.AnnotationRevealed
	type notes = map[string]string
	const revealed, another, refused = "revealed", "another", "refused"
	for name, tt := range map[string]struct {
		was, is notes
		change  func(*v1alpha1.FleetSecret)
		want    string
	}{
		"for the first time":           {nil, notes{note: "1"}, nil, revealed},
		"once more":                    {notes{note: "1", "a": "b"}, notes{note: "2", "a": "b"}, nil, revealed},
		"the same note":                {notes{note: "1"}, notes{note: "1"}, nil, another},
		"another annotation":           {notes{note: "1"}, notes{note: "1", "a": "b"}, nil, another},
		"nothing of the note, a value": {nil, nil, func(s *v1alpha1.FleetSecret) { s.Spec.Data = []byte("another") }, another},
		"the note is taken off":        {notes{note: "1", "a": "b"}, notes{"a": "b"}, nil, refused},
		"another annotation with it":   {notes{note: "1"}, notes{note: "2", "a": "b"}, nil, refused},
		"another annotation goes":      {notes{note: "1", "a": "b"}, notes{note: "2"}, nil, refused},
		"another value with it":        {nil, notes{note: "1"}, func(s *v1alpha1.FleetSecret) { s.Spec.Data = []byte("another") }, refused},
		"a label with it":              {nil, notes{note: "1"}, func(s *v1alpha1.FleetSecret) { s.Labels = notes{"tier": "prod"} }, refused},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := noted(t, tt.was), secret("db")
			s.Annotations = tt.is
			if tt.change != nil {
				s.Generation++
				tt.change(s)
			}
			op := r.put(v1alpha1.KeyFleetSecrets+"db", s)
			if tt.want == refused {
				if err := r.tryBare("id-fra", "anna", 0, op); err == nil || !strings.Contains(err.Error(), "only hanse secret get writes that") {
					t.Error(err)
				}
				return
			}
			ops := r.wholeBy(anna, op)
			if _, c := told(t, ops); c.Spec.Revealed != (tt.want == revealed) {
				t.Errorf("revealed is %v, of %v", c.Spec.Revealed, c.Spec.Fields)
			}
			if past := slices.ContainsFunc(ops, func(op store.Op) bool { return strings.HasPrefix(op.Key, v1alpha1.KeyPasts) }); past == (tt.want == revealed) {
				t.Errorf("with what was before: %v", past)
			}
			if err := r.tryBare("id-fra", "anna", 0, ops...); err != nil {
				t.Error(err)
			}
		})
	}
	r := newRealm(t)
	if _, c := told(t, r.wholeBy(anna, r.cluster("sin", func(c *v1alpha1.Cluster) { c.Annotations = notes{note: "1"} }))); c.Spec.Revealed {
		t.Error("a cluster was revealed")
	}
}

// noted is a realm with a secret that has such annotations.
func noted(t *testing.T, annotations map[string]string) *realm {
	t.Helper()
	r, s := keyed(t), secret("db")
	if err := r.try("id-fra", "anna", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", s))...); err != nil {
		t.Fatal(err)
	}
	s.Annotations = annotations
	r.says(r.put(v1alpha1.KeyFleetSecrets+"db", s))
	return r
}

// A reveal is told of somebody, and of a secret that is there.
func TestASecretIsRevealedToAPersonAlone(t *testing.T) {
	r, s := noted(t, nil), secret("db")
	s.Annotations = map[string]string{v1alpha1.AnnotationRevealed: "1"}
	fresh := secret("fresh")
	fresh.Annotations = s.Annotations
	for person, op := range map[string]store.Op{"": r.put(v1alpha1.KeyFleetSecrets+"db", s), "anna": r.put(v1alpha1.KeyFleetSecrets+"fresh", fresh)} {
		if err := r.tryBare("id-fra", person, 0, op); err == nil || !strings.Contains(err.Error(), "only hanse secret get writes that") {
			t.Errorf("%s %s: %v", person, op.Key, err)
		}
	}
	if err := r.try("id-fra", "anna", 0, r.whole(store.Delete(v1alpha1.KeyFleetSecrets+"db"))...); err != nil {
		t.Error(err)
	}
}

// Nobody but the law says what is a reveal: it is kept for longer, and has no past.
func TestNobodyElseSaysThatASecretWasRevealed(t *testing.T) {
	for _, revealed := range []bool{true, false} {
		r := keyed(t)
		s := secret("db")
		if err := r.try("id-fra", "anna", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", s))...); err != nil {
			t.Fatal(err)
		}
		s.Annotations = map[string]string{"another": "1"}
		if revealed {
			s.Annotations = map[string]string{v1alpha1.AnnotationRevealed: "1"}
		}
		ops := r.wholeBy(anna, r.put(v1alpha1.KeyFleetSecrets+"db", s))
		at, _ := told(t, ops)
		var rec record
		if err := json.Unmarshal(ops[at].Value, &rec); err != nil {
			t.Fatal(err)
		}
		rec.Spec.Revealed = !revealed
		ops[at] = r.put(ops[at].Key, rec)
		if err := r.tryBare("id-fra", "anna", 0, ops...); err == nil {
			t.Errorf("one that says revealed: %v is written", !revealed)
		}
	}
}

// Whoever pads a change with fields that nobody knows hides another behind them, but not that there are more.
func TestARecordSaysThatThereAreMoreFieldsThanItNames(t *testing.T) {
	r := newRealm(t)
	op := r.put(v1alpha1.KeyUsers+"otto", &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named("otto"), Spec: v1alpha1.UserSpec{Role: v1alpha1.RoleAdmin}})
	pad := ""
	for i := range maxFields {
		pad += fmt.Sprintf(`"a%d":1,`, i)
	}
	op.Value = bytes.Replace(op.Value, []byte(`"spec":{`), []byte(`"spec":{`+pad), 1)
	_, c := told(t, r.wholeBy(anna, op))
	if n := len(c.Spec.Fields); n != maxFields+1 || c.Spec.Fields[n-1] != andMore {
		t.Errorf("%d fields: %v", n, c.Spec.Fields)
	}
}

func TestNoNameMovesACursor(t *testing.T) {
	r := newRealm(t)
	fleet := r.put(v1alpha1.KeyFleets+"acme", &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: named("acme")})
	for _, person := range []string{"hanse:fra:a\nb", "hanse:fra:\x1b[2J", "hanse:fra:\u202eanna", "hanse:fra:\u200eanna"} {
		if err := r.try("id-fra", person, 0, fleet); err == nil {
			t.Errorf("%q writes", person)
		}
	}
	if err := r.try("id-fra", "hanse:fra:jörg@example.org", 0, fleet); err != nil {
		t.Error(err)
	}
	if err := r.tryBare("id-fra", "anna", 0, store.Put(v1alpha1.KeyUsers+"a\tb", []byte("{}"))); err == nil {
		t.Error("a user has a tab in its name")
	}
	for asked, want := range map[string]string{"kubectl/v1": "kubectl/v1", "a\x00b\x9bc\u2028d": "a?b?c?d", "\xff": "?"} {
		if got := word(asked); got != want {
			t.Errorf("%q: %q", asked, got)
		}
	}
}

// A member whose clock is wrong still writes for people, and says a time that is not far from the leader's.
func TestARecordsTimeIsNotFarFromTheLogs(t *testing.T) {
	r := newRealm(t)
	day := 24 * time.Hour
	r.write(store.Command{Proposer: "id-fra", Time: int64(1000 * day), Chunk: []byte("time passes")})
	log := r.store.View().Time()
	for off, want := range map[time.Duration]time.Duration{-1000 * day: 0, -time.Hour: 0, 0: 0, time.Hour: time.Hour, 1000 * day: day / 2} {
		_, ops, err := Companions(r.store.View(), Change{Key: KeyTokens + "u", After: []byte("{}"), At: log.Add(off), Who: anna})
		if err != nil {
			t.Fatal(err)
		}
		if _, c := told(t, ops); !c.CreationTimestamp.Time.Equal(log.Add(want)) {
			t.Errorf("%s off: %s", off, c.CreationTimestamp.Sub(log))
		}
	}
}
