package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/plan"
)

// members reads "a/eu:vs b/us:s": id, region, and v voter, l leader, y standby, s stable, r reachable, d dead, b back.
func members(text string) []plan.Candidate {
	var all []plan.Candidate
	for _, word := range strings.Fields(text) {
		id, rest, _ := strings.Cut(word, "/")
		region, flags, _ := strings.Cut(rest, ":")
		has := func(flag string) bool { return strings.Contains(flags, flag) }
		all = append(all, plan.Candidate{
			ID: id, Region: region, Leader: has("l"), Voter: has("v") || has("l"), Standby: has("y"),
			Stable: has("s"), Reachable: has("s") || has("r"), Dead: has("d"), Back: has("b"),
		})
	}
	return all
}

func TestChoose(t *testing.T) {
	for name, c := range map[string]struct {
		members         string
		target          int
		voters, standby string
	}{
		"the founder votes alone":                                    {"a/eu:ls", 3, "a", ""},
		"two do not vote: one more to lose, nothing gained":          {"a/eu:ls b/us:s", 3, "a", "b"},
		"three stable members vote":                                  {"a/eu:ls b/us:s c/ap:s", 3, "a b c", ""},
		"a member that is still joining stands by":                   {"a/eu:ls b/us:s c/ap:r", 3, "a", "b c"},
		"regions come before members":                                {"a/eu:ls b/eu:s c/eu:s d/us:s e/ap:s", 3, "a d e", "b c"},
		"standbys of one region where there is no other":             {"a/eu:ls b/eu:r c/eu:r d/eu:r", 3, "a", "b c"},
		"five over three regions are two, two, one":                  {"a/eu:ls b/eu:s c/eu:s d/us:s e/us:s f/ap:s", 5, "a b d e f", "c"},
		"seven over three regions are three, two, two":               {"a/eu:ls b/eu:s c/eu:s d/us:s e/us:s f/ap:s g/ap:s h/us:s", 7, "a b c d e f g", "h"},
		"five over two regions are as even as odd allows":            {"a/eu:ls b/eu:s c/eu:s d/us:s e/us:s f/us:s", 5, "a b c d e", "f"},
		"three, where five would give one region the majority":       {"a/eu:ls b/eu:s c/eu:s d/us:s e/ap:s", 5, "a d e", "b c"},
		"the target bounds them":                                     {"a/eu:ls b/us:vs c/ap:vs d/sa:s e/af:s", 3, "a b c", "d e"},
		"a voter that is silent for a while keeps its place":         {"a/eu:ls b/us:vs c/ap:v d/ap:s", 3, "a b c", "d"},
		"a dead voter is replaced by a stable member of its region":  {"a/eu:ls b/us:vs c/ap:vd d/ap:s", 3, "a b d", ""},
		"a dead region's voter is replaced elsewhere":                {"a/eu:ls b/us:vs c/ap:vd d/ap:d e/us:sy", 3, "a b e", ""},
		"a dead voter that nobody can replace keeps its place":       {"a/eu:ls b/us:vs c/ap:vd d/us:r", 3, "a b c", "d"},
		"two dead of five whom nobody can replace: three are left":   {"a/eu:vd b/eu:vd c/us:ls d/us:vs e/ap:vs", 5, "c d e", ""},
		"one dead of five with nobody to replace it: three are left": {"a/eu:vs b/eu:vd c/us:ls d/us:vs e/ap:vs", 5, "a c e", "d"},
		"a leader that is unsure of the others gives up nobody":      {"a/us:ls b/us:v c/eu:v d/ap:v e/sa:vd", 5, "a b c d e", ""},
		"nor does it obey a smaller target yet":                      {"a/us:ls b/us:v c/eu:v", 1, "a b c", ""},
		"a region that is back waits, if there are enough":           {"a/eu:sb b/us:ls c/us:vs d/ap:vs", 3, "b c d", "a"},
		"a region that is back is balanced again after a while":      {"a/eu:s b/us:ls c/us:vs d/ap:vs", 3, "a b d", "c"},
		"who is back votes at once when there are too few":           {"a/eu:sb b/us:ls c/ap:vs", 3, "a b c", ""},
		"standbys are where the fewest vote":                         {"a/eu:ls b/us:vs c/ap:vs d/eu:s e/sa:s f/us:s", 3, "a b c", "d e"},
		"standbys stay":                                              {"a/eu:ls b/us:vs c/ap:vs d/eu:s e/eu:sy f/us:sy", 3, "a b c", "e f"},
		"the dead do not stand by":                                   {"a/eu:ls b/us:vs c/ap:vs d/eu:rd e/ap:r", 3, "a b c", "e"},
		"a smaller target is obeyed":                                 {"a/eu:vs b/us:ls c/ap:vs", 1, "b", "a c"},
		"the leader is kept where another of its region must go":     {"a/eu:vs b/eu:ls c/eu:vs d/us:s e/ap:s", 3, "b d e", "a c"},
	} {
		t.Run(name, func(t *testing.T) {
			want := plan.Choice{Voters: append([]string{}, strings.Fields(c.voters)...), Standbys: append([]string{}, strings.Fields(c.standby)...)}
			if diff := cmp.Diff(want, plan.Choose(members(c.members), c.target)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// candidates draws members in up to five regions; some of them vote, the leader alive and among them.
func candidates(t *rapid.T) []plan.Candidate {
	var all []plan.Candidate
	for i := range rapid.IntRange(1, 14).Draw(t, "members") {
		c := plan.Candidate{ID: fmt.Sprintf("m%02d", i), Region: fmt.Sprint("r", rapid.IntRange(0, 4).Draw(t, "region"))}
		switch {
		case i == 0:
			c.Leader, c.Voter, c.Stable, c.Reachable = true, true, true, true
		default:
			c.Voter = rapid.Bool().Draw(t, "votes")
			c.Standby = !c.Voter && rapid.Bool().Draw(t, "stands by")
			c.Dead = rapid.IntRange(0, 3).Draw(t, "dead") == 0
			c.Reachable = !c.Dead && rapid.IntRange(0, 5).Draw(t, "silent") > 0
			c.Stable = c.Reachable && rapid.IntRange(0, 5).Draw(t, "lags") > 0
			c.Back = !c.Dead && rapid.IntRange(0, 4).Draw(t, "back") == 0
		}
		all = append(all, c)
	}
	return all
}

func count(all []plan.Candidate, which func(plan.Candidate) bool) (n int) {
	for _, c := range all {
		if which(c) {
			n++
		}
	}
	return n
}

func regions(all []plan.Candidate, which func(plan.Candidate) bool) map[string]int {
	n := map[string]int{}
	for _, c := range all {
		if which(c) {
			n[c.Region]++
		}
	}
	return n
}

func TestVotersAreOddSpreadAndNeverTooFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := candidates(t)
		target := rapid.SampledFrom([]int{1, 3, 5, 7}).Draw(t, "target")
		got := plan.Choose(all, target)
		chosen := func(c plan.Candidate) bool { return slices.Contains(got.Voters, c.ID) }
		usable := func(c plan.Candidate) bool { return !c.Dead && (c.Voter || c.Stable && !c.Back) }
		unsure := count(all, func(c plan.Candidate) bool { return c.Voter && !c.Dead && !c.Stable }) > 0
		as := func(c plan.Candidate) bool { return c.Voter == chosen(c) }
		if unsure && count(all, as) == len(all) {
			return // nothing changes
		}
		if n := len(got.Voters); n%2 == 0 || n > target || n != count(all, chosen) {
			t.Fatalf("%v for a target of %d", got.Voters, target)
		}
		voted := count(all, func(c plan.Candidate) bool { return c.Voter })
		if unsure && len(got.Voters) < voted {
			t.Fatalf("%d voted, one of them may come back, now %v", voted, got.Voters)
		}
		if len(got.Voters) < min(3, target) && voted >= 3 {
			t.Fatalf("%d voted, now %v", voted, got.Voters)
		}
		here, per := regions(all, usable), regions(all, chosen)
		for r, n := range per {
			if len(here) >= 3 && len(got.Voters) >= 3 && n > len(got.Voters)/2 {
				t.Fatalf("%s has %d of %v, and %d regions have members to give", r, n, got.Voters, len(here))
			}
			for q := range here {
				if count(all, usable) >= 3 && n > per[q]+1 && per[q] < here[q] {
					t.Fatalf("%s has %d voters and %s only %d of %d", r, n, q, per[q], here[q])
				}
			}
		}
		if count(all, func(c plan.Candidate) bool { return c.Dead && chosen(c) }) > 0 && count(all, usable) >= 3 {
			t.Fatalf("a dead member votes in %v, and %d could", got.Voters, count(all, usable))
		}
		if fewer := count(all, usable); len(got.Voters) < min(target, voted-1) && fewer >= target && len(here) < 3 {
			t.Fatalf("%d voted, %d could: %v", voted, fewer, got.Voters)
		}
		for _, id := range got.Standbys {
			if slices.Contains(got.Voters, id) || len(got.Standbys) > 2 {
				t.Fatalf("%v stand by for %v", got.Standbys, got.Voters)
			}
		}
	})
}

func TestChoosingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := candidates(t)
		target := rapid.SampledFrom([]int{1, 3, 5, 7}).Draw(t, "target")
		got := plan.Choose(all, target)
		shuffled := rapid.Permutation(all).Draw(t, "order")
		if diff := cmp.Diff(got, plan.Choose(shuffled, target)); diff != "" {
			t.Fatalf("the order of the candidates counts: %s", diff)
		}
		for i := range all {
			all[i].Voter = slices.Contains(got.Voters, all[i].ID)
			all[i].Standby = slices.Contains(got.Standbys, all[i].ID)
		}
		if diff := cmp.Diff(got, plan.Choose(all, target)); diff != "" {
			t.Fatalf("a second choice differs: %s", diff)
		}
	})
}
