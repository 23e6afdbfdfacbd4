package store

import (
	"slices"

	"github.com/hanse-fleet/hanse/internal/fault"
)

// Jump is by how much the revision grows when an epoch begins from a state that survived. Whoever wrote to the log that
// was lost wrote fewer revisions than that, so no revision is ever used twice.
const Jump = 1 << 32

// Epoch is one life of a fleet: from its founding, its restoring from a backup, or its recovery without a majority,
// until the next. Decisions that only a leader takes carry its id, so that what was decided in one epoch is void in
// every other, also in another that began from the same state.
type Epoch struct {
	// Number counts the epochs, from 1; 0 before the fleet is founded.
	Number uint64 `cbor:"1,keyasint,omitempty"`
	// ID is random. That of the first epoch is the incarnation that founded the fleet.
	ID string `cbor:"2,keyasint,omitempty"`
	// Began is the revision of the epoch's first transaction.
	Began Revision `cbor:"3,keyasint,omitempty"`
}

// From is the revision of the state that the epoch began from, 0 for the first one. The revisions between it and Began
// may have been written, and were lost.
func (e Epoch) From() Revision {
	if e.Began <= Jump {
		return 0
	}
	return e.Began - Jump
}

// Epoch is the one that the state is of.
func (v *View) Epoch() Epoch { return v.epoch }

// Succession says how a new epoch begins from a state.
type Succession struct {
	// ID of the new epoch.
	ID string
	// Index is that of the log entry which the new state stands for.
	Index uint64
	// Ops are the new epoch's first transaction: who its members are, and what of the old one is void. The rules of the
	// membership hold for it, the Authorizer is not asked.
	Ops []Op
	// Faults are known bugs that a test puts back.
	Faults fault.Set
}

// Succeed returns a state that begins a new epoch: the ops applied, Jump revisions later, and without a memory of recent
// changes, so that what anybody decided from an older state is a conflict. The error is an *Invalid. The view stays.
func (v *View) Succeed(s Succession) (*Snapshot, error) {
	if err := s.invalid(); err != nil {
		return nil, err
	}
	if err := v.roster.check(s.Ops); err != nil {
		return nil, err
	}
	m := machine{view: *v}
	m.view.index = s.Index
	if !s.Faults.NoJump {
		m.view.revision += Jump - 1
	}
	m.view.epoch = Epoch{Number: max(v.epoch.Number, 1) + 1, ID: s.ID, Began: m.view.revision + 1}
	if r := m.commit(m.hold(s.Ops)); r.Revision != m.view.epoch.Began {
		return nil, invalidf("an epoch begins with a change")
	}
	m.settle()
	m.view.recent = newRecent()
	m.view.recent.floor = m.view.revision
	return &Snapshot{view: &m.view}, nil
}

func (s Succession) invalid() *Invalid {
	if s.ID == "" || len(s.ID) > MaxKey {
		return invalidf("epoch without id")
	}
	if i := slices.IndexFunc(s.Ops, func(op Op) bool { return len(op.Chunks) > 0 }); i >= 0 {
		return invalidf("an epoch begins with whole values, and %q refers to chunks", s.Ops[i].Key)
	}
	all := Txn{Then: s.Ops}
	for rest := s.Ops; len(rest) > 0; rest = rest[len(all.Then):] {
		all.Then = rest[:min(len(rest), MaxOps)] // as many as it takes: they are no log entry
		if err := all.invalid(); err != nil {
			return err
		}
	}
	return nil
}

// hold keeps large values in chunks, as the log's transactions do, so that an epoch may begin with any value that a key has.
func (m *machine) hold(ops []Op) ([]Op, []*large) {
	ops, values := slices.Clone(ops), make([]*large, len(ops))
	for i := range ops {
		op := &ops[i]
		if len(op.Value) <= MaxInline {
			continue
		}
		for _, c := range op.split(nil, map[Hash]bool{}) {
			if _, there := m.view.chunks.get(c.Hash); !there {
				m.view.chunks = m.view.chunks.tie(c.Hash, &chunk{data: c.Data, written: m.view.time})
			}
		}
		values[i] = m.view.chunks.assemble(op.Chunks)
	}
	return ops, values
}

// orFirst is the epoch that the fleet's founding begins, if there is none yet.
func (e Epoch) orFirst(r roster, at Revision) Epoch {
	if e.Number != 0 {
		return e
	}
	first, _, _ := r.members.Root().Minimum()
	return Epoch{Number: 1, ID: string(first), Began: at}
}
