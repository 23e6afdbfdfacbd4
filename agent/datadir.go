package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/internal/durable"
	"github.com/hanse-fleet/hanse/transport"
)

// DataDir is where a member keeps what outlives it. What lies in it:
//
//	data-key.age  the key of what is private here, encrypted to an age identity (package atrest); without it, all is in the clear
//	member.json   who the member is: fleet, cluster, incarnation, the addresses that it was given
//	peers.json    the members that the fleet named when this one joined; used until the log is here
//	recovery.json the recovery recipients that the fleet begins with (first member only); used until the log is here
//	identity.*    the member's key and certificate (package transport)
//	age.key       the member's age identity, to which the keys of its groups are wrapped (keys.go)
//	admin.pem     the first admin's key and certificate (first member only)
//	raft/         the replicated log and its snapshots (package consensus)
//	raft.next/    the log of a new epoch that is being made (recover.go)
//	raft.epoch-N  the log of an epoch that a recovery ended
//	hanse.sock    the API for whoever may open this directory
//	lock          held by the running agent
//
// Everything in it is readable by its owner only. identity.key, identity.reset, age.key, admin.pem and the logs are private; of the rest it
// is known whose directory it is. recovery.json is nothing private, and lies with what is: who could write another recipient there would read all secrets.
type dataDir struct {
	folder string
	// key encrypts what is private; nil: nothing is encrypted.
	key *atrest.Key
}

func (d dataDir) String() string          { return d.folder }
func (d dataDir) path(name string) string { return filepath.Join(d.folder, name) }

func (d dataDir) raft() string   { return d.path(dirRaft) }
func (d dataDir) socket() string { return d.path("hanse.sock") }
func (d dataDir) admin() string  { return d.path(fileAdmin) }

const (
	dirRaft    = "raft"
	fileAdmin  = "admin.pem"
	fileMember = "member.json"
	filePeers  = "peers.json"
	// fileRecovery is for the first start alone.
	fileRecovery = "recovery.json"
	// fileTimeout keeps the election timeout between two starts.
	fileTimeout = "timeout.json"
)

// self is who the member of a data directory is.
type self struct {
	Fleet       string             `json:"fleet"`
	Cluster     string             `json:"cluster"`
	Region      string             `json:"region"`
	Zone        string             `json:"zone,omitempty"`
	Incarnation transport.MemberID `json:"incarnation"`
	// Addresses as a person gave them; the rest is found out at each start.
	Addresses Addresses `json:"addresses"`
	// Founder says that this member founds the fleet: it bootstraps the log.
	Founder bool `json:"founder,omitempty"`
	// Rollout is what a founder was told of rollouts.
	Rollout *v1alpha1.FleetRollout `json:"rollout,omitempty"`
	// Begun says that the member had the fleet's state once. From then on an empty log is a lost one.
	Begun bool `json:"begun,omitempty"`
	// Life counts the member's starts, so that what it says in one is never taken for older than what it said before.
	Life uint64 `json:"life,omitempty"`
	// Removed says that the fleet removed the member; it does not start again.
	Removed bool `json:"removed,omitempty"`
}

// read decodes a JSON file of the directory. The error wraps fs.ErrNotExist when there is none.
func (d dataDir) read(name string, into any) error {
	data, err := os.ReadFile(d.path(name))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %q: %w", d.path(name), err)
	}
	return nil
}

// write replaces a file of the directory: after a crash it holds the old content or the new, never a part.
func (d dataDir) write(name string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	_, err = durable.WriteFile(d.path(name), durable.Bytes(append(data, '\n')))
	return err
}

func (d dataDir) sync() error { return durable.SyncDir(d.folder) }

// self reads who the member is.
func (d dataDir) self() (self, error) {
	var s self
	err := d.read(fileMember, &s)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("data directory %s holds no member; make one with hanse init or hanse join", d)
	}
	return s, err
}

// amend changes member.json.
func (d dataDir) amend(change func(*self)) error {
	s, err := d.self()
	if err != nil {
		return err
	}
	change(&s)
	return d.write(fileMember, s)
}

// claim makes the directory for a new member and locks it. A directory that holds a member is refused.
func (d dataDir) claim(fleet string) (release func(), err error) {
	if err := os.MkdirAll(d.folder, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	release, err = d.lock()
	if err != nil {
		return nil, err
	}
	if err = Vacant(d.folder); err == nil {
		return release, nil
	}
	release()
	var old *MemberExistsError
	if errors.As(err, &old) && old.Fleet != fleet && fleet != "" {
		err = fmt.Errorf("data directory %s is of fleet %s, not of fleet %s; use another --data-dir, or remove that member first: hanse remove %s", d, old.Fleet, fleet, old.Cluster)
	}
	return nil, err
}

// Vacant is nil for a data directory that holds no member yet, and a *MemberExistsError for one that does.
func Vacant(folder string) error {
	var there self
	switch err := (dataDir{folder: folder}).read(fileMember, &there); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return &MemberExistsError{DataDir: folder, Fleet: there.Fleet, Cluster: there.Cluster}
}

// lock keeps other agents out of the directory until release is called or the process ends.
func (d dataDir) lock() (release func(), err error) {
	f, err := os.OpenFile(d.path("lock"), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600) // root may lock a directory that is not its own
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("data directory %s is %w", d, ErrInUse)
	}
	return func() { d.keepOwner(); f.Close() }, nil
}

// ErrInUse means that an agent runs on a data directory.
var ErrInUse = errors.New("in use by a running agent")

// MemberExistsError means that a data directory already holds a member of the fleet.
type MemberExistsError struct{ DataDir, Fleet, Cluster string }

func (e *MemberExistsError) Error() string {
	return fmt.Sprintf("data directory %s already holds %s of fleet %s; start it with hanse agent %s", e.DataDir, e.Cluster, e.Fleet, FlagsFor(e.DataDir))
}
