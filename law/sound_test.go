package law

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// One value that cannot be read would end every list and every watch of its kind, on every member.
func TestWhatCannotBeReadAsItsKindIsRefused(t *testing.T) {
	user := &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named("eve"), Spec: v1alpha1.UserSpec{Role: v1alpha1.RoleViewer}}
	fleet := &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: named("f")}
	for name, tt := range map[string]struct {
		key        string
		of         any
		this, that string // what of the JSON is written otherwise
		want       string // in the error; empty: it is written
	}{
		"as it is":                       {v1alpha1.KeyUsers + "eve", user, "", "", ""},
		"a field of a later version":     {v1alpha1.KeyUsers + "eve", user, `"spec":{`, `"spec":{"later":[1],`, ""},
		"a text in place of an object":   {v1alpha1.KeyUsers + "eve", user, `"spec":{`, `"spec":"x","status":{`, "cannot be read"},
		"no JSON":                        {v1alpha1.KeyUsers + "eve", user, `{"kind"`, `{`, "cannot be read"},
		"a time that is none":            {v1alpha1.KeyUsers + "eve", user, `"uid"`, `"creationTimestamp":"x","uid"`, "cannot be read"},
		"a key twice":                    {v1alpha1.KeyUsers + "eve", user, `"role"`, `"role":"Admin","role"`, "twice"},
		"a key of another case":          {v1alpha1.KeyUsers + "eve", user, `"role"`, `"Role":"Admin","x"`, "case"},
		"another kind":                   {v1alpha1.KeyUsers + "eve", fleet, "", "", "no User"},
		"another name":                   {v1alpha1.KeyUsers + "mallory", user, "", "", "another name"},
		"the fleet as it is":             {v1alpha1.KeyFleets + "f", fleet, "", "", ""},
		"the fleet with a bad time span": {v1alpha1.KeyFleets + "f", fleet, `"spec":{`, `"spec":{"history":{"for":"x"},`, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealm(t)
			op := r.put(tt.key, tt.of)
			if tt.this != "" {
				if !bytes.Contains(op.Value, []byte(tt.this)) {
					t.Fatalf("no %s in %s", tt.this, op.Value)
				}
				op.Value = bytes.Replace(op.Value, []byte(tt.this), []byte(tt.that), 1)
			}
			err := r.tryBare("id-fra", "anna", 0, r.wholeBy(anna, op)...)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; %s", err, op.Value)
			}
		})
	}
	t.Run("a cluster by an admin", func(t *testing.T) {
		r := newRealm(t)
		op := r.cluster("sin", func(c *v1alpha1.Cluster) { c.Labels = map[string]string{"tier": "prod"} })
		op.Value = bytes.Replace(op.Value, []byte(`"spec":{`), []byte(`"spec":{"taints":"x",`), 1)
		if err := r.try("id-fra", "anna", 0, op); err == nil {
			t.Error(err)
		}
	})
}

func TestNoTwoUsersHaveOnePin(t *testing.T) {
	user := func(r *realm, name, pin string) store.Op {
		return r.put(v1alpha1.KeyUsers+name, &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named(name), Spec: v1alpha1.UserSpec{Role: v1alpha1.RoleViewer, Pin: pin}})
	}
	for name, tt := range map[string]struct {
		ops  func(*realm) []store.Op
		want string
	}{
		"another's":             {func(r *realm) []store.Op { return []store.Op{user(r, "eve", "aa")} }, "the pin of user adam, and each needs a key of their own"},
		"by an update":          {func(r *realm) []store.Op { return []store.Op{user(r, "vera", "aa")} }, "the pin of user adam, and each needs a key of their own"},
		"their own":             {func(r *realm) []store.Op { return []store.Op{user(r, "eve", "bb")} }, ""},
		"the one that they had": {func(r *realm) []store.Op { return []store.Op{user(r, "adam", "aa")} }, ""},
		"that of one who goes": {func(r *realm) []store.Op {
			return []store.Op{store.Delete(v1alpha1.KeyUsers + "adam"), user(r, "eve", "aa")}
		}, ""},
		"two at once": {func(r *realm) []store.Op { return []store.Op{user(r, "eve", "cc"), user(r, "ida", "cc")} }, "written with it"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealm(t)
			if err := r.tryBare("id-fra", "anna", 0, r.wholeBy(anna, user(r, "adam", "aa"))...); err != nil {
				t.Fatal(err)
			}
			var ops []store.Op
			for _, op := range tt.ops(r) {
				ops = append(ops, r.wholeBy(anna, op)...)
			}
			err := r.tryBare("id-fra", "anna", 0, ops...)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Error(err)
			}
		})
	}
}

func TestAPinIsFoundHoweverItIsWritten(t *testing.T) {
	for _, user := range []string{`{"spec":{"pin":"abcd"}}`, `{"spec":{"pin":"\u0061bcd"}}`, `{"spec":{"pin":"ab\u0063d"}}`} {
		if got := (Authority{}).Term(v1alpha1.KeyUsers+"anna", func() []byte { return []byte(user) }); got != "abcd" {
			t.Errorf("%s: %q", user, got)
		}
	}
}
