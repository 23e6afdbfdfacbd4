package law

import (
	"fmt"
	"testing"

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
