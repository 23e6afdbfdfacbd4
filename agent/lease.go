package agent

import (
	"fmt"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

// leaseWarning says when the lease of this member, fixed since it started, has become too short to lead with: a leader
// hears from each voter once a round trip and a fifth of its lease. Empty: it fits, or this member does not vote.
func leaseWarning(me store.MemberID, voters []store.MemberID, v *report.Vitals) string {
	if v == nil {
		return ""
	}
	var seats []plan.Seat
	trips := plan.Trips{string(me): {}}
	votes := false
	for _, id := range voters {
		votes = votes || id == me
		seats = append(seats, plan.Seat{ID: string(id), Able: true})
		trips[string(me)][string(id)] = report.FromMillis(v.RTT[id].P99)
	}
	latency, known := plan.QuorumLatency(string(me), seats, trips)
	lease := report.FromMillis(v.Lease)
	if !votes || !known || latency <= lease*7/10 {
		return ""
	}
	return fmt.Sprintf("this member's lease of %d ms is too short to lead with: a majority is %d ms away; restart its agent", lease.Milliseconds(), latency.Milliseconds())
}
