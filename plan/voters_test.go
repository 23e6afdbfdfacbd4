package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/plan"
)

func TestVoters(t *testing.T) {
	stable := func(id, region string) plan.Candidate { return plan.Candidate{ID: id, Region: region, Stable: true} }
	voter := func(id, region string) plan.Candidate {
		return plan.Candidate{ID: id, Region: region, Stable: true, Voter: true}
	}
	gone := func(id, region string) plan.Candidate { return plan.Candidate{ID: id, Region: region, Voter: true} }
	joining := func(id, region string) plan.Candidate { return plan.Candidate{ID: id, Region: region} }
	for name, c := range map[string]struct {
		candidates []plan.Candidate
		target     int
		want       []string
	}{
		"the founder votes alone":                           {[]plan.Candidate{voter("a", "eu")}, 3, []string{"a"}},
		"two do not vote: one more to lose, nothing gained": {[]plan.Candidate{voter("a", "eu"), stable("b", "us")}, 3, []string{"a"}},
		"three stable members vote":                         {[]plan.Candidate{voter("a", "eu"), stable("b", "us"), stable("c", "ap")}, 3, []string{"a", "b", "c"}},
		"a member that is still joining does not vote":      {[]plan.Candidate{voter("a", "eu"), stable("b", "us"), joining("c", "ap")}, 3, []string{"a"}},
		"regions come before members":                       {[]plan.Candidate{voter("a", "eu"), stable("b", "eu"), stable("c", "eu"), stable("d", "us"), stable("e", "ap")}, 3, []string{"a", "d", "e"}},
		"five over three regions are two, two, one":         {[]plan.Candidate{voter("a", "eu"), stable("b", "eu"), stable("c", "eu"), stable("d", "us"), stable("e", "us"), stable("f", "ap")}, 5, []string{"a", "b", "d", "e", "f"}},
		"the target bounds them":                            {[]plan.Candidate{voter("a", "eu"), voter("b", "us"), voter("c", "ap"), stable("d", "sa"), stable("e", "af")}, 3, []string{"a", "b", "c"}},
		"a voter that is gone for a while keeps its place":  {[]plan.Candidate{voter("a", "eu"), voter("b", "us"), gone("c", "ap")}, 3, []string{"a", "b", "c"}},
		"a stable member of its region takes its place":     {[]plan.Candidate{voter("a", "eu"), voter("b", "us"), gone("c", "ap"), stable("d", "ap")}, 3, []string{"a", "b", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, plan.Voters(c.candidates, c.target)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVotersAreOddKnownAndSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "members")
		var all []plan.Candidate
		regions := map[string]int{}
		for i := range n {
			c := plan.Candidate{
				ID:     fmt.Sprintf("m%02d", i),
				Region: fmt.Sprint("r", rapid.IntRange(0, 3).Draw(t, "region")),
				Stable: true, Voter: rapid.Bool().Draw(t, "voter"),
			}
			regions[c.Region]++
			all = append(all, c)
		}
		target := rapid.SampledFrom([]int{1, 3, 5, 7}).Draw(t, "target")
		got := plan.Voters(all, target)
		if len(got)%2 == 0 || len(got) > max(target, 1) {
			t.Fatalf("%d voters for a target of %d", len(got), target)
		}
		taken := map[string]int{}
		for _, id := range got {
			i := slices.IndexFunc(all, func(c plan.Candidate) bool { return c.ID == id })
			taken[all[i].Region]++
		}
		for r := range regions {
			for q := range regions {
				if taken[r] > taken[q]+1 && taken[q] < regions[q] {
					t.Fatalf("region %s has %d voters and %s only %d of %d", r, taken[r], q, taken[q], regions[q])
				}
			}
		}
		// Deciding again from the result changes nothing: no member is swapped for an equal one.
		for i := range all {
			all[i].Voter = slices.Contains(got, all[i].ID)
		}
		if again := plan.Voters(all, target); !slices.Equal(got, again) {
			t.Fatalf("%v, then %v", got, again)
		}
	})
}

func TestCanLose(t *testing.T) {
	three := map[string]string{"a": "eu", "b": "us", "c": "ap"}
	for name, c := range map[string]struct {
		region map[string]string
		alive  []string
		want   []string
	}{
		"three regions, all alive: any one":        {three, []string{"a", "b", "c"}, []string{"ap", "eu", "us"}},
		"three regions, one gone: only that one":   {three, []string{"a", "b"}, []string{"ap"}},
		"one voter: its region is the fleet":       {map[string]string{"a": "eu"}, []string{"a"}, nil},
		"two regions: the one with fewer voters":   {map[string]string{"a": "eu", "b": "eu", "c": "us"}, []string{"a", "b", "c"}, []string{"us"}},
		"five as 2-2-1: any one":                   {map[string]string{"a": "eu", "b": "eu", "c": "us", "d": "us", "e": "ap"}, []string{"a", "b", "c", "d", "e"}, []string{"ap", "eu", "us"}},
		"five as 2-2-1, one of two gone elsewhere": {map[string]string{"a": "eu", "b": "eu", "c": "us", "d": "us", "e": "ap"}, []string{"a", "c", "d", "e"}, []string{"ap", "eu"}},
	} {
		t.Run(name, func(t *testing.T) {
			alive := map[string]bool{}
			for _, id := range c.alive {
				alive[id] = true
			}
			if diff := cmp.Diff(c.want, plan.CanLose(c.region, alive)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
