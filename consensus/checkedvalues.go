package consensus

import (
	"encoding/binary"
	"errors"
	"maps"

	"github.com/hashicorp/raft"
)

// keyValues is where the values lie in the stable store.
var keyValues = []byte("HanseValues")

// errNotFound is what raft knows a missing key by.
var errNotFound = errors.New("not found")

// checkedValues is a raft.StableStore that gives back what was set, or a DamagedError.
type checkedValues struct {
	*ledger
	inner raft.StableStore
}

// read returns the record; nil when there is none.
func (s checkedValues) read() (*values, error) {
	b, err := s.inner.Get(keyValues)
	switch {
	case err != nil && isNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	v, err := parseValues(b)
	return &v, err
}

func (s checkedValues) known() (*values, error) {
	v, err := s.read()
	if err == nil && v == nil {
		err = damagedValues("their record", "it is missing")
	}
	return v, err
}

func (s checkedValues) Get(k []byte) ([]byte, error) {
	v, err := s.known()
	if err != nil {
		return nil, err
	}
	value, ok := v.byKey[string(k)]
	if !ok {
		return nil, errNotFound
	}
	return value, nil
}

func (s checkedValues) Set(k, value []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	v, err := s.known()
	if err != nil {
		return err
	}
	v.byKey = maps.Clone(v.byKey)
	v.byKey[string(k)] = value
	return s.write(*v)
}

func (s checkedValues) write(v values) error {
	v.writes++
	v.ofLog = s.state().writes
	if err := s.inner.Set(keyValues, v.encode()); err != nil {
		return err
	}
	s.mu.Lock()
	s.values = v.writes
	s.mu.Unlock()
	return nil
}

func (s checkedValues) GetUint64(k []byte) (uint64, error) {
	b, err := s.Get(k)
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, damagedValues(string(k), "it is no number")
	}
	return binary.BigEndian.Uint64(b), nil
}

func (s checkedValues) SetUint64(k []byte, n uint64) error {
	return s.Set(k, binary.BigEndian.AppendUint64(nil, n))
}
