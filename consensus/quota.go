package consensus

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Quota bounds what one member may propose through the leader, so that one that floods does not starve the others. What
// is over it is not refused for good: the proposer is told when to ask again, and does. The leader's own proposals, its
// decisions among them, are not counted. The zero value is DefaultQuota.
type Quota struct {
	// Proposals a second, and how many at once after a pause. A chunk of a large value counts as one.
	Proposals, ProposalBurst float64
	// Bytes a second, and how many at once after a pause: the burst should hold the largest value (store.MaxValue).
	Bytes, ByteBurst float64
}

// DefaultQuota is far above what a cluster's member needs, and below what the leader's disk takes from all of them.
func DefaultQuota() Quota {
	return Quota{Proposals: 20_000, ProposalBurst: 20_000, Bytes: 32 << 20, ByteBurst: 64 << 20}
}

// requestsAtOnce is how many requests of one member the leader has in work; one of ours has no more under way.
const requestsAtOnce = maxForwards

// crowded is how long a member waits that has more under way than that.
const crowded = 20 * time.Millisecond

// slowDown says that a proposer is over its quota. Surely nothing was appended.
type slowDown struct{ after time.Duration }

func (e *slowDown) Error() string {
	return fmt.Sprintf("over the member's quota: ask again after %s", e.after.Round(time.Millisecond))
}

// tokens are a bucket of them. It may go below zero, so that whatever comes to a full one passes at once, and what comes next
// waits the longer. Time is an argument; the zero value is full.
type tokens struct {
	spent float64
	at    time.Time
}

// wait says how long until the bucket has a token, 0 when it has.
func (b tokens) wait(now time.Time, rate, burst float64) time.Duration {
	if over := b.drained(now, rate) - burst; over >= 0 {
		return time.Duration((over/rate)*float64(time.Second)) + time.Millisecond
	}
	return 0
}

// drained is what is still spent now.
func (b tokens) drained(now time.Time, rate float64) float64 {
	return max(0, b.spent-rate*max(0, now.Sub(b.at).Seconds()))
}

// take spends n tokens.
func (b tokens) take(now time.Time, n, rate float64) tokens {
	return tokens{spent: b.drained(now, rate) + n, at: now}
}

// allowance is what one member has left.
type allowance struct {
	proposals, bytes tokens
	requests         int // in work now
}

// quotas are the allowances of the members that proposed to this leader.
type quotas struct {
	quota Quota
	mu    sync.Mutex
	of    map[MemberID]*allowance
}

func newQuotas(q Quota) *quotas { return &quotas{quota: q, of: map[MemberID]*allowance{}} }

// enter takes a request in, or returns a *slowDown. done must be called once the request is answered.
func (q *quotas) enter(from MemberID, commands []store.Command, now time.Time) (done func(), err error) {
	size := 0
	for _, c := range commands {
		n, err := c.Size()
		if err != nil {
			return nil, errRefused
		}
		size += n
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.of[from]
	if a == nil {
		q.forget(now)
		a = &allowance{}
		q.of[from] = a
	}
	after := max(a.proposals.wait(now, q.quota.Proposals, q.quota.ProposalBurst), a.bytes.wait(now, q.quota.Bytes, q.quota.ByteBurst))
	if a.requests >= requestsAtOnce {
		after = max(after, crowded)
	}
	if after > 0 {
		return nil, &slowDown{after: after}
	}
	a.requests++
	a.proposals = a.proposals.take(now, float64(len(commands)), q.quota.Proposals)
	a.bytes = a.bytes.take(now, float64(size), q.quota.Bytes)
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		a.requests--
	}, nil
}

// forget drops the members that have spent nothing: they begin anew with as much. It needs the lock.
func (q *quotas) forget(now time.Time) {
	for id, a := range q.of {
		if a.requests == 0 && a.proposals.drained(now, q.quota.Proposals) == 0 && a.bytes.drained(now, q.quota.Bytes) == 0 {
			delete(q.of, id)
		}
	}
}

// longestWait bounds what a leader can make a proposer wait for.
const longestWait = 10 * time.Second

// told is how long the leader said to wait; 0 when it said nothing of the kind.
func told(err error) time.Duration {
	var s *slowDown
	if !errors.As(err, &s) {
		return 0
	}
	return min(max(s.after, time.Millisecond), longestWait)
}
