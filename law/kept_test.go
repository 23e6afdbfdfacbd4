package law

import (
	"fmt"
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
