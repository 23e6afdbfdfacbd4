package kvstorage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/warning"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Get implements storage.Interface.
func (s *Storage) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	key, err := s.key(key, false)
	if err != nil {
		return err
	}
	v, err := s.notOlderThan(ctx, opts.ResourceVersion)
	if err != nil {
		return err
	}
	kv, ok := v.Get(key)
	switch {
	case ok:
		return s.unreadable(kv.Key, s.decode(kv.Value, kv.Modified, out))
	case v.stale != nil:
		return s.unknown(v, key)
	case opts.IgnoreNotFound:
		return runtime.SetZeroValue(out)
	}
	return storage.NewKeyNotFoundError(key, 0)
}

// sight is a state as a reader gets it.
type sight struct {
	*store.View
	stale error // why it may lack what was acknowledged, when a reader asked for all of that
}

// notOlderThan is the state by the rules of resourceVersion: "" all that was acknowledged, "0" whatever is here,
// else that revision or a later one.
func (s *Storage) notOlderThan(ctx context.Context, resourceVersion string) (sight, error) {
	v, err := s.byVersion(ctx, resourceVersion)
	if err == nil && v.Revision() == 0 {
		return sight{}, Starting("this member does not have the fleet's state yet; ask again in a moment, or another member")
	}
	return v, err
}

func (s *Storage) byVersion(ctx context.Context, resourceVersion string) (sight, error) {
	switch resourceVersion {
	case "":
		return s.fresh(ctx)
	case "0":
		return sight{View: s.Store.View()}, nil
	}
	rev, err := s.ParseResourceVersion(resourceVersion)
	if err != nil {
		return sight{}, err
	}
	v, err := s.reached(ctx, store.Revision(rev))
	return sight{View: v}, err
}

// fresh is the state with all that was acknowledged before. Without quorum a read gets the local state, with a
// warning; a request that wants to write gets the error.
func (s *Storage) fresh(ctx context.Context) (sight, error) {
	err := s.barrier(ctx)
	switch {
	case err == nil:
		return sight{View: s.Store.View()}, nil
	case ctx.Err() != nil:
		return sight{}, storage.NewTimeoutError(s.Prefix, ctx.Err().Error())
	case !errors.Is(err, store.ErrNoQuorum):
		return sight{}, fmt.Errorf("read %s: %w", s.Resource, err)
	case writing(ctx):
		return sight{}, s.noQuorum(err)
	}
	v := s.Store.View()
	warning.AddWarning(ctx, WarningAgent, s.stale(v))
	return sight{v, err}, nil
}

// barrier waits, not for ever, until the local state has all that was acknowledged before.
func (s *Storage) barrier(ctx context.Context) error {
	bounded, cancel := within(ctx, s.Quorum.patience(s.Timing.Read))
	defer cancel()
	_, err := s.Store.Read(bounded)
	if err == nil {
		s.Quorum.found()
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w: no answer in time", store.ErrNoQuorum)
	}
	return err
}

func (s *Storage) stale(v *store.View) string {
	missed := s.Quorum.missed().Round(time.Second)
	return fmt.Sprintf("no quorum for %s; state as of revision %d, written %s ago", missed, v.Revision(), age(v))
}

// age is how long ago the last transaction of the state was written, by the leader's clock.
func age(v *store.View) time.Duration {
	return max(time.Since(v.Time()), 0).Round(time.Second)
}

// writing says that the request that asks wants to write what it reads.
func writing(ctx context.Context) bool {
	info, ok := apirequest.RequestInfoFrom(ctx)
	if !ok || !info.IsResourceRequest {
		return false
	}
	return info.Verb != "get" && info.Verb != "list" && info.Verb != "watch"
}

// reached is the local state once it has the revision.
func (s *Storage) reached(ctx context.Context, rev store.Revision) (*store.View, error) {
	v := s.Store.View()
	if v.Revision() >= rev {
		return v, nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.Timing.Behind)
	defer cancel()
	if err := s.Store.WaitFor(bounded, rev); err != nil {
		if ctx.Err() != nil {
			return nil, storage.NewTimeoutError(s.Prefix, ctx.Err().Error())
		}
		return nil, storage.NewTooLargeResourceVersionError(uint64(rev), uint64(s.Store.View().Revision()), 1)
	}
	return s.Store.View(), nil
}

// within bounds a wait, so that what is said about its failure is out before the request itself is given up.
func within(ctx context.Context, bound time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		bound = min(bound, left-left/8)
	}
	return context.WithTimeout(ctx, bound)
}
