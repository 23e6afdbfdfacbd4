package plan_test

import (
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/plan"
)

func TestDead(t *testing.T) {
	hears := func(id, region string) plan.Observer { return plan.Observer{ID: id, Region: region, Fresh: true} }
	silent := func(id, region string, d time.Duration) plan.Observer {
		return plan.Observer{ID: id, Region: region, Fresh: true, Silent: map[string]time.Duration{"x": d}}
	}
	gone := func(id, region string) plan.Observer { return plan.Observer{ID: id, Region: region} }
	const long, short = plan.SilentFor, plan.SilentFor - time.Millisecond
	for name, c := range map[string]struct {
		voters []plan.Observer
		dead   bool
	}{
		"both others say so":                              {[]plan.Observer{silent("a", "eu", long), silent("b", "us", long), gone("x", "ap")}, true},
		"one opinion is none":                             {[]plan.Observer{silent("a", "eu", long), hears("b", "us"), gone("x", "ap")}, false},
		"not silent for long enough":                      {[]plan.Observer{silent("a", "eu", long), silent("b", "us", short), gone("x", "ap")}, false},
		"a majority, but all in the leader's region":      {[]plan.Observer{silent("a", "eu", long), silent("b", "eu", long), hears("c", "us"), gone("x", "ap")}, false},
		"a majority with one elsewhere":                   {[]plan.Observer{silent("a", "eu", long), silent("b", "us", long), hears("c", "us"), gone("x", "ap")}, true},
		"nobody lives elsewhere":                          {[]plan.Observer{silent("a", "eu", long), silent("b", "eu", long), gone("c", "us"), gone("x", "ap")}, true},
		"half is no majority":                             {[]plan.Observer{silent("a", "eu", long), silent("b", "us", long), hears("c", "us"), hears("d", "ap"), gone("x", "ap")}, false},
		"what the dead said does not count":               {[]plan.Observer{silent("a", "eu", long), {ID: "b", Region: "us", Silent: map[string]time.Duration{"x": long}}, hears("c", "us"), gone("x", "ap")}, false},
		"a leader alone judges nobody whom it hears":      {[]plan.Observer{hears("a", "eu")}, false},
		"what it says of itself does not count":           {[]plan.Observer{hears("a", "eu"), silent("x", "ap", long)}, false},
		"a member that is no voter is judged by voters":   {[]plan.Observer{silent("a", "eu", long), silent("b", "us", long)}, true},
		"heard by the leader, silent to all others: dead": {[]plan.Observer{hears("a", "eu"), silent("b", "us", long), silent("c", "ap", long), silent("d", "ap", long)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plan.Dead("x", "eu", c.voters); got != c.dead {
				t.Errorf("dead: %v", got)
			}
		})
	}
}
