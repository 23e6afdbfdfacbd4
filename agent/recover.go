package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/google/uuid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/transport"
)

// RecoverOptions let one survivor go on without the majority.
type RecoverOptions struct {
	DataDir      string
	DataIdentity *age.HybridIdentity
	// Survivors and Fenced are as in epoch.Recovery.
	Survivors []epoch.Statement
	Fenced    []string
	// Agree is told for which groups this member can open nothing, none among them, before anything is changed; its error is why it is not. Nil agrees.
	Agree func([]epoch.Shut) error
	// Version of hanse that recovers.
	Version string
	// Faults are known bugs that a test puts back.
	Faults fault.Set
}

// Recover makes a survivor that does not run the only member of a new epoch. Its log is kept beside the new one. A crash
// leaves the old state or the new one, or one that Recover finishes when it is called again:
//
//	raft                        as before; raft.next may be there, half made: it is made again
//	raft.epoch-N and raft.next  the new one is whole: it only wants its name
//	raft.epoch-N and raft       done
func Recover(o RecoverOptions) (epoch.Beginning, error) {
	dir, me, release, err := stopped(o.DataDir, o.DataIdentity)
	if err != nil {
		return epoch.Beginning{}, err
	}
	defer release()
	if errors.Is(dir.unfinished(), ErrUnfinished) {
		return dir.finish(me)
	}
	mine, found, v, err := dir.survey(me)
	if err != nil {
		return epoch.Beginning{}, err
	}
	r := epoch.Recovery{Mine: mine, Survivors: o.Survivors, Fenced: o.Fenced}
	if err := r.Check(); err != nil {
		return epoch.Beginning{}, err
	}
	next, err := dir.succeed(me, v, found, o)
	if err != nil {
		return epoch.Beginning{}, err
	}
	for _, step := range dir.recovery(next, found, store.MemberID(me.Incarnation), v.Epoch().Number) {
		if err := step(); err != nil {
			return epoch.Beginning{}, fmt.Errorf("recover: %w", err)
		}
	}
	return begun(me, next.View()), nil
}

// succeed is the state that the member goes on with.
func (d dataDir) succeed(me self, v *store.View, found consensus.Survey, o RecoverOptions) (*store.Snapshot, error) {
	heir, ok := v.Member(store.MemberID(me.Incarnation))
	if !ok {
		return nil, fmt.Errorf("%s is no member by its own log; recover on another survivor, and let %s join there with a fresh --data-dir", me.Cluster, me.Cluster)
	}
	identity, err := transport.LoadIdentity(d.folder, d.key)
	if err != nil {
		return nil, err
	}
	if store.Pin(identity.Pin()) != heir.Pin {
		return nil, fmt.Errorf("the key in %s is not the one that the fleet knows of %s; put the right identity.* files there, or recover on another survivor", d, me.Cluster)
	}
	heir.Eligible, heir.Rights = true, string(v1alpha1.RightsAdmin)
	recipient, err := d.keep(nil)
	if err != nil {
		return nil, err
	}
	_, zone := epoch.RegionAndZone(v, me.Cluster)
	s := epoch.Succession{Heir: heir, Zone: zone, Version: o.Version, Reason: v1alpha1.ReasonRecovered, Recipient: recipient, Lost: o.Fenced, Meta: newMeta(me.Cluster)}
	if err := agreed(s.Shut(v), o.Agree); err != nil {
		return nil, err
	}
	ops, err := s.Ops(v)
	if err != nil {
		return nil, err
	}
	return v.Succeed(store.Succession{ID: uuid.NewString(), Index: found.NextIndex(), Ops: ops, Faults: o.Faults})
}

func agreed(shut []epoch.Shut, agree func([]epoch.Shut) error) error {
	if agree == nil {
		return nil
	}
	return agree(shut)
}

// recovery is what is done on the disk, in order. It may end after any step.
func (d dataDir) recovery(next *store.Snapshot, found consensus.Survey, id store.MemberID, left uint64) []func() error {
	return []func() error{
		func() error { return os.RemoveAll(d.nextRaft()) },
		func() error { return consensus.Begin(d.nextRaft(), d.key, id, next, found) },
		d.sync,
		func() error { return os.Rename(d.raft(), d.oldRaft(left)) },
		d.sync,
		func() error { return os.Rename(d.nextRaft(), d.raft()) },
		d.sync,
	}
}

// ErrUnfinished means that a recovery was begun and cut off: it is finished by being made again.
var ErrUnfinished = errors.New("a recovery was interrupted here")

// unfinished says that a recovery went so far that only it can go on: the old log is put by, and the new one wants its name.
func (d dataDir) unfinished() error {
	_, noLog := os.Stat(d.raft())
	_, noNext := os.Stat(d.nextRaft())
	if !errors.Is(noLog, fs.ErrNotExist) || noNext != nil || len(d.oldRafts("*")) == 0 {
		return nil
	}
	return fmt.Errorf("%w; finish it: hanse recover %s", ErrUnfinished, FlagsFor(d.folder))
}

// forgetNext removes what a recovery that was cut off early has left, and that nobody finished: the member has gone on
// since, and should its log be lost one day, this must not be taken for it.
func (d dataDir) forgetNext() error {
	if _, err := os.Stat(d.raft()); err != nil {
		return nil // nothing has gone on here
	}
	if err := os.RemoveAll(d.nextRaft()); err != nil {
		return fmt.Errorf("remove what an interrupted recovery left: %w", err)
	}
	return nil
}

// finish gives the new log its name.
func (d dataDir) finish(me self) (epoch.Beginning, error) {
	v, _, err := d.inspect(d.nextRaft())
	if err != nil {
		return epoch.Beginning{}, fmt.Errorf("finish recovery: %w", err)
	}
	if err := d.follows(v); err != nil {
		return epoch.Beginning{}, err
	}
	if err := errors.Join(os.Rename(d.nextRaft(), d.raft()), d.sync()); err != nil {
		return epoch.Beginning{}, fmt.Errorf("finish recovery: %w", err)
	}
	return begun(me, v), nil
}

// follows wants a state to go on where the log ended that was put by for it.
func (d dataDir) follows(next *store.View) error {
	ended := next.Epoch().Number - 1
	for _, old := range append(d.oldRafts(fmt.Sprint(ended)), d.oldRafts(fmt.Sprintf("%d-*", ended))...) {
		if _, found, err := d.inspect(old); err == nil && found.NextIndex() == next.Index() {
			return nil
		}
	}
	return fmt.Errorf("%s is left from another recovery, and the log of epoch %d that it would go on from is not beside it; remove it, and recover on another survivor, or let this cluster join again with a fresh --data-dir", d.nextRaft(), ended)
}

func (d dataDir) nextRaft() string { return d.path("raft.next") }

// oldRaft is where the log of an epoch is kept: nothing of it is lost by a recovery.
func (d dataDir) oldRaft(of uint64) string {
	path := d.path(fmt.Sprintf("raft.epoch-%d", of))
	for i := 2; ; i++ {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return path
		}
		path = d.path(fmt.Sprintf("raft.epoch-%d-%d", of, i))
	}
}

func (d dataDir) oldRafts(which string) []string {
	found, _ := filepath.Glob(d.path("raft.epoch-" + which)) // its only error is a bad pattern
	return found
}
