package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// told kills one member after the other, until the log of one has all that was sealed again: one that was behind may have been sent a snapshot
// in its place. whole says that nothing was cut off it.
func (f *company) told() (t told, whole bool, err error) {
	for _, m := range f.stay {
		if err := m.Kill(); err != nil {
			return t, false, err
		}
		t = told{gone: v1alpha1.KeyClusters + f.gone, sealed: map[string]bool{}, proven: map[string]bool{}, by: map[string]int{}}
		whole, err = eachCommand(filepath.Join(m.Dir, "raft"), t.take)
		if err != nil || len(t.sealed) == thousand && len(t.proven) == thousand {
			return t, whole, err
		}
	}
	return t, false, fmt.Errorf("no log has all that was sealed again: the last one has %d secrets", len(t.sealed))
}

var inKiB = unit{name: "KiB"}

// told is what a log says of a thousand secrets, in bytes, and when it said so. Each command counts as if it had an entry of its own.
type told struct {
	gone                   string // the key of the cluster that is removed
	made, rolled, resealed int
	secrets                int // how many were made, as far as the log goes back
	// group is the group's record as it was last, of so many wraps, and wrap by how much it grew for one.
	group, wraps, wrap        int
	removed, again, confirmed time.Time
	sealed, proven            map[string]bool // what was sealed again, and confirmed
	by                        map[string]int  // how many each cluster sealed again
}

func (t *told) take(c store.Command) error {
	if c.Txn == nil {
		return nil
	}
	at := time.Unix(0, c.Time)
	var made, rolled, resealed, group []store.Op
	for _, op := range c.Txn.Then {
		switch {
		case op.Key == t.gone && op.Delete:
			t.removed = at
		case strings.HasPrefix(op.Key, v1alpha1.KeyRecipientGroups):
			group = append(group, op)
		case strings.HasPrefix(op.Key, v1alpha1.KeySealings) && !t.removed.IsZero():
			if t.takeSealing(op, at) {
				resealed = append(resealed, op)
			}
		case !strings.Contains(op.Key, "s-"):
		case strings.HasPrefix(op.Key, v1alpha1.KeyFleetSecrets) && c.Person != "", strings.HasPrefix(op.Key, v1alpha1.KeyBundleRevisions):
			made = append(made, op)
			if strings.HasPrefix(op.Key, v1alpha1.KeyFleetSecrets) {
				t.secrets++
			}
		default:
			rolled = append(rolled, op)
		}
	}
	var errs []error
	weigh := func(ops ...store.Op) int {
		n, err := weight(c, ops)
		errs = append(errs, err)
		return n
	}
	own := weigh(made...)
	t.made, t.resealed = t.made+own, t.resealed+weigh(resealed...)
	if len(rolled) > 0 {
		t.rolled += weigh(append(made, rolled...)...) - own
	}
	for _, op := range group {
		t.takeGroup(op, weigh(op))
	}
	return errors.Join(errs...)
}

// weight is what a command takes of the log when it has these ops alone, as it lies there; 0 without any.
func weight(c store.Command, ops []store.Op) (int, error) {
	if len(ops) == 0 {
		return 0, nil
	}
	c.Txn = &store.Txn{If: c.Txn.If, Then: ops}
	entry, err := store.EncodeEntry([]store.Command{c})
	return len(entry), err
}

// takeGroup notes by how much a group's record grows with one more key that is wrapped. A large one lies in chunks, and is not read.
func (t *told) takeGroup(op store.Op, size int) {
	var g v1alpha1.RecipientGroup
	if json.Unmarshal(op.Value, &g) != nil {
		return
	}
	if len(g.Status.Wraps) == t.wraps+1 && t.wraps > 0 {
		t.wrap = size - t.group
	}
	t.group, t.wraps = size, len(g.Status.Wraps)
}

// takeSealing says whether an op is of one of the thousand that was sealed again.
func (t *told) takeSealing(op store.Op, at time.Time) bool {
	var s v1alpha1.Sealing
	if json.Unmarshal(op.Value, &s) != nil || s.Epoch < 2 || !strings.Contains(op.Key, "s-") {
		return false
	}
	if s.Confirmed == "" {
		t.again, t.sealed[op.Key] = at, true
		t.by[s.By]++
	} else {
		t.confirmed, t.proven[op.Key] = at, true
	}
	return true
}

// rows are how long it took, and what a secret takes.
func (t *told) rows(name string) []Row {
	kib := func(bytes int) []float64 { return []float64{float64(bytes) / thousand / 1024} }
	rows := []Row{
		newRow(name, inSeconds, []float64{t.again.Sub(t.removed).Seconds()}, nil, atMost(30, inSeconds)),
		newRow("the same, until another cluster has confirmed the last", inSeconds, []float64{t.confirmed.Sub(t.removed).Seconds()}, nil, nil),
		newRow("in the log of a secret, each time that it is sealed again", inKiB, kib(t.resealed), nil, nil),
	}
	if t.secrets != thousand {
		return rows // the log was cut
	}
	return append(rows, newRow("in the log of a secret, beside its payload: it and its revision", inKiB, kib(t.made-thousand*len(value)), nil, atMost(2.5, inKiB)))
}

// sealer is the cluster that sealed most of them.
func (t *told) sealer() (most string) {
	for name, n := range t.by {
		if most == "" || n > t.by[most] {
			most = name
		}
	}
	return most
}

// eachCommand reads the commands in the log of a member that does not run; whole says that none was cut off.
func eachCommand(dir string, take func(store.Command) error) (whole bool, err error) {
	log, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "log.bolt")})
	if err != nil {
		return false, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	first, err := log.FirstIndex()
	if err != nil {
		return false, err
	}
	last, err := log.LastIndex()
	if err != nil {
		return false, err
	}
	cut := first > 1
	for i := first; i <= last; i++ {
		var l raft.Log
		if err := log.GetLog(i, &l); errors.Is(err, raft.ErrLogNotFound) {
			cut = true // it got what was between in a snapshot
			continue
		} else if err != nil {
			return false, err
		}
		if l.Type != raft.LogCommand {
			continue
		}
		commands, err := store.DecodeEntry(l.Data)
		if err != nil {
			return false, fmt.Errorf("read entry %d: %w", i, err)
		}
		for _, c := range commands {
			if err := take(c); err != nil {
				return false, fmt.Errorf("weigh entry %d: %w", i, err)
			}
		}
	}
	return !cut, nil
}
