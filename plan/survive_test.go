package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/plan"
)

// seats reads "a/eu b/us:x"; x is not able.
func seats(text string) []plan.Seat {
	var all []plan.Seat
	for _, word := range strings.Fields(text) {
		id, rest, _ := strings.Cut(word, "/")
		region, flag, _ := strings.Cut(rest, ":")
		all = append(all, plan.Seat{ID: id, Region: region, Able: flag == ""})
	}
	return all
}

func TestCanLose(t *testing.T) {
	for name, c := range map[string]struct {
		living, now, next, want string
	}{
		"three regions, all alive: any one":           {"eu us ap", "a/eu b/us c/ap", "", "ap eu us"},
		"a region without a vote, too":                {"eu us ap sa", "a/eu b/us c/ap", "", "ap eu sa us"},
		"three regions, one gone: none of the others": {"eu us", "a/eu b/us c/ap:x", "", ""},
		"one voter: its region is the fleet":          {"eu us", "a/eu", "", "us"},
		"two regions: the one with fewer voters":      {"eu us", "a/eu b/eu c/us", "", "us"},
		"five as 2-2-1: any one":                      {"eu us ap", "a/eu b/eu c/us d/us e/ap", "", "ap eu us"},
		"five as 2-2-1, one of two gone":              {"eu us ap", "a/eu b/eu:x c/us d/us e/ap", "", "ap eu"},
		"five as 2-2-1, two gone: none":               {"us ap", "a/eu:x b/eu:x c/us d/us e/ap", "", ""},
		"not what only the next configuration allows": {"us ap", "a/eu:x b/eu:x c/us d/us e/ap", "c/us d/us e/ap", ""},
		"not what only the present one allows":        {"eu us ap", "a/eu b/us c/ap", "a/eu b/us c/ap d/ap:x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			configurations := [][]plan.Seat{seats(c.now)}
			if c.next != "" {
				configurations = append(configurations, seats(c.next))
			}
			if diff := cmp.Diff(c.want, strings.Join(plan.CanLose(strings.Fields(c.living), configurations...), " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
