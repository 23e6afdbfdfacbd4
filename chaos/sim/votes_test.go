package sim_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

// told is what the log, as a member has it, says of a member's vote.
func told(t *testing.T, at *sim.Member, id store.MemberID) v1alpha1.VoterRole {
	v := at.Core.Store().View()
	m, _ := v.Member(id)
	kv, there := v.Get(v1alpha1.KeyClusters + m.Cluster)
	var c v1alpha1.Cluster
	if err := json.Unmarshal(kv.Value, &c); there && err != nil {
		t.Fatal(err)
	}
	return c.Status.Voter
}

// The law refuses to delete a cluster by what the log says of its vote. So that is said before raft gives the vote.
func TestNobodyHasAVoteThatTheLogDoesNotTell(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		founder := f.Found("fra", "eu")
		f.Join("iad", "us")
		f.Join("sin", "ap")
		for range 60_000 {
			voters := founder.Core.Node().Status().Voters
			for _, id := range voters {
				if id != founder.ID() && told(t, founder, id) != v1alpha1.RoleVoter {
					t.Fatalf("%s votes, and the log says that it is %q", id, told(t, founder, id))
				}
			}
			if len(voters) == 3 {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Error("no three vote after a minute")
	})
}
