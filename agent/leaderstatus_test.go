package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestManyStatusesWaitForGrantsAndNotForEver(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		l := &leader{grantedAt: time.Now()}
		if l.putsOff(manyStatuses-1) || l.saysIn() > 0 {
			t.Error("a few wait")
		}
		if !l.putsOff(manyStatuses) || l.owedIn != grantsFirst || l.saysIn() != grantsFirst {
			t.Errorf("many are owed in %s", l.owedIn)
		}
		time.Sleep(grantsFirst)
		if l.saysIn() > 0 || l.putsOff(manyStatuses) {
			t.Error("they wait, and nothing is granted")
		}
		for range putOffMost / grantsFirst {
			l.grantedAt = time.Now()
			if !l.putsOff(manyStatuses) {
				t.Fatal("they do not wait while there are more grants")
			}
			time.Sleep(grantsFirst)
		}
		if l.grantedAt = time.Now(); l.putsOff(manyStatuses) {
			t.Error("they wait for ever")
		}
	})
}

func TestStatusesAreWrittenTogetherAsFarAsThereIsRoom(t *testing.T) {
	of := func(n, size int) (all []saying) {
		for range n {
			all = append(all, saying{op: store.Put("/k", []byte(strings.Repeat("s", size)))})
		}
		return all
	}
	for name, c := range map[string]struct {
		all  []saying
		want []int
	}{
		"none":                {nil, nil},
		"one":                 {of(1, 10), []int{1}},
		"as many as may be":   {of(statusesTogether, 10), []int{statusesTogether}},
		"one more":            {of(statusesTogether+1, 10), []int{statusesTogether, 1}},
		"large ones":          {of(3, bytesAtOnce/2), []int{1, 1, 1}},
		"a large one between": {append(append(of(2, 10), of(1, bytesAtOnce)...), of(2, 10)...), []int{2, 1, 2}},
	} {
		var got []int
		for _, part := range together(c.all) {
			got = append(got, len(part))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v instead of %v", name, got, c.want)
		}
	}
}
