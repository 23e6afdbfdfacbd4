package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

// vitals are this member's own, nil while it is no server of raft.
func (c *Core) vitals(now time.Time) *report.Vitals {
	raft := c.node.Status()
	servers := slices.Concat(raft.Voters, raft.Nonvoters)
	i := slices.Index(servers, c.id())
	if i < 0 {
		return nil
	}
	v := c.reports.Noticed(slices.Delete(servers, i, i+1), now)
	v.FsyncP999, v.Lease = report.Millis(c.node.Fsync()), report.Millis(c.node.Lease())
	if wanted := c.wanted.Load(); wanted != nil && raft.Leader == c.id() {
		v.Wanted = *wanted
	}
	return v
}

// pace is the election timeout by what all voters measure, and the one that would do if no lease stood in its way:
// that one is stored, and the next start has its lease from it. Only beat uses it.
type pace struct {
	now, free plan.Pace
	stored    time.Duration
}

// storedTimeout is the file that keeps the election timeout between two starts.
type storedTimeout struct {
	Timeout string `json:"timeout"`
}

// startPace puts the timeout that the last life stored into the timing; without one it stays cautious.
func (c *Core) startPace(t consensus.Timing) (consensus.Timing, error) {
	if t == (consensus.Timing{}) {
		t = consensus.DefaultTiming()
	}
	var last storedTimeout
	switch err := c.dir.read(fileTimeout, &last); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return t, err
	default:
		d, err := time.ParseDuration(last.Timeout)
		if err != nil {
			return t, fmt.Errorf("read %q: %w", c.dir.path(fileTimeout), err)
		}
		c.pace.stored = d
		t = t.WithTimeout(d)
	}
	c.pace.now, c.pace.free = plan.Pace{Timeout: t.Heartbeat}, plan.Pace{Timeout: t.Heartbeat}
	return t, nil
}

// keepPace sets the election timeout by what the voters said last, and keeps what the next start needs to know.
func (c *Core) keepPace(now time.Time) error {
	seen, _, _ := c.reports.Seen()
	raft := c.node.Status()
	if len(raft.Voters) == 0 {
		return nil
	}
	figures, measured := voterFigures(raft.Voters, seen, now)
	wanted := plan.Timeout(figures)
	for i := range figures {
		figures[i].Lease = 0
	}
	free := plan.Timeout(figures)
	if !measured { // then it may grow, and does not shrink
		wanted, free = max(wanted, c.pace.now.Timeout), max(free, c.pace.free.Timeout)
	}
	c.pace.now, c.pace.free = c.pace.now.Next(now, wanted), c.pace.free.Next(now, free)
	c.node.SetTimeout(c.pace.now.Timeout)
	if c.pace.free.Timeout == c.pace.stored {
		return nil
	}
	c.pace.stored = c.pace.free.Timeout
	return c.dir.write(fileTimeout, storedTimeout{Timeout: c.pace.stored.String()})
}

// voterFigures are those of the voters whose word is fresh, and whether all of them have measured enough.
func voterFigures(voters []store.MemberID, seen map[store.MemberID]report.Sighting, now time.Time) (all []plan.Figures, measured bool) {
	measured = true
	for _, id := range voters {
		s := seen[id]
		if !s.Fresh(now) {
			continue
		}
		if s.Vitals == nil {
			measured = false
			continue
		}
		f := plan.Figures{Fsync999: report.FromMillis(s.Vitals.FsyncP999), Lease: report.FromMillis(s.Vitals.Lease)}
		for _, other := range voters {
			trip, known := s.Vitals.RTT[other]
			_, silent := s.Vitals.Silent[other]
			measured = measured && (known || silent || other == id)
			f.RTT99 = max(f.RTT99, report.FromMillis(trip.P99))
		}
		all = append(all, f)
	}
	return all, measured
}
