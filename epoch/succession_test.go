package epoch

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

func succeed(t *testing.T, v *store.View, heir string) *store.View {
	t.Helper()
	ops, err := Succession{Heir: memberOf(heir), Zone: "z", Version: "v2", Reason: v1alpha1.ReasonRecovered, Meta: metav1.ObjectMeta{UID: "new", CreationTimestamp: noon}}.Ops(v)
	if err != nil {
		t.Fatal(err)
	}
	return state(t, v, ops...)
}

func TestAnEpochBeginsWithOneMemberAndEveryClusterOnlyLooks(t *testing.T) {
	before := state(t, looking(t, "iad"), store.Put(law.KeyTokens+"t", []byte("{}")), store.Put(v1alpha1.KeyBackups, []byte("{}")),
		put(t, v1alpha1.KeyObserving+"fra", v1alpha1.Observing{Reason: v1alpha1.ReasonRestored, Resumed: &v1alpha1.Resumption{Through: "fra"}}))
	after := succeed(t, before, "fra")
	if m := after.Members(); len(m) != 1 || m[0].Cluster != "fra" {
		t.Errorf("members %+v", m)
	}
	for _, name := range []string{"fra", "iad", "sin"} {
		if !Looks(after, name) {
			t.Errorf("%s acts", name)
		}
	}
	if !NobodyActs(after) || after.Count(law.KeyTokens) != 0 || after.Count(v1alpha1.KeyBackups) != 0 {
		t.Error("something of the old epoch is left")
	}
	if c, _, err := OnRecord(after, "iad"); err != nil || c.Status.Incarnation != "" || c.Spec.Region != "r-iad" || c.Labels["tier"] != "prod" {
		t.Errorf("iad is %+v: %v", c, err)
	}
	if b := Begun(after, Beginning{Cluster: "fra"}); strings.Join(b.Waiting, " ") != "iad sin" || b.Epoch != after.Epoch() {
		t.Errorf("it is said as %+v", b)
	}
}

// The heir may have the name of one that the fleet had removed.
func TestAnEpochBeginsWithNothingLeftOfOneOfTheHeirsName(t *testing.T) {
	left := []store.Op{put(t, v1alpha1.KeyTombstones+"u", v1alpha1.Tombstone{Bundle: "old", Clusters: []string{"ams", "fra"}})}
	for _, cluster := range []string{"ams", "ams-2", "iad"} {
		left = append(left, put(t, v1alpha1.GrantKey(cluster, "shop"), v1alpha1.Grant{Bundle: "shop"}))
	}
	after := succeed(t, state(t, fleet(t), left...), "ams")
	var keys []string
	for kv := range after.Iterate(v1alpha1.KeyGrants, "") {
		keys = append(keys, kv.Key)
	}
	tomb, _ := after.Get(v1alpha1.KeyTombstones + "u")
	if got := strings.Join(keys, " "); got != "/grants/ams-2/shop /grants/iad/shop" || strings.Contains(string(tomb.Value), "ams") || !strings.Contains(string(tomb.Value), "fra") {
		t.Errorf("there is left %s and %s", got, tomb.Value)
	}
	if kept := succeed(t, state(t, fleet(t), left...), "iad"); kept.Count(v1alpha1.KeyGrants) != 3 {
		t.Error("one that is on record loses what it was granted")
	}
}

// Who may come back with its key counts as a reader until then, and whose key is lost does not.
func TestAnEpochBeginsWithTheKeysThatMayComeBack(t *testing.T) {
	v := sealed(t, fleet(t), "readers", "fra", "iad", "sin")
	fra, _, err := OnRecord(v, "fra")
	if err != nil {
		t.Fatal(err)
	}
	fra.Status.RecipientSignature, fra.Status.RecipientSince = []byte("signed"), &noon
	v = state(t, v, put(t, v1alpha1.KeyClusters+"fra", fra))
	for name, tt := range map[string]struct {
		change func(*Succession)
		want   map[string]string
		keyed  string
		signed bool
	}{
		"of a survivor, and of one that is lost":   {func(s *Succession) { s.Recipient, s.Lost = "of fra", []string{"iad"} }, map[string]string{"fra": "of fra", "iad": "", "sin": "of sin"}, "sin", true},
		"of all that may be left":                  {func(s *Succession) { s.Recipient = "of fra" }, map[string]string{"fra": "of fra", "iad": "of iad", "sin": "of sin"}, "iad sin", true},
		"and the first one has another key":        {func(s *Succession) { s.Recipient = "another" }, map[string]string{"fra": "another", "iad": "of iad", "sin": "of sin"}, "iad sin", false},
		"or none yet":                              {func(*Succession) {}, map[string]string{"fra": "", "iad": "of iad", "sin": "of sin"}, "iad sin", false},
		"and the first one is another incarnation": {func(s *Succession) { s.Recipient, s.Heir.ID, s.Heir.Pin = "of fra", "fresh", store.Pin{9} }, map[string]string{"fra": "of fra", "iad": "of iad", "sin": "of sin"}, "iad sin", false},
		"of nobody, under another name":            {func(s *Succession) { s.Renamed = true }, map[string]string{"fra": "", "iad": "", "sin": ""}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := Succession{Heir: memberOf("fra"), Version: "v2", Reason: v1alpha1.ReasonRecovered, Meta: metav1.ObjectMeta{UID: "new", CreationTimestamp: noon}}
			tt.change(&s)
			ops, err := s.Ops(v)
			if err != nil {
				t.Fatal(err)
			}
			after := state(t, v, ops...)
			for cluster, want := range tt.want {
				c, _, err := OnRecord(after, cluster)
				if err != nil || c.Status.Recipient != want {
					t.Errorf("%s has recipient %q, not %q: %v", cluster, c.Status.Recipient, want, err)
				}
				if signed := len(c.Status.RecipientSignature) > 0 && c.Status.RecipientSince != nil; signed != (tt.signed && cluster == "fra") {
					t.Errorf("%s has signed it: %v", cluster, signed)
				}
			}
			if b := Begun(after, Beginning{Cluster: "fra"}); strings.Join(b.Keyed, " ") != tt.keyed {
				t.Errorf("these are said to have a key: %v", b.Keyed)
			}
		})
	}
}

func TestAnEpochSaysWhoMayAndWhoReads(t *testing.T) {
	v := sealed(t, fleet(t), "readers", "fra", "")
	v = state(t, v, put(t, v1alpha1.KeyUsers+"bob", &v1alpha1.User{ObjectMeta: metav1.ObjectMeta{Name: "bob"}, Spec: v1alpha1.UserSpec{Role: v1alpha1.RoleViewer}}),
		put(t, v1alpha1.KeyUsers+"anna", &v1alpha1.User{ObjectMeta: metav1.ObjectMeta{Name: "anna"}, Spec: v1alpha1.UserSpec{Role: v1alpha1.RoleAdmin}}),
		put(t, v1alpha1.KeyFleets+"acme", &v1alpha1.Fleet{Spec: v1alpha1.FleetSpec{RecoveryRecipients: []string{"one"}}}))
	b := Begun(succeed(t, v, "fra"), Beginning{Cluster: "fra"})
	if got := strings.Join(b.Users, ", "); got != "anna (Admin), bob (Viewer)" {
		t.Errorf("users %s", got)
	}
	if got := strings.Join(b.Recovery, ", "); got != v1alpha1.KeyID("one")+" of the fleet, "+v1alpha1.KeyID("of ")+" of group readers" {
		t.Errorf("recovery recipients %s", got)
	}
}

func TestAnEpochKeepsWhatOnlyALaterVersionKnows(t *testing.T) {
	later := func(key string, value any) store.Op {
		op := put(t, key, value)
		op.Value = append([]byte(`{"later":[1],`), op.Value[1:]...)
		return op
	}
	settings := &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: metav1.ObjectMeta{Name: "acme"}}
	v := state(t, fleet(t), later(v1alpha1.KeyClusters+"fra", clusterOf("fra")), later(v1alpha1.KeyClusters+"iad", clusterOf("iad")), later(v1alpha1.KeyFleets+"acme", settings))
	renamed, err := Renamed(v, "next")
	if err != nil {
		t.Fatal(err)
	}
	after := state(t, succeed(t, v, "fra"), renamed...)
	for _, key := range []string{v1alpha1.KeyClusters + "fra", v1alpha1.KeyClusters + "iad", v1alpha1.KeyFleets + "next"} {
		kv, ok := after.Get(key)
		if !ok || !bytes.Contains(kv.Value, []byte(`"later":[1]`)) {
			t.Errorf("%s is %s", key, kv.Value)
		}
	}
	var f v1alpha1.Fleet
	kv, _ := after.Get(v1alpha1.KeyFleets + "next")
	if err := json.Unmarshal(kv.Value, &f); err != nil || f.Name != "next" {
		t.Errorf("the fleet is %+v: %v", f, err)
	}
}

// People annotate objects with what they like.
func TestAnEpochBeginsWithALargeClusterAndALargeFleet(t *testing.T) {
	heavy := func(o metav1.Object) {
		o.SetAnnotations(map[string]string{"notes": strings.Repeat("x", 2*store.MaxInline)})
	}
	fra, iad := clusterOf("fra"), clusterOf("iad")
	settings := &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: metav1.ObjectMeta{Name: "acme"}}
	for _, o := range []metav1.Object{fra, iad, settings} {
		heavy(o)
	}
	v := state(t, fleet(t), put(t, v1alpha1.KeyClusters+"fra", fra), put(t, v1alpha1.KeyClusters+"iad", iad), put(t, v1alpha1.KeyFleets+"acme", settings))
	renamed, err := Renamed(v, "next")
	if err != nil {
		t.Fatal(err)
	}
	after := state(t, succeed(t, v, "fra"), renamed...)
	for _, name := range []string{"fra", "iad"} {
		if c, _, err := OnRecord(after, name); err != nil || len(c.Annotations["notes"]) != 2*store.MaxInline {
			t.Errorf("%s: %v", name, err)
		}
	}
}
