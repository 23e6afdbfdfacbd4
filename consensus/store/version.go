package store

import (
	"fmt"
	"strconv"
)

// KeyVersion holds the version that the fleet applies the log by, in decimal. Every change of what Apply does is
// switched by it, and by nothing else: a member whose program can do more does not, until the fleet is told to. It is
// not there while the version is the first one. It grows by one at a time, once every member can apply the next; it
// never falls. RaiseVersion writes it.
const KeyVersion = "/version"

// firstVersion is that of a fleet which never raised it.
const firstVersion = 1

// RaiseVersion makes a version the fleet's. The store refuses any but the next one, and that one too while some member
// cannot apply it. A member that was wrong about what it can stops before the entry.
func RaiseVersion(to uint64) Op { return Put(KeyVersion, strconv.AppendUint(nil, to, 10)) }

// Version is the one that the fleet applies the log by.
func (v *View) Version() uint64 { return v.version }

// NextVersion is the one that the fleet may be raised to now: every member can apply it.
func (v *View) NextVersion() (next uint64, ok bool) {
	next = v.version + 1
	return next, v.roster.members.Len() > 0 && v.roster.behind(next) == nil
}

// Applies is the newest version that this store can apply.
func (s *Store) Applies() uint64 {
	if s.faults.NextVersion {
		return Version + 1
	}
	return Version
}

// applies is the newest version that the member said it can apply.
func (m Member) applies() uint64 { return max(m.Applies, firstVersion) }

// behind is a member that cannot apply a version, or nil.
func (r roster) behind(version uint64) *Member {
	it := r.members.Root().Iterator()
	for _, m, ok := it.Next(); ok; _, m, ok = it.Next() {
		if m.applies() < version {
			return m
		}
	}
	return nil
}

// checkVersion holds the rules of the version: it is raised by one, alone, when every member can; and nobody is a
// member who cannot apply the fleet's.
func (v *View) checkVersion(ops []Op) *Invalid {
	for _, op := range ops {
		if op.Key != KeyVersion {
			if err := v.checkApplies(op); err != nil {
				return err
			}
			continue
		}
		if next := v.version + 1; op.Delete || string(op.Value) != strconv.FormatUint(next, 10) {
			return invalidf("the version of the log is raised by one, to %d", next)
		}
		if m := v.roster.behind(v.version + 1); m != nil || len(ops) > 1 {
			return invalidf("the version of the log is raised alone, once every member can apply it")
		}
	}
	return nil
}

func (v *View) checkApplies(op Op) *Invalid {
	if op.Delete || !isRoster(op.Key) || v.version == firstVersion {
		return nil
	}
	if m, err := parseMember(op.Key, op.Value); err == nil && m.applies() < v.version {
		return invalidf("member %s applies version %d of the log, the fleet is at %d; upgrade hanse there", m.Cluster, m.applies(), v.version)
	}
	return nil
}

// raise takes over a version that checkVersion let pass. A machine that cannot apply it stops.
func (m *machine) raise(changes []change) {
	for _, ch := range changes {
		if ch.key != KeyVersion {
			continue
		}
		m.view.version++
		if m.view.version > m.applies {
			m.stop = fmt.Errorf("version %d of the log: %w", m.view.version, ErrNewerVersion)
		}
	}
}

// next is what the version after this program's does otherwise: there is none yet, so tests have one of their own.
func (m *machine) next(value []byte) []byte {
	if m.view.version > released && string(value) == "next" {
		return []byte("applied by the next version")
	}
	return value
}
