package sim_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/chaos/sim"
)

func TestAScheduleIsReadAsItWasWritten(t *testing.T) {
	for seed := range uint64(200) {
		want := sim.Generate(seed)
		got, err := sim.Read(strings.NewReader(want.String()))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

func TestAScheduleThatIsNoneIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "member", "member fra eu sometimes", "seed x", "member fra eu\nnoon isolate fra 1s", "member fra eu\n1s explode fra",
		"member fra eu\n1s isolate fra 1s 2s 3s",
	} {
		if s, err := sim.Read(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read as\n%s", text, s)
		}
	}
}

func TestReduceLeavesWhatIsNeeded(t *testing.T) {
	s := sim.Generate(7)
	for len(s.Events) < 9 {
		s.Events = append(s.Events, s.Events...)
	}
	for i := range s.Events {
		s.Events[i].What = "isolate"
	}
	s.Events[2].What, s.Events[7].What = "kill", "cut"
	fails := func(s sim.Schedule) bool {
		has := func(what string) bool {
			return slices.ContainsFunc(s.Events, func(e sim.Event) bool { return e.What == what })
		}
		return has("kill") && has("cut") && slices.ContainsFunc(s.Clients, func(c sim.Client) bool { return c.ID == 5 })
	}
	got := sim.Reduce(s, fails)
	if len(got.Events) != 2 || len(got.Clients) != 1 || !fails(got) {
		t.Errorf("left is\n%s", got)
	}
}
