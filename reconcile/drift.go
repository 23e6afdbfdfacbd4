package reconcile

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// applied is an object as our last apply left it.
type applied struct {
	uid     types.UID
	version string
	fields  string
	// drifted says that it is not as wanted, and was left so by policy: then any change may have put it right.
	drifted bool
}

// verdict is what to do about an object that an event spoke of.
type verdict uint8

const (
	leave     verdict = iota // as it should be, or on its way out, or the event is older than our apply
	repair                   // somebody changed or deleted it
	contested                // another bundle of this cluster has taken it over
)

// judge decides about one object. last is our last apply, nil when there was none; seen is the object now, nil when
// it is gone or lost our label; label is the bundle's; granted says whether a label is that of a bundle that runs here.
func judge(last *applied, seen *sighting, label string, granted func(label string) bool) verdict {
	switch {
	case last == nil:
		return leave // not ours yet: whatever kept it from being applied is tried again by itself
	case seen == nil:
		return repair
	case older(seen.version, last.version):
		return leave
	case seen.deleting:
		return leave // it cannot be put back before it is gone, and that is an event too
	case seen.bundle != label && granted(seen.bundle):
		return contested
	case seen.uid == last.uid && seen.version == last.version:
		return leave
	case seen.uid == last.uid && seen.bundle == label && seen.fields == last.fields && !last.drifted:
		return leave
	}
	return repair
}

// pace keeps two who fight over an object from doing it in a hot loop: a few repairs come at once, the next ones
// later and later, until the object was left alone for a while.
type pace struct {
	repairs int
	last    time.Time
}

const (
	paceFree  = 8                // repairs at once
	paceFirst = time.Second      // then this long, doubling
	paceMax   = time.Minute      // up to this
	paceCalm  = 30 * time.Second // and forgotten once nothing was due for this long
)

func (p pace) delay() time.Duration {
	over := p.repairs - paceFree
	switch {
	case over < 0:
		return 0
	case over > 6:
		return paceMax
	}
	return min(paceFirst<<over, paceMax)
}

// next is when the next repair may happen.
func (p pace) next() time.Time { return p.last.Add(p.delay()) }

// note counts a repair.
func (p *pace) note(now time.Time) {
	if now.Sub(p.next()) > paceCalm {
		p.repairs = 0
	}
	p.repairs++
	p.last = now
}
