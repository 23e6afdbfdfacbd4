package plan_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/plan"
)

// trips reads "a-b:80 b-c:10", in milliseconds.
func trips(text string) plan.Trips {
	t := plan.Trips{}
	for _, word := range strings.Fields(text) {
		pair, n, _ := strings.Cut(word, ":")
		a, b, _ := strings.Cut(pair, "-")
		if t[a] == nil {
			t[a] = map[string]time.Duration{}
		}
		millis, _ := strconv.Atoi(n)
		t[a][b] = time.Duration(millis) * time.Millisecond
	}
	return t
}

func TestBetterLeader(t *testing.T) {
	for name, c := range map[string]struct {
		leader, voters, trips, want string
	}{
		"the one in the middle":                    {"c", "a/eu b/us c/ap", "a-b:80 a-c:160 b-c:150", "a"},
		"well placed":                              {"b", "a/eu b/us c/ap", "a-b:80 a-c:160 b-c:150", ""},
		"better by less than a fifth":              {"c", "a/eu b/us c/ap", "a-b:120 a-c:160 b-c:140", ""},
		"better by less than five milliseconds":    {"c", "a/eu b/us c/ap", "a-b:2 a-c:5 b-c:5", ""},
		"another of its own region is no gain":     {"a", "a/eu b/eu c/us", "a-b:50 b-c:1 a-c:60", "c"},
		"a voter that is away cannot lead":         {"c", "a/eu:x b/us c/ap", "a-b:80 a-c:160 b-c:150", ""},
		"what is not known is not guessed":         {"c", "a/eu b/us c/ap", "", ""},
		"one voter":                                {"a", "a/eu", "", ""},
		"five: the second nearest other counts":    {"e", "a/eu b/eu c/us d/us e/ap", "a-b:2 a-c:80 a-d:80 b-c:80 b-d:80 c-d:2 a-e:160 b-e:160 c-e:150 d-e:150", "a"},
		"the longer of two measures of one line":   {"c", "a/eu b/us c/ap", "a-b:80 b-a:200 a-c:160 b-c:150", ""},
		"a leader that does not vote moves nobody": {"x", "a/eu b/us c/ap", "a-b:80 a-c:160 b-c:150", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plan.BetterLeader(c.leader, seats(c.voters), trips(c.trips)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestLeaderIn(t *testing.T) {
	const lines = "a-b:2 a-c:80 b-c:70 c-d:2 d-e:9 a-d:80 b-d:80 a-e:160 b-e:160 c-e:150"
	for name, c := range map[string]struct {
		leader, voters, region, want string
	}{
		"the nearest of the region":        {"e", "a/eu b/eu c/us d/us e/ap", "eu", "b"},
		"the one that leads there already": {"a", "a/eu b/eu c/us d/us e/ap", "eu", "a"},
		"not one that is away":             {"e", "a/eu b/eu:x c/us d/us e/ap", "eu", "a"},
		"nobody is there":                  {"e", "a/eu b/eu c/us d/us e/ap", "sa", ""},
	} {
		t.Run(name, func(t *testing.T) {
			there := func(s plan.Seat) bool { return s.Region == c.region }
			if got := plan.LeaderIn(there, c.leader, seats(c.voters), trips(lines)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestTheLeadershipMovesOnceItWasBetterElsewhereForAWhile(t *testing.T) {
	office := time.Unix(1000, 0)
	var m plan.Move
	for i, s := range []struct {
		at     time.Duration // in office
		region string
		moves  bool
	}{
		{5 * time.Second, "us", false},
		{40 * time.Second, "us", false}, // steady, but just elected
		{61 * time.Second, "us", true},
		{62 * time.Second, "", false},
		{63 * time.Second, "us", false}, // begins anew
		{80 * time.Second, "ap", false},
		{109 * time.Second, "ap", false},
		{110 * time.Second, "ap", true},
	} {
		var moves bool
		if m, moves = m.Next(office.Add(s.at), office, s.region); moves != s.moves {
			t.Errorf("step %d: moves %v", i, moves)
		}
	}
}
