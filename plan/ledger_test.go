package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// aVault has the group readers, of the clusters with tier=prod, at its third key. fra and iad hold it. cdg was removed with the first, mad is not
// picked since the second, and iad had another key of its own until then. sin reads nothing.
func aVault() *Vault {
	at := func(s int64) metav1.Time { return metav1.Time{Time: time.Unix(s, 0)} }
	v := &Vault{Revisions: map[string]*v1alpha1.SealedRevision{}, Sealings: map[string]*v1alpha1.Sealing{}, Granted: map[string]bool{}}
	for name, tier := range map[string]string{"fra": "prod", "iad": "prod", "mad": "test", "sin": "test"} {
		v.Clusters = append(v.Clusters, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}})
	}
	g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
	g.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}
	g.Status = v1alpha1.RecipientGroupStatus{Epoch: 3, Former: []v1alpha1.FormerKey{{Epoch: 1}, {Epoch: 2}}, Left: []v1alpha1.FormerReader{
		{Cluster: "cdg", Key: "c", Epoch: 1, Until: at(10)}, {Cluster: "mad", Key: v1alpha1.KeyID("of mad"), Epoch: 2, Until: at(20)}, {Cluster: "iad", Key: "old", Epoch: 2, Until: at(20)},
	}}
	for _, name := range []string{"fra", "iad"} {
		g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("of " + name), Epoch: 3})
	}
	v.Groups = []*v1alpha1.RecipientGroup{g}
	return v
}

// is makes db what it is at a generation, with a revision of it.
func (v *Vault) is(generation int64) *v1alpha1.Sealing { return v.in("readers", generation) }

func (v *Vault) in(group string, generation int64) *v1alpha1.Sealing {
	s := &v1alpha1.FleetSecret{ObjectMeta: metav1.ObjectMeta{Name: "db", UID: types.UID("u"), Generation: generation}}
	s.Spec.Group, s.Spec.Namespace = group, "shop"
	v.Secrets = []*v1alpha1.FleetSecret{s}
	r := &v1alpha1.SealedRevision{}
	r.Spec.Bundle, r.Spec.BundleUID, r.Spec.Generation = "secret.db", "u", generation
	r.Spec.Manifests = append(r.Spec.Manifests, struct {
		Spec struct {
			Group string `json:"group"`
		} `json:"spec"`
	}{})
	r.Spec.Manifests[0].Spec.Group = group
	name := v1alpha1.RevisionName("secret.db", "u", generation)
	v.Revisions[name], v.Sealings[name] = r, &v1alpha1.Sealing{Group: group, Epoch: 3}
	return v.Sealings[name]
}

// again makes db, which was for readers since a time and was deleted, for a group. What is told of it counts once somebody has.
func (v *Vault) again(group string, made int64) *v1alpha1.Sealing {
	v.is(1)
	was := v.Secrets[0].DeepCopy()
	was.UID, was.CreationTimestamp = "was", metav1.Time{Time: time.Unix(made, 0)}
	v.Deleted = append(v.Deleted, was)
	s := v.in(group, 1)
	delete(v.Sealings, "secret.db-u-1")
	return s
}

// told says what a holder found of a revision, and another one too.
func told(s *v1alpha1.Sealing, found int64, since ...int64) {
	s.Found, s.By, s.Witness = found, "fra", "iad"
	for _, epoch := range since {
		s.Since = append(s.Since, map[string]int64{"readers": epoch})
	}
}

func TestWhatClustersThatLeftCouldRead(t *testing.T) {
	const all = "its values are as it could read them"
	for name, c := range map[string]struct {
		vault func(v *Vault)
		who   string
		want  []string // cluster, how it left, state, generations, known of values, message
	}{
		"what was sealed when they could": {func(v *Vault) { told(v.is(1), 1, 1) }, "", []string{
			"cdg Removed Open [1] 1/1 " + all, "iad OtherKey Open [1] 1/1 " + all, "mad NotPicked Open [1] 1/1 " + all}},
		"what was sealed to a later key, who had that": {func(v *Vault) { told(v.is(1), 2, 2) }, "", []string{
			"iad OtherKey Open [1] 1/1 " + all, "mad NotPicked Open [1] 1/1 " + all}},
		"what was sealed afterwards, nobody": {func(v *Vault) { told(v.is(1), 3, 3) }, "", nil},
		"what is sealed anew as it was": {func(v *Vault) { told(v.is(1), 1, 1); told(v.is(2), 3, 1) }, "cdg", []string{
			"cdg Removed Open [1] 1/1 " + all}},
		"another value closes it": {func(v *Vault) { told(v.is(1), 1, 1); told(v.is(2), 3, 3) }, "", []string{
			"cdg Removed Changed [1] 0/1 other values are in use", "iad OtherKey Changed [1] 0/1 other values are in use", "mad NotPicked Changed [1] 0/1 other values are in use"}},
		"sealed to a key that two of them had, it does so for the third": {func(v *Vault) { told(v.is(1), 1, 1); told(v.is(2), 2, 2) }, "", []string{
			"iad OtherKey Open [1 2] 1/1 " + all, "mad NotPicked Open [1 2] 1/1 " + all, "cdg Removed Changed [1] 0/1 other values are in use"}},
		"sealed offline to a former key": {func(v *Vault) { told(v.is(1), 3, 3); told(v.is(2), 1, 1) }, "cdg", []string{
			"cdg Removed Open [2] 1/1 " + all}},
		"one of two values": {func(v *Vault) { told(v.is(1), 1, 1, 1); told(v.is(2), 3, 3, 1) }, "cdg", []string{
			"cdg Removed Open [1] 1/2 1 of 2 values are as it could read them"}},
		"also when no earlier revision is kept": {func(v *Vault) { told(v.is(9), 3, 1) }, "cdg", []string{
			"cdg Removed Open [] 1/1 " + all}},
		"as long as clusters keep the former one": {func(v *Vault) { told(v.is(1), 1, 1); told(v.is(2), 3, 3); v.Granted["secret.db-u-1"] = true }, "cdg", []string{
			"cdg Removed Open [1] 1/1 clusters still keep generation 1, which it could read"}},
		"as long as nobody has told": {func(v *Vault) { told(v.is(1), 1, 1); v.is(2); delete(v.Sealings, "secret.db-u-2") }, "cdg", []string{
			"cdg Removed Open [1 2] 1/0 no cluster of the group has told yet whether the value is another"}},
		"which is known of a group that has had one key only": {func(v *Vault) {
			v.is(1)
			delete(v.Sealings, "secret.db-u-1")
			v.Groups[0].Status.Epoch, v.Groups[0].Status.Former = 1, nil
		}, "cdg", []string{"cdg Removed Open [1] 1/0 " + all}},
		"or nobody confirmed it": {func(v *Vault) { told(v.is(1), 3, 3); v.Sealings["secret.db-u-1"].Witness = "" }, "cdg", []string{
			"cdg Removed Open [1] 1/0 another cluster of the group is to confirm whether the value is another"}},
		"that was for more groups than can be told": {func(v *Vault) { told(v.is(1), 1, 1); told(v.is(2), 3) }, "cdg", []string{
			"cdg Removed Open [1] 1/0 it was sealed for more than 16 groups, and since when each could read its values is not told of so many: seal other ones, under another name if it stays so"}},
		"what no key opens, of keys that are all kept": {func(v *Vault) { told(v.is(1), 1, 1); told(v.is(2), 0) }, "cdg", []string{
			"cdg Removed Open [1] 1/0 no key opens what is there now"}},
		"what no key opens any more": {func(v *Vault) { told(v.is(1), 0); v.Groups[0].Status.Former = v.Groups[0].Status.Former[1:] }, "cdg", []string{
			"cdg Removed Open [1] 1/0 no key opens what is there now"}},
		"of one that was deleted": {func(v *Vault) { told(v.is(1), 3, 3); v.Deleted, v.Secrets = v.Secrets, nil }, "cdg", []string{
			"cdg Removed Deleted [] 0/0 the fleet has it no more; if its value is in use elsewhere, change it there"}},
		"of one that came later and was: it may have been sealed to a former key": {func(v *Vault) {
			told(v.is(1), 3, 3)
			v.Deleted, v.Secrets = v.Secrets, nil
			v.Deleted[0].CreationTimestamp = metav1.Time{Time: time.Unix(11, 0)}
		}, "cdg", []string{"cdg Removed Deleted [] 0/0 made after it left and deleted since; it could read it if it was sealed to a former key: if its value is in use elsewhere, change it there"}},
		"not of one that was deleted of another group": {func(v *Vault) { told(v.in("others", 1), 3, 3); v.Deleted, v.Secrets = v.Secrets, nil }, "cdg", nil},
		"sealed for another group, and nobody has told": {func(v *Vault) { told(v.is(1), 1, 1); v.in("others", 2) }, "cdg", []string{
			"cdg Removed Open [1] 1/0 another cluster of the group is to confirm whether the value is another"}},
		"deleted, made again for another group, and nobody has told": {func(v *Vault) { v.again("others", 0) }, "cdg", []string{
			"cdg Removed Open [] 1/0 no cluster of the group has told yet whether the value is another"}},
		"nor is it when it has had one key only": {func(v *Vault) {
			v.again("others", 0)
			v.Groups = append(v.Groups, &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "others"}})
			v.Groups[1].Spec.ClusterSelector, v.Groups[1].Status.Epoch = &metav1.LabelSelector{}, 1
		}, "cdg", []string{"cdg Removed Open [] 1/0 no cluster of the group has told yet whether the value is another"}},
		"deleted, and made again for another group as it was": {func(v *Vault) {
			v.Sealings["secret.db-u-1"] = v.again("others", 0)
			told(v.Sealings["secret.db-u-1"], 1)
			v.Sealings["secret.db-u-1"].Since = []map[string]int64{{"others": 1, "readers": 1}}
		}, "cdg", []string{"cdg Removed Open [] 1/1 " + all}},
		"deleted, and made again for another group as another": {func(v *Vault) {
			v.Sealings["secret.db-u-1"] = v.again("others", 0)
			told(v.Sealings["secret.db-u-1"], 1)
			v.Sealings["secret.db-u-1"].Since = []map[string]int64{{"others": 1}}
		}, "cdg", nil},
		"made after it left, deleted, and made again for another group": {func(v *Vault) { v.again("others", 11) }, "cdg", []string{
			"cdg Removed Open [] 1/0 no cluster of the group has told yet whether the value is another"}},
		"which closes once somebody has": {func(v *Vault) {
			v.Sealings["secret.db-u-1"] = v.again("others", 11)
			told(v.Sealings["secret.db-u-1"], 1)
			v.Sealings["secret.db-u-1"].Since = []map[string]int64{{"others": 1, "readers": 3}}
		}, "cdg", nil},
		"for another group as it was": {func(v *Vault) {
			told(v.is(1), 1, 1)
			told(v.in("others", 2), 1)
			v.Sealings["secret.db-u-2"].Since = []map[string]int64{{"others": 1, "readers": 1}}
		}, "cdg", []string{"cdg Removed Open [1] 1/1 " + all}},
		"another value for another group": {func(v *Vault) {
			told(v.is(1), 1, 1)
			told(v.in("others", 2), 1)
			v.Sealings["secret.db-u-2"].Since = []map[string]int64{{"others": 1}}
		}, "cdg", []string{"cdg Removed Changed [1] 0/1 other values are in use"}},
		"for another group from the first":        {func(v *Vault) { v.in("others", 1) }, "cdg", nil},
		"if one that may read it were stolen":     {func(v *Vault) { told(v.is(1), 3, 3) }, "fra", []string{"fra Reads Reads [1] 1/1 it may read it"}},
		"if one that has another key were stolen": {func(v *Vault) { told(v.is(1), 1, 1) }, "iad", []string{"iad OtherKey Open [1] 1/1 " + all, "iad Reads Reads [1] 1/1 it may read it"}},
		"of one that reads nothing":               {func(v *Vault) { told(v.is(1), 1, 1) }, "sin", nil},
		"before the next key is made": {func(v *Vault) {
			told(v.is(1), 3, 3)
			v.Clusters = slices.DeleteFunc(v.Clusters, func(c *v1alpha1.Cluster) bool { return c.Name == "fra" })
		}, "", []string{"fra Removed Open [1] 1/1 " + all}},
		"one that came back reads it": {func(v *Vault) {
			told(v.is(1), 2, 2)
			v.Groups[0].Spec.ClusterSelector = &metav1.LabelSelector{}
		}, "mad", []string{"mad Reads Reads [1] 1/1 it may read it"}},
		"one of those without a name": {func(v *Vault) {
			told(v.is(1), 1, 1)
			v.Groups[0].Status.Left = []v1alpha1.FormerReader{{Epoch: 1}}
		}, "bom", []string{" Earlier Open [1] 1/1 " + all}},
		"a recovery recipient": {func(v *Vault) {
			told(v.is(1), 1, 1)
			v.Groups[0].Status.Left = []v1alpha1.FormerReader{{Key: "r", Epoch: 1}}
		}, "", []string{" TakenOut Open [1] 1/1 " + all}},
	} {
		t.Run(name, func(t *testing.T) {
			v := aVault()
			c.vault(v)
			l := NewLedger(*v)
			var got []string
			open := 0
			e := l.Exposed(c.who)
			for _, x := range e.Items {
				got = append(got, fmt.Sprintf("%s %s %s %v %d/%d %s", x.Cluster, x.Why, x.State, x.Generations, x.Known, x.Values, x.Message))
				if x.State == v1alpha1.ExposureOpen {
					open++
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || e.Open != open {
				t.Errorf("%d are said to be open of\n%s", e.Open, diff)
			}
			if s := l.OpenExposures(); c.who == "" && (s == nil) != (open == 0) || s != nil && c.who == "" && s.Lines != open {
				t.Errorf("the status counts %v", s)
			}
		})
	}
}

func TestWhoCanReadASecretAndWhoCould(t *testing.T) {
	v := aVault()
	told(v.is(1), 1, 1)
	told(v.is(2), 2, 2)
	told(v.is(3), 3, 3)
	v.Granted["secret.db-u-2"] = true
	l := NewLedger(*v)
	var got []string
	for _, r := range l.Readers("db").Revisions {
		line := fmt.Sprintf("%d of key %d, present %v, granted %v:", r.Generation, r.Epoch, r.Present, r.Granted)
		for _, reader := range r.Readers {
			line += " " + reader.Cluster
			if reader.Lost() {
				line += fmt.Sprint(" until ", reader.Until.Unix())
			}
		}
		got = append(got, line)
	}
	want := []string{
		"3 of key 3, present true, granted false: fra iad",
		"2 of key 2, present false, granted true: fra iad iad until 20 mad until 20",
		"1 of key 1, present false, granted false: fra iad cdg until 10 iad until 20 mad until 20",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if l.Readers("other") != nil {
		t.Error("there is another secret")
	}
	for cluster, want := range map[string]bool{"fra": true, "sin": true, "cdg": true, "bom": false} {
		if l.Knows(cluster) != want {
			t.Errorf("%s is known: %v", cluster, !want)
		}
	}
}
