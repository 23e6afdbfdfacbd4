package kvstorage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/warning"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// Create implements storage.Interface. The time to live is not heeded: nothing of a fleet's vanishes by itself.
func (s *Storage) Create(ctx context.Context, key string, obj, out runtime.Object, _ uint64) error {
	key, err := s.key(key, false)
	if err != nil {
		return err
	}
	if rev, err := s.ObjectResourceVersion(obj); err == nil && rev != 0 {
		return storage.ErrResourceVersionSetOnCreate
	}
	value, err := s.encode(obj)
	if err != nil {
		return err
	}
	rev, err := s.commit(ctx, change{key: key, after: value})
	if errors.Is(err, errChanged) {
		return storage.NewKeyExistsError(key, 0)
	}
	if err != nil || out == nil {
		return err
	}
	return s.decode(value, rev, out)
}

// encode makes a value of an object; the resourceVersion is not part of it.
func (s *Storage) encode(obj runtime.Object) ([]byte, error) {
	if err := s.PrepareObjectForStorage(obj); err != nil {
		return nil, fmt.Errorf("encode %s: %w", s.Resource, err)
	}
	return runtime.Encode(s.Codec, obj)
}

// change is one key that is to be written.
type change struct {
	key           string
	before, after []byte         // nil: not there before, deleted after
	at            store.Revision // of before
}

func (c change) condition() store.Condition {
	if c.before == nil {
		return store.KeyAbsent(c.key)
	}
	return store.KeyAt(c.key, c.at)
}

func (c change) op() store.Op {
	if c.after == nil {
		return store.Delete(c.key)
	}
	return store.Put(c.key, c.after)
}

var (
	// errChanged means that the key is not as the change says it was.
	errChanged = errors.New("changed by another")
	// errNothing means that there is nothing to change, if the state is what it is everywhere.
	errNothing = errors.New("nothing to change")
)

const (
	// firstPause and lastPause are how long a write at most gives way to others before its companions are asked anew: twice as long
	// each time, half of it left to chance. Who is far from the leader would never be fast enough for many who try again at once.
	firstPause = 20 * time.Millisecond
	lastPause  = 640 * time.Millisecond
)

// commit writes a change and its companions in one transaction. When only a companion's condition does not hold, it
// asks for companions anew and tries again, for as long as anybody waits for it: the change itself is still good.
func (s *Storage) commit(ctx context.Context, c change) (store.Revision, error) {
	asker := s.Asker(ctx)
	for longest := firstPause; ; longest = min(2*longest, lastPause) {
		txn, err := s.transaction(c, asker)
		if err != nil {
			return 0, err
		}
		foretold := s.foretold(c, asker)
		rev, err := s.propose(ctx, c.key, asker.Person, txn)
		if err == nil {
			tell(ctx, foretold)
		}
		var conflict *store.Conflict
		if !errors.As(err, &conflict) {
			return rev, err
		}
		if conflict.Index == 0 {
			return 0, errChanged
		}
		if !pause.For(ctx, longest/2+rand.N(longest/2)) {
			return 0, storage.NewTimeoutError(c.key, "others were faster until nobody waited for it any more: "+ctx.Err().Error())
		}
		if err := s.catchUp(ctx); err != nil {
			return 0, err
		}
	}
}

// foretold is what whoever asks for a change is told with the answer.
func (s *Storage) foretold(c change, asker Asker) []string {
	return s.Foretell(s.Store.View(), Write{Key: c.key, Before: c.before, After: c.after, Asker: asker})
}

// WarningAgent is who says the warnings that are ours.
const WarningAgent = "hanse"

// tell adds warnings to the answer.
func tell(ctx context.Context, lines []string) {
	for _, line := range lines {
		warning.AddWarning(ctx, WarningAgent, line)
	}
}

// transaction is a change with its companions. Its first condition is the change's own.
func (s *Storage) transaction(c change, asker Asker) (store.Txn, error) {
	conditions, ops, err := s.Companion(s.Store.View(), Write{Key: c.key, Before: c.before, After: c.after, Asker: asker})
	if err != nil {
		return store.Txn{}, s.refused(c, err)
	}
	return store.Txn{
		If:   append([]store.Condition{c.condition()}, conditions...),
		Then: append([]store.Op{c.op()}, ops...),
	}, nil
}

// propose writes a transaction. While the quorum is known to be away it first looks whether that is still so: what was not
// proposed was surely not written, and whoever asks is told soon.
func (s *Storage) propose(ctx context.Context, key, person string, txn store.Txn) (store.Revision, error) {
	if s.Quorum.away() {
		if err := s.barrier(ctx); errors.Is(err, store.ErrNoQuorum) {
			return 0, s.noQuorum(err)
		}
	}
	bounded, cancel := within(ctx, s.Timing.Write)
	defer cancel()
	result, err := s.Store.Propose(bounded, person, txn)
	if err == nil {
		err = result.Err
	}
	if err != nil {
		return 0, s.writeError(err, key)
	}
	s.Quorum.found()
	return result.Revision, nil
}

// catchUp brings the local state to all that was acknowledged before, a conflict that was seen included.
func (s *Storage) catchUp(ctx context.Context) error {
	err := s.barrier(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return storage.NewTimeoutError(s.Prefix, ctx.Err().Error())
	case errors.Is(err, store.ErrNoQuorum):
		return s.noQuorum(err)
	}
	return fmt.Errorf("read %s: %w", s.Resource, err)
}

// state is an object as it was read.
type state struct {
	obj   runtime.Object // zero when there is none
	value []byte         // nil when there is none
	rev   store.Revision
}

// current is the object as the local state has it.
func (s *Storage) current(key string) (state, error) {
	kv, ok := s.Store.View().Get(key)
	if !ok {
		return state{obj: s.New()}, nil
	}
	obj, err := s.decodeNew(kv.Value, kv.Modified)
	return state{obj: obj, value: kv.Value, rev: kv.Modified}, err
}

// attempt is a try to change a key, given how it is. A nil error ends it.
type attempt func(state) error

// retry tries, at first upon the local state, which may be behind: an error counts only if it comes from a state
// that has all that was acknowledged before. It tries again as long as somebody else was faster.
func (s *Storage) retry(ctx context.Context, key string, try attempt) error {
	st, err := s.current(key)
	if err != nil {
		return err
	}
	for fresh := false; ; fresh = true {
		failed := try(st)
		switch {
		case failed == nil, fresh && errors.Is(failed, errNothing):
			return nil
		case fresh && !errors.Is(failed, errChanged), isAnswer(failed):
			return failed
		}
		if err := s.catchUp(ctx); err != nil {
			return err
		}
		at := st.rev
		if st, err = s.current(key); err != nil {
			return err
		}
		switch {
		case st.rev != at || errors.Is(failed, errChanged):
		case errors.Is(failed, errNothing):
			return nil
		default:
			return failed // it was not behind
		}
	}
}

// answer marks an error that came back from the proposal: no fresher state would change it.
type answer struct{ error }

func (a answer) Unwrap() error { return a.error }

func isAnswer(err error) bool {
	var a answer
	return errors.As(err, &a)
}

// answered is err as it is for errChanged, and final otherwise.
func answered(err error) error {
	if err == nil || errors.Is(err, errChanged) {
		return err
	}
	return answer{err}
}

// final is the error itself, as callers compare it by type.
func final(err error) error {
	var a answer
	if errors.As(err, &a) {
		return a.error
	}
	return err
}

// Delete implements storage.Interface. The suggestion is not needed: the state is in memory.
func (s *Storage) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, _ runtime.Object, _ storage.DeleteOptions) error {
	key, err := s.key(key, false)
	if err != nil {
		return err
	}
	return final(s.retry(ctx, key, func(st state) error {
		if st.value == nil {
			return storage.NewKeyNotFoundError(key, 0)
		}
		if err := preconditions.Check(key, st.obj); err != nil {
			return err
		}
		if err := validate(ctx, st.obj); err != nil {
			return err
		}
		rev, err := s.commit(ctx, change{key: key, before: st.value, at: st.rev})
		if err != nil {
			return answered(err)
		}
		return s.decode(st.value, rev, out)
	}))
}

// GuaranteedUpdate implements storage.Interface. The suggestion is not needed: the state is in memory.
func (s *Storage) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, update storage.UpdateFunc, _ runtime.Object) error {
	key, err := s.key(key, false)
	if err != nil {
		return err
	}
	return final(s.retry(ctx, key, func(st state) error {
		if st.value == nil && !ignoreNotFound {
			return storage.NewKeyNotFoundError(key, 0)
		}
		if err := preconditions.Check(key, st.obj); err != nil {
			return err
		}
		value, err := s.updated(st, update)
		if err != nil {
			return err
		}
		if bytes.Equal(value, st.value) {
			return cmp.Or(s.decode(value, st.rev, out), errNothing)
		}
		rev, err := s.commit(ctx, change{key: key, before: st.value, after: value, at: st.rev})
		if err != nil {
			return answered(err)
		}
		return s.decode(value, rev, out)
	}))
}

// updated is the value that an update makes of a state.
func (s *Storage) updated(st state, update storage.UpdateFunc) ([]byte, error) {
	obj, _, err := update(st.obj, storage.ResponseMeta{ResourceVersion: uint64(st.rev)})
	if err != nil {
		return nil, err
	}
	return s.encode(obj)
}
