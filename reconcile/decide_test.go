package reconcile

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func isB(label string) bool { return label == "b" }

func TestJudge(t *testing.T) {
	last := &applied{uid: "1", version: "10", fields: "f"}
	fine := sighting{uid: "1", version: "12", bundle: "a", fields: "f"}
	with := func(change func(*sighting)) *sighting {
		s := fine
		change(&s)
		return &s
	}
	for name, c := range map[string]struct {
		last *applied
		seen *sighting
		want verdict
	}{
		"what was never applied is left":                           {nil, nil, leave},
		"what is gone is repaired":                                 {last, nil, repair},
		"what nobody touched is left":                              {last, &fine, leave},
		"what others added to is left":                             {last, with(func(s *sighting) { s.version, s.manager = "99", "x" }), leave},
		"what others changed is repaired":                          {last, with(func(s *sighting) { s.fields = "g" }), repair},
		"what nobody says that we own is repaired":                 {last, with(func(s *sighting) { s.fields = "" }), repair},
		"an event from before our apply is left":                   {last, with(func(s *sighting) { s.version, s.fields = "9", "g" }), leave},
		"versions are numbers, not text":                           {last, with(func(s *sighting) { s.version, s.fields = "100", "g" }), repair},
		"versions that cannot be compared count as newer":          {last, with(func(s *sighting) { s.version, s.fields = "x", "g" }), repair},
		"what is being deleted is left until it is gone":           {last, with(func(s *sighting) { s.fields, s.deleting = "g", true }), leave},
		"another object of the name is repaired":                   {last, with(func(s *sighting) { s.uid = "2" }), repair},
		"what another bundle took is contested":                    {last, with(func(s *sighting) { s.bundle, s.fields = "b", "g" }), contested},
		"a label of no bundle here is repaired":                    {last, with(func(s *sighting) { s.bundle, s.fields = "c", "g" }), repair},
		"what drifted and is left so is looked at when it changes": {&applied{uid: "1", version: "10", fields: "f", drifted: true}, &fine, repair},
		"and not when it does not":                                 {&applied{uid: "1", version: "12", fields: "f", drifted: true}, &fine, leave},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judge(c.last, c.seen, "a", isB); got != c.want {
				t.Errorf("verdict %d, want %d", got, c.want)
			}
		})
	}
}

func TestWhose(t *testing.T) {
	for name, c := range map[string]struct {
		live   *sighting
		listed *entry
		want   claim
	}{
		"what is not there is nobody's":                               {nil, &entry{uid: "1"}, absent},
		"the UID in the inventory is proof":                           {&sighting{uid: "1"}, &entry{uid: "1"}, ours},
		"also when the label was changed to no bundle's":              {&sighting{uid: "1", bundle: "gone"}, &entry{uid: "1"}, ours},
		"but not when another bundle has it":                          {&sighting{uid: "1", bundle: "b"}, &entry{uid: "1"}, foreign},
		"a stranger of the name is a stranger":                        {&sighting{uid: "2"}, &entry{uid: "1"}, foreign},
		"a stranger that was not listed too":                          {&sighting{uid: "2"}, nil, foreign},
		"what we applied and could not note is ours":                  {&sighting{uid: "1", bundle: "a", fields: "f"}, &entry{}, ours},
		"what we applied is ours though the inventory is lost":        {&sighting{uid: "1", bundle: "a", fields: "f"}, nil, ours},
		"what only has our label is a copy":                           {&sighting{uid: "1", bundle: "a"}, nil, foreign},
		"what only has fields of ours, and no label, is a stranger":   {&sighting{uid: "1", fields: "f"}, nil, foreign},
		"what was made again with our label, where ours was, is ours": {&sighting{uid: "2", bundle: "a"}, &entry{uid: "1"}, ours},
	} {
		t.Run(name, func(t *testing.T) {
			if got := whose(c.live, c.listed, "a", isB); got != c.want {
				t.Errorf("claim %d, want %d", got, c.want)
			}
		})
	}
}

func TestMayDelete(t *testing.T) {
	for name, c := range map[string]struct {
		live   sighting
		listed entry
		want   bool
	}{
		"the listed object":                           {sighting{uid: "1", bundle: "a", fields: "f"}, entry{uid: "1"}, true},
		"the listed object without its label":         {sighting{uid: "1"}, entry{uid: "1"}, true},
		"not another object of the name":              {sighting{uid: "2", bundle: "a", fields: "f"}, entry{uid: "1"}, false},
		"not what another bundle took":                {sighting{uid: "1", bundle: "b"}, entry{uid: "1"}, false},
		"without a UID, what bears all marks":         {sighting{uid: "1", bundle: "a", fields: "f"}, entry{}, true},
		"without a UID, not what only has the label":  {sighting{uid: "1", bundle: "a"}, entry{}, false},
		"without a UID, not what only has the fields": {sighting{uid: "1", fields: "f"}, entry{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mayDelete(c.live, c.listed, "a"); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestWhatTheClusterHasIsKnownByItsNameInOnePast(t *testing.T) {
	had := inventory{revision: "shop-7", epoch: 1, epochID: "first"}
	next := Epoch{Number: 2, ID: "second", Began: 100}
	for name, c := range map[string]struct {
		grant Grant
		want  bool
	}{
		"the revision":                   {Grant{Revision: "shop-7", StoreRevision: 9, Epoch: Epoch{Number: 1, ID: "first"}}, true},
		"another one":                    {Grant{Revision: "shop-8", StoreRevision: 9, Epoch: Epoch{Number: 1, ID: "first"}}, false},
		"a withdrawal":                   {Grant{StoreRevision: 9, Epoch: Epoch{Number: 1, ID: "first"}}, false},
		"granted before the epoch":       {Grant{Revision: "shop-7", StoreRevision: 9, Epoch: next}, true},
		"one of its name, granted in it": {Grant{Revision: "shop-7", StoreRevision: 101, Epoch: next}, false},
	} {
		if got := had.has(c.grant); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestOlder(t *testing.T) {
	const jump = 1 << 32
	acted := inventory{bundleUID: "u", storeRevision: 20, epoch: 1, epochID: "first"}
	in := func(number uint64, id string, at uint64) inventory {
		return inventory{bundleUID: "u", storeRevision: at, epoch: number, epochID: id}
	}
	founded := Epoch{Number: 1, ID: "first", Began: 1}
	restored := Epoch{Number: 2, ID: "second", Began: jump + 14} // from revision 14: what came then is lost
	for name, c := range map[string]struct {
		inv     inventory
		damaged bool
		uid     string
		at      uint64
		epoch   Epoch
		want    bool
	}{
		"a newer grant":                                  {acted, false, "u", 21, founded, false},
		"the same again":                                 {acted, false, "u", 20, founded, false},
		"an older one":                                   {acted, false, "u", 19, founded, true},
		"one of an unknown revision":                     {acted, false, "u", 0, restored, false},
		"of another bundle, in a new fleet":              {acted, false, "v", 5, Epoch{Number: 1, ID: "other", Began: 1}, false},
		"of another bundle, after a restore":             {acted, false, "v", 10, restored, true},
		"of another bundle, given after it":              {acted, false, "v", 14, restored, true},
		"of another bundle, decided after it":            {acted, false, "v", jump + 15, restored, false},
		"of the same bundle, after a restore":            {acted, false, "u", 10, restored, true},
		"what ran before the backup, after a restore":    {in(1, "first", 9), false, "u", 10, restored, false},
		"what was given anew after it, once more":        {in(2, "second", 14), false, "u", 14, restored, false},
		"what was decided before, over what was since":   {in(2, "second", jump+20), false, "u", 14, restored, true},
		"in a cluster of no inventory":                   {inventory{}, false, "u", 10, restored, false},
		"of a damaged inventory, in a new fleet":         {inventory{}, true, "u", 10, founded, false},
		"of a damaged inventory, after a restore":        {inventory{}, true, "u", 10, restored, true},
		"of a damaged inventory, decided after it":       {inventory{}, true, "u", jump + 15, restored, false},
		"decided before, over a second restore's":        {in(2, "twin", jump+100), false, "u", 10, restored, true},
		"decided since, over a second restore's":         {in(2, "twin", jump+100), false, "u", jump + 20, restored, false},
		"decided in an epoch that was left behind":       {in(3, "third", 2*jump+30), false, "u", jump + 20, restored, true},
		"decided in the next epoch, over the last one's": {in(2, "second", jump+100), false, "u", 2*jump + 120, Epoch{Number: 3, ID: "third", Began: 2*jump + 110}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.inv.isOlder(Grant{BundleUID: c.uid, StoreRevision: c.at, Epoch: c.epoch}, c.damaged); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestPace(t *testing.T) {
	var p pace
	now := time.Unix(1_000_000, 0)
	repairs := 0
	for end := now.Add(10 * time.Minute); now.Before(end); now = now.Add(10 * time.Millisecond) {
		if !p.next().After(now) {
			p.note(now)
			repairs++
		}
	}
	if repairs < paceFree || repairs > paceFree+20 {
		t.Errorf("%d repairs in ten minutes of fighting", repairs)
	}
	now = now.Add(paceMax + paceCalm)
	p.note(now)
	if p.next().After(now) {
		t.Error("an object that was left alone is still slow")
	}
}

func TestManagers(t *testing.T) {
	at := func(s int64) *metav1.Time { return &metav1.Time{Time: time.Unix(s, 0)} }
	mine := metav1.ManagedFieldsEntry{Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, Time: at(5), FieldsV1: metav1.NewFieldsV1(`{"f:a":{}}`)}
	ours, other := managers([]metav1.ManagedFieldsEntry{
		mine, {Manager: "older", Time: at(1)}, {Manager: "newer", Time: at(3)},
		{Manager: "controller", Subresource: "status", Time: at(9)}, {Manager: FieldManager, Operation: "Update", Time: at(9)},
	})
	if ours == "" || other != "newer" {
		t.Errorf("ours %q, other %q", ours, other)
	}
	less := mine
	less.FieldsV1 = metav1.NewFieldsV1(`{}`)
	if again, _ := managers([]metav1.ManagedFieldsEntry{less}); again == ours || again == "" {
		t.Error("lost fields are not seen")
	}
	if none, _ := managers(nil); none != "" {
		t.Error("fields of nobody are ours")
	}
}

func TestTracker(t *testing.T) {
	k := key{schema.GroupKind{Kind: "ConfigMap"}, "n", "c"}
	other := key{k.GroupKind, "n", "d"}
	tr := newTracker()
	if !tr.put(k, sighting{version: "5"}) || tr.put(k, sighting{version: "4"}) || tr.get(k).version != "5" {
		t.Error("an older sighting replaced a newer")
	}
	if tr.drop(k, "4") || tr.get(k) == nil {
		t.Error("an older end removed a newer object")
	}
	changed := tr.replace(k.GroupKind, map[key]sighting{other: {version: "3"}}, "4")
	if len(changed) != 1 || changed[0] != other || tr.get(k) == nil {
		t.Errorf("an older list removed a newer object: %v", changed)
	}
	changed = tr.replace(k.GroupKind, map[key]sighting{other: {version: "3"}}, "6")
	if len(changed) != 1 || changed[0] != k || tr.get(k) != nil {
		t.Errorf("a list without the object did not remove it: %v", changed)
	}
	if tr.note(k, sighting{version: "5"}); tr.get(k) != nil {
		t.Error("an answer from before the list brought back an object that was gone by then")
	}
	if tr.note(k, sighting{version: "7"}); tr.get(k) == nil {
		t.Error("what the watch has not told yet is not known")
	}
	tr.drop(k, "8")
	if tr.note(k, sighting{version: "7"}); tr.get(k) != nil {
		t.Error("an answer that came late brought back an object that was gone since")
	}
}

func TestWhatIsGrantedOnceMoreIsGoneOnWith(t *testing.T) {
	first := Grant{Bundle: "shop", BundleUID: "u", Revision: "shop-u-1", At: 5}
	b := &bundle{mail: newMailbox(), grant: first, offered: first, phase: tending}
	b.offer(first)
	if _, newer := b.mail.newer(); newer {
		t.Error("the same grant is offered, and taken for another")
	}
	second := first
	second.At = 9
	b.offer(second)
	g, newer := b.mail.newer()
	if !newer {
		t.Fatal("it is not told of the grant that was written anew")
	}
	if b.take(g); b.phase != tending || b.grant.At != 9 {
		t.Errorf("phase %d, of the grant at %d", b.phase, b.grant.At)
	}
}

// TestWhatIsLetGoOfStaysSo: by a kind that the cluster does not serve for a while nothing comes back to the bundle.
func TestWhatIsLetGoOfStaysSo(t *testing.T) {
	budget := schema.GroupKind{Group: "policy", Kind: "PodDisruptionBudget"}
	left, other := key{budget, "a", "web"}, key{budget, "b", "web"}
	for name, c := range map[string]struct {
		policy      v1alpha1.DeletionPolicy
		had, mapped bool
		wanted      key
		want        bool
	}{
		"by Orphan":                            {v1alpha1.DeletionOrphan, false, true, other, true},
		"by Prune it is not":                   {v1alpha1.DeletionPrune, false, true, other, false},
		"by a later Prune":                     {v1alpha1.DeletionPrune, true, true, other, true},
		"the bundle has it again":              {v1alpha1.DeletionPrune, true, true, left, false},
		"the bundle may have it, nobody knows": {v1alpha1.DeletionOrphan, false, false, other, false},
		"once let go of, and nobody knows":     {v1alpha1.DeletionPrune, true, false, other, true},
	} {
		o := &object{key: c.wanted, mapped: c.mapped}
		b := &bundle{objects: []*object{o}, wanted: map[key]*object{c.wanted: o}, grant: Grant{Deletion: c.policy}, inv: inventory{entries: map[key]entry{left: {uid: "1", orphaned: c.had}}}}
		b.letGo()
		if got := b.inv.entries[left].orphaned; got != c.want || b.unsaved != (c.want != c.had) {
			t.Errorf("%s: %t, to be saved: %t", name, got, b.unsaved)
		}
		goes := int32(1)
		if c.want {
			goes = 0
		}
		if got := b.goes(func(key) bool { return true }); got != goes {
			t.Errorf("%s: %d objects would be deleted", name, got)
		}
	}
}
