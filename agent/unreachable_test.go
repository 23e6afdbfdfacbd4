package agent

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestWhatIsRefusedKeepsNoOtherBack(t *testing.T) {
	for name, tt := range map[string]struct {
		refused []int
		as      error
		written []int
		tries   int
	}{
		"nothing":      {nil, nil, []int{0, 1, 2, 3, 4, 5, 6}, 1},
		"one":          {[]int{3}, &store.Invalid{Reason: "too large"}, []int{0, 1, 2, 4, 5, 6}, 7},
		"two":          {[]int{0, 6}, fmt.Errorf("of a cluster: %w", &store.Forbidden{}), []int{1, 2, 3, 4, 5}, 9},
		"no quorum":    {[]int{3}, store.ErrNoQuorum, nil, 1},
		"a stale term": {[]int{3}, store.ErrStaleTerm, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var written []int
			tries := 0
			some, err := apart(0, 7, func(from, to int) error {
				tries++
				for _, bad := range tt.refused {
					if from <= bad && bad < to {
						return tt.as
					}
				}
				for i := from; i < to; i++ {
					written = append(written, i)
				}
				return nil
			})
			if diff := cmp.Diff(tt.written, written); diff != "" || some != (len(written) > 0) || tries != tt.tries || !errors.Is(err, tt.as) {
				t.Errorf("after %d tries, %v, %v: %s", tries, some, err, diff)
			}
		})
	}
}
