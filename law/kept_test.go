package law

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// twice judges with what was kept of earlier transactions, and without: all tests of the law are tests of that.
type twice struct {
	Authority
	keeps Authority
	t     testing.TB
}

func (l twice) Authorize(v *store.View, who store.Asker, txn store.Txn) error {
	anew, kept := l.Authority.Authorize(v, who, txn), l.keeps.Authorize(v, who, txn)
	if fmt.Sprint(anew) != fmt.Sprint(kept) {
		l.t.Errorf("who keeps what was read judges %v, who reads it anew %v", kept, anew)
	}
	return anew
}

func TestAClusterThatIsGoneIsNotKept(t *testing.T) {
	r, k := keyed(t), &Kept{}
	keeps := func(want int) {
		t.Helper()
		if all, sound := k.candidates(r.store.View()); !sound || len(all) != want || len(k.clusters) != want {
			t.Errorf("%d of %d clusters are kept, and sound is %v", len(k.clusters), len(all), sound)
		}
	}
	keeps(3)
	if err := r.try("id-fra", "anna", 0, r.whole(store.Delete(v1alpha1.KeyClusters+"sin"))...); err != nil {
		t.Fatal(err)
	}
	keeps(2)
}

// Nothing is kept of a group that is not there, however many are asked for by a member of whatever rights, nor of one that is gone.
func TestGroupsThatAreNotThereAreNotKept(t *testing.T) {
	r, k := keyed(t), &Kept{}
	l := Authority{Address: func(string) error { return nil }, Kept: k}
	asks := func(group string) {
		t.Helper()
		op := r.put(v1alpha1.KeySealings+"any", v1alpha1.Sealing{Group: group, Epoch: 1, By: "sin"})
		_ = l.Authorize(r.store.View(), store.Asker{Member: "id-sin"}, store.Txn{Then: []store.Op{op}})
	}
	keeps := func(names ...string) {
		t.Helper()
		if got := slices.Sorted(maps.Keys(k.groups)); !slices.Equal(got, names) {
			t.Errorf("kept: %v, want %v", got, names)
		}
	}
	asks("readers")
	keeps("readers")
	for i := range 20 {
		asks(fmt.Sprint("none", i))
		asks(strings.Repeat("x", 64+i)) // no name of an object
		asks("readers/../" + fmt.Sprint(i))
	}
	keeps("readers")
	r.says(store.Delete(v1alpha1.KeyRecipientGroups+"readers"), r.put(v1alpha1.KeyRecipientGroups+"others", v1alpha1.RecipientGroup{}))
	asks("readers")
	asks("others")
	keeps("others")
}
