package agent

import (
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/facts"
)

// told reads what each cluster's member told last of its cluster and machine. Safe for concurrent use.
type told struct {
	core *Core
	mu   sync.Mutex
	// read keeps what was decoded, while it is what the member told last.
	read map[store.MemberID]readFacts
}

type readFacts struct {
	at    time.Time
	facts facts.Facts
}

func newTold(c *Core) *told { return &told{core: c, read: map[store.MemberID]readFacts{}} }

// known is what each cluster's member told, and the cluster of each member.
func (t *told) known(v *store.View) (map[string]facts.Facts, map[string]string) {
	seen, _, _ := t.core.reports.Seen()
	t.mu.Lock()
	defer t.mu.Unlock()
	by, names, kept := map[string]facts.Facts{}, map[string]string{}, map[store.MemberID]readFacts{}
	for _, member := range v.Members() {
		names[string(member.ID)] = member.Cluster
		s := seen[member.ID]
		if s.Facts == nil {
			continue
		}
		r, ok := t.read[member.ID]
		if !ok || !r.at.Equal(s.FactsAt) {
			f, err := facts.Decode(s.Facts, s.FactsAt)
			if err != nil {
				t.core.log.Debug("a member tells facts that are none", "cluster", member.Cluster, "err", err)
			}
			r = readFacts{s.FactsAt, f}
		}
		kept[member.ID], by[member.Cluster] = r, r.facts
	}
	t.read = kept
	return by, names
}
