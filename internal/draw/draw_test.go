package draw

import (
	"fmt"
	"testing"
)

func TestMembersWhoseNamesDifferInTheLastLetterChooseDifferently(t *testing.T) {
	chosen := map[string]int{}
	for m := range 300 {
		self, best := fmt.Sprintf("follower-%03d", m), ""
		for o := range 5 {
			if other := fmt.Sprintf("voter-%d", o); best == "" || Number(self, other) < Number(self, best) {
				best = other
			}
		}
		chosen[best]++
	}
	for o := range 5 {
		if n := chosen[fmt.Sprintf("voter-%d", o)]; n < 30 || n > 90 {
			t.Errorf("voter-%d is chosen by %d of 300", o, n)
		}
	}
}
