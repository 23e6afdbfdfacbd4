package tunnel

import "github.com/hanse-fleet/hanse/internal/quota"

// bounds are how many tunnels there may be, of whom and to where.
type bounds struct{ people, peopleTo, members, relayedFor, relayed *quota.Quota }

func newBounds(l Limits) bounds {
	return bounds{
		people: quota.New(l.PerPerson), peopleTo: quota.New(l.PersonTo),
		members: quota.New(l.PerMember), relayedFor: quota.New(l.RelayedFor), relayed: quota.New(l.Relayed),
	}
}

// place is one tunnel within one bound.
type place struct {
	of  *quota.Quota
	who string
}

// begun are the places of a tunnel that a person begins here.
func (b bounds) begun(person, to string) []place {
	return []place{{b.people, person}, {b.peopleTo, to + " " + person}} // an id holds no space
}

// served are the places of a tunnel that another member opened: one that goes on from here takes room from those of our own people.
func (b bounds) served(peer, self, to string) []place {
	places := []place{{b.members, peer}}
	if to != self {
		places = append(places, place{b.relayedFor, to + " " + peer}, place{b.relayed, to})
	}
	return places
}

// take takes all of some places, or none.
func take(places []place) (leave func(), err error) {
	var left []func()
	leave = func() {
		for _, l := range left {
			l()
		}
	}
	for _, p := range places {
		l, ok := p.of.Take(p.who)
		if !ok {
			leave()
			return nil, ErrBusy
		}
		left = append(left, l)
	}
	return leave, nil
}
