package consensus

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// guard stands between raft and the disk. A write that fails, or any call that takes longer than the bound, breaks
// it: the node falls silent, Config.Fatal is called once, and no goroutine of raft that used the disk goes on, so
// that nothing is retried, acknowledged or decided on a disk in doubt.
//
//	whole --(write fails | call stalls)--> broken      (there is no way back)
type guard struct {
	stall time.Duration
	fatal func(error) // called once, from any goroutine, with broken already closed

	writes fsyncs // how long the log's take

	running atomic.Bool // raft's goroutines run: a broken guard ends them instead of answering them
	inside  atomic.Int64
	once    sync.Once
	broken  chan struct{}
	cause   error // set before broken is closed
}

// errDisk means that the disk failed before, and nothing more is tried on it.
var errDisk = errors.New("disk failed")

func newGuard(stall time.Duration, fatal func(error)) *guard {
	return &guard{stall: stall, fatal: fatal, broken: make(chan struct{})}
}

// breakWith is idempotent: the first cause stays.
func (g *guard) breakWith(cause error) {
	g.once.Do(func() {
		g.cause = cause
		close(g.broken)
		g.fatal(cause)
	})
}

func (g *guard) isBroken() bool {
	select {
	case <-g.broken:
		return true
	default:
		return false
	}
}

// err is why the guard is broken, or nil.
func (g *guard) err() error {
	if !g.isBroken() {
		return nil
	}
	return fmt.Errorf("%w: %w", errDisk, g.cause)
}

// try runs one disk operation under the watchdog and answers with its error or the guard's.
func (g *guard) try(what string, op func() error) error {
	if err := g.err(); err != nil {
		return err
	}
	g.inside.Add(1)
	defer g.inside.Add(-1)
	watchdog := time.AfterFunc(g.stall, func() {
		g.breakWith(fmt.Errorf("%s takes longer than %s", what, g.stall))
	})
	defer watchdog.Stop()
	if err := op(); err != nil {
		if errors.Is(err, raft.ErrLogNotFound) || isNotFound(err) {
			return err
		}
		g.breakWith(fmt.Errorf("%s: %w", what, err))
		return g.err()
	}
	return g.err()
}

// do is try for raft: on a broken guard it does not return but ends the calling goroutine. raft's own clean-up runs,
// and its refusals are the only answers that it can still give.
func (g *guard) do(what string, op func() error) error {
	err := g.try(what, op)
	if err != nil && errors.Is(err, errDisk) && g.running.Load() {
		runtime.Goexit()
	}
	return err
}

// isNotFound recognizes the error that raft's StableStore contract gives for a missing key.
func isNotFound(err error) bool { return err.Error() == "not found" }

// guardedLog is a raft.LogStore behind a guard.
type guardedLog struct {
	g   *guard
	log raft.LogStore
}

func (s guardedLog) FirstIndex() (i uint64, err error) {
	err = s.g.do("read first index", func() (err error) { i, err = s.log.FirstIndex(); return err })
	return i, err
}

func (s guardedLog) LastIndex() (i uint64, err error) {
	err = s.g.do("read last index", func() (err error) { i, err = s.log.LastIndex(); return err })
	return i, err
}

func (s guardedLog) GetLog(index uint64, l *raft.Log) error {
	return s.g.do("read log", func() error { return s.log.GetLog(index, l) })
}

func (s guardedLog) StoreLog(l *raft.Log) error {
	return s.g.do("write log", func() error { return s.log.StoreLog(l) })
}

func (s guardedLog) StoreLogs(ls []*raft.Log) error {
	began := time.Now()
	defer func() { s.g.writes.note(time.Since(began), time.Now()) }()
	return s.g.do("write log", func() error { return s.log.StoreLogs(ls) })
}

func (s guardedLog) DeleteRange(low, high uint64) error {
	return s.g.do("cut log", func() error { return s.log.DeleteRange(low, high) })
}

// guardedStable is a raft.StableStore behind a guard.
type guardedStable struct {
	g      *guard
	stable raft.StableStore
}

func (s guardedStable) Set(k, v []byte) error {
	return s.g.do("write vote", func() error { return s.stable.Set(k, v) })
}

func (s guardedStable) SetUint64(k []byte, v uint64) error {
	return s.g.do("write term", func() error { return s.stable.SetUint64(k, v) })
}

func (s guardedStable) Get(k []byte) (v []byte, err error) {
	err = s.g.do("read vote", func() (err error) { v, err = s.stable.Get(k); return err })
	return v, err
}

func (s guardedStable) GetUint64(k []byte) (v uint64, err error) {
	err = s.g.do("read term", func() (err error) { v, err = s.stable.GetUint64(k); return err })
	return v, err
}

// guardedSnapshots is a raft.SnapshotStore whose writes are behind a guard. Reads have no bound in time, as they take
// as long as the snapshot is large; but one that finds damage breaks the guard.
type guardedSnapshots struct {
	g *guard
	raft.SnapshotStore
}

func (s guardedSnapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	var sink raft.SnapshotSink
	err := s.g.do("make snapshot", func() (err error) {
		sink, err = s.SnapshotStore.Create(v, index, term, c, ci, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return guardedSink{g: s.g, SnapshotSink: sink}, nil
}

func (s guardedSnapshots) List() ([]*raft.SnapshotMeta, error) {
	metas, err := s.SnapshotStore.List()
	return metas, s.g.seen(err)
}

func (s guardedSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	m, r, err := s.SnapshotStore.Open(id)
	if err != nil {
		return nil, nil, s.g.seen(err)
	}
	return m, guardedContent{g: s.g, ReadCloser: r}, nil
}

type guardedContent struct {
	g *guard
	io.ReadCloser
}

func (c guardedContent) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	return n, c.g.seen(err)
}

// seen breaks the guard when an error is a DamagedError.
func (g *guard) seen(err error) error {
	if damaged := new(DamagedError); errors.As(err, &damaged) {
		g.breakWith(err)
	}
	return err
}

// guardedSink answers raft also when the guard breaks: of a snapshot that failed nothing follows, and raft has to end
// what watches over it.
type guardedSink struct {
	g *guard
	raft.SnapshotSink
}

func (s guardedSink) Write(p []byte) (n int, err error) {
	err = s.g.try("write snapshot", func() (err error) { n, err = s.SnapshotSink.Write(p); return err })
	return n, err
}

func (s guardedSink) Close() error {
	return s.g.try("finish snapshot", s.SnapshotSink.Close)
}
