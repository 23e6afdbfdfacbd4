package consensus

import (
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// TestAStampLeavesTheCommandsAlone because an attempt that is in doubt may still have them on their way to the log.
func TestAStampLeavesTheCommandsAlone(t *testing.T) {
	mine := []store.Command{{Person: "ada"}, {Person: "ada"}}
	other := stamped(mine, "m1", time.Unix(0, 7))
	for i := range mine {
		if mine[i].Proposer != "" || mine[i].Time != 0 {
			t.Errorf("command %d is by %q at %d now", i, mine[i].Proposer, mine[i].Time)
		}
		if other[i].Proposer != "m1" || other[i].Time != 7 || other[i].Person != "ada" {
			t.Errorf("command %d is stamped %+v", i, other[i])
		}
	}
}
