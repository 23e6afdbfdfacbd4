package kvstorage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Store is the replicated store as this package needs it. All methods may be called from any goroutine.
type Store interface {
	// View is the local state, now.
	View() *store.View
	Watch(prefix string, after store.Revision) (*store.Watcher, error)
	// WaitFor returns when the local state has the revision.
	WaitFor(context.Context, store.Revision) error
	// Propose returns when the transaction is applied locally. The person is the one who asks, empty for the
	// member itself. A transaction whose conditions do not hold is a *store.Conflict.
	Propose(ctx context.Context, person string, txn store.Txn) (store.Result, error)
	// Read returns when the local state has everything that was acknowledged, anywhere, before the call.
	Read(context.Context) (store.Revision, error)
}

// Asker is whoever asks for a write, as the member knows them.
type Asker struct {
	// Person is as the log names them, empty for the member itself.
	Person string
	Groups []string
	// SourceIP and UserAgent say where the request came from; either may be empty.
	SourceIP, UserAgent string
}

// Write is one key that is to be written: After is nil when it is deleted, Before when it is not there yet.
type Write struct {
	Key           string
	Before, After []byte
	Asker         Asker
}

// Companion says what else the transaction of a write must hold. It is called again for each attempt, with the view that
// the attempt builds on, and must not keep or change what it is given.
type Companion func(*store.View, Write) ([]store.Condition, []store.Op, error)

// Timing is how long the storage waits; zero fields get the defaults.
type Timing struct {
	Read     time.Duration // for a linearizable read, before it answers from the local state; 2.5 s
	Behind   time.Duration // for the local state to reach a revision that was asked for; 3 s
	Write    time.Duration // for a transaction; 20 s
	Bookmark time.Duration // between the bookmarks of a watch; 1 min
	Stall    time.Duration // for a client to take a piece of what it watches; 30 s
}

// Completed is the timing with its defaults.
func (t Timing) Completed() Timing {
	for field, value := range map[*time.Duration]time.Duration{
		&t.Read: 2500 * time.Millisecond, &t.Behind: 3 * time.Second, &t.Write: 20 * time.Second, &t.Bookmark: time.Minute, &t.Stall: 30 * time.Second,
	} {
		if *field == 0 {
			*field = value
		}
	}
	return t
}

// Config is what the storage of one resource is made of.
type Config struct {
	Store     Store
	Companion Companion // optional
	// Foretell says what whoever asks for a write is told with the answer; optional.
	Foretell func(*store.View, Write) []string
	// Judge says why the store would refuse a person's transaction as things are here; optional.
	Judge func(person string, txn store.Txn) error
	// Asker tells who asks, from the context of a request; optional.
	Asker func(context.Context) Asker
	// Quorum is shared by all resources, and so is the audience, which bounds nothing when it is absent.
	Quorum   *Quorum
	Audience *Audience
	Timing   Timing

	Resource schema.GroupResource
	Prefix   string // "/bundles"
	Codec    runtime.Codec
	// Decode reads a value into an empty object, quicker than the Codec can, which must make the same of it; optional.
	Decode func(value []byte, into runtime.Object) error
	New    func() runtime.Object
}

// Storage is the storage.Interface of one resource.
type Storage struct {
	storage.APIObjectVersioner
	Config
}

var _ storage.Interface = (*Storage)(nil)

// New makes the storage of one resource.
func New(c Config) *Storage {
	c.Timing = c.Timing.Completed()
	if c.Companion == nil {
		c.Companion = func(*store.View, Write) ([]store.Condition, []store.Op, error) { return nil, nil, nil }
	}
	if c.Judge == nil {
		c.Judge = func(string, store.Txn) error { return nil }
	}
	if c.Foretell == nil {
		c.Foretell = func(*store.View, Write) []string { return nil }
	}
	if c.Asker == nil {
		c.Asker = func(context.Context) Asker { return Asker{} }
	}
	if c.Audience == nil {
		c.Audience = NewAudience(nil)
	}
	if c.Decode == nil {
		c.Decode = func(value []byte, into runtime.Object) error { return decodeBy(c.Codec, value, into) }
	}
	return &Storage{Config: c}
}

// Versioner implements storage.Interface.
func (s *Storage) Versioner() storage.Versioner { return s.APIObjectVersioner }

// key checks that a key lies under the resource's prefix and hides nothing like "..".
func (s *Storage) key(key string, recursive bool) (string, error) {
	return storage.PrepareKey(s.Prefix+"/", key, recursive)
}

// name is the part of a key that people know.
func (s *Storage) name(key string) string {
	return strings.TrimPrefix(strings.TrimPrefix(key, s.Prefix), "/")
}

// decode reads a value into an object, with the revision as its resourceVersion.
func (s *Storage) decode(value []byte, rev store.Revision, into runtime.Object) error {
	if err := runtime.SetZeroValue(into); err != nil { // decoding adds to what is there
		return fmt.Errorf("decode %s: %w", s.Resource, err)
	}
	if err := s.Decode(value, into); err != nil {
		return fmt.Errorf("decode %s: %w", s.Resource, err)
	}
	return s.UpdateObject(into, uint64(rev))
}

func decodeBy(codec runtime.Codec, value []byte, into runtime.Object) error {
	obj, _, err := codec.Decode(value, nil, into)
	if err == nil && obj != into {
		err = fmt.Errorf("a %T is in the place of a %T", obj, into)
	}
	return err
}

func (s *Storage) decodeNew(value []byte, rev store.Revision) (runtime.Object, error) {
	obj := s.New()
	return obj, s.decode(value, rev, obj)
}

// Stats implements storage.Interface.
func (s *Storage) Stats(context.Context) (storage.Stats, error) {
	var stats storage.Stats
	for _, kv := range s.Store.View().List(s.Prefix + "/") {
		stats.ObjectCount++
		stats.EstimatedAverageObjectSizeBytes += int64(len(kv.Value))
	}
	if stats.ObjectCount > 0 {
		stats.EstimatedAverageObjectSizeBytes /= stats.ObjectCount
	}
	return stats, nil
}

// GetCurrentResourceVersion implements storage.Interface.
func (s *Storage) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	v, err := s.fresh(ctx)
	if err != nil {
		return 0, err
	}
	return uint64(v.Revision()), nil
}

// ReadinessCheck implements storage.Interface. The local state is always there; quorum must not matter.
func (s *Storage) ReadinessCheck() error { return nil }

// RequestWatchProgress implements storage.Interface. Only a watch cache calls it, and there is none.
func (s *Storage) RequestWatchProgress(context.Context) error { return nil }

// EnableResourceSizeEstimation implements storage.Interface. Stats knows the sizes without it.
func (s *Storage) EnableResourceSizeEstimation(keys storage.KeysFunc) error {
	if keys == nil {
		return errors.New("no function to list keys")
	}
	return nil
}

// CompactRevision implements storage.Interface. The history forgets by count; nobody has to be told.
func (s *Storage) CompactRevision() int64 { return 0 }
