package agent

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
)

// TestSettingsThatCannotBeRead: what the leader decides by them fails, what has to go on goes by those before, and the log tells why once each time that
// they break.
func TestSettingsThatCannotBeRead(t *testing.T) {
	var logged bytes.Buffer
	c := &Core{store: store.New(nil), decoded: decoded.NewKinds(), log: slog.New(slog.NewTextHandler(&logged, nil))}
	index := uint64(0)
	is := func(fleet string, voters int32, readable bool, warnings int) {
		t.Helper()
		index++
		storetest.Apply(t, c.store, index, storetest.Entry(t, "", store.Put(v1alpha1.KeyFleets+"acme", []byte(fleet))))
		for range 2 {
			if got := c.fleetSpec(c.store.View()).Voters; got != voters {
				t.Errorf("%s: %d vote, want %d", fleet, got, voters)
			}
		}
		if got := strings.Count(logged.String(), "level=WARN"); got != warnings {
			t.Errorf("%s: the log has %d warnings, want %d:\n%s", fleet, got, warnings, &logged)
		}
		if spec, err := c.decoded.Fleet(c.store.View()); (err == nil) != readable || err == nil && spec.Voters != voters {
			t.Errorf("%s: read as %+v, %v", fleet, spec, err)
		}
		_, policy := c.decoded.RolloutPolicy(c.store.View())
		_, candidates := c.decoded.Candidates(c.store.View())
		if (policy == nil) != readable || (candidates == nil) != readable {
			t.Errorf("%s: rollouts go by it: %v; keys go by it: %v", fleet, policy, candidates)
		}
		if _, warning := c.backupStatus(c.store.View(), c.store.View().Time()); (warning == "") != readable {
			t.Errorf("%s: of backups people are told %q", fleet, warning)
		}
	}
	is(`{"spec": {}}`, v1alpha1.DefaultVoters, true, 0)
	is(`{"spec": {"voters": 5}}`, 5, true, 0)
	is(`{"spec": {"voters": "many"}}`, 5, false, 1)
	is(`{"spec": {"voters": 7}}`, 7, true, 1)
	is(`{"spec": {"voters": "many"}}`, 7, false, 2)
}

// A setting that cannot be read takes nobody's vote, not even from a leader that never read another, and gives none but that which is on its way to another.
func TestNobodyLosesAVoteBySettingsThatCannotBeRead(t *testing.T) {
	voting := func(n int) (all []consensus.Candidate) {
		for range n {
			all = append(all, consensus.Candidate{Voter: true})
		}
		return append(all, consensus.Candidate{})
	}
	c := &Core{store: store.New(nil), decoded: decoded.NewKinds(), log: slog.New(slog.DiscardHandler)}
	index := uint64(0)
	settings := func(voters string) {
		index++
		storetest.Apply(t, c.store, index, storetest.Entry(t, "", store.Put(v1alpha1.KeyFleets+"acme", fmt.Appendf(nil, `{"spec": {"voters": %s}}`, voters))))
	}
	wants := func(now, want int) {
		t.Helper()
		if got := c.votersWanted(c.store.View(), voting(now)); got != want {
			t.Errorf("%d vote: %d should, want %d", now, got, want)
		}
	}
	settings(`"many"`)
	for _, tt := range []struct{ now, want int }{{1, 1}, {3, 3}, {2, 3}, {4, 5}, {5, 5}, {3, 3}, {5, 5}, {6, 7}, {7, 7}, {1, 1}} { // whatever it wanted before
		wants(tt.now, tt.want)
	}
	settings("5")
	wants(3, 5)
	settings(`"many"`)
	for _, now := range []int{1, 3, 7} { // as it read them last
		wants(now, 5)
	}
	settings("1")
	wants(5, 1) // people want it
}
