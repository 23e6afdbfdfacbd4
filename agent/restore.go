package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
	"github.com/google/uuid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/secrets"
	"github.com/hanse-fleet/hanse/transport"
)

// RestoreOptions make a new fleet's first member from a backup.
type RestoreOptions struct {
	// DataDir is made when it is not there; one that holds a member already is refused.
	DataDir      string
	DataIdentity *age.HybridIdentity
	// Fleet and Cluster are required. Region and Zone may be empty when the backup knows the cluster.
	Fleet, Cluster, Region, Zone string
	Addresses
	// Backup is read to its end before anything is made.
	Backup     io.Reader
	Identities []age.Identity
	// Former is the data directory of the cluster's member before, whose key it keeps.
	Former Former
	// Lost are as in epoch.Succession.
	Lost []string
	// Agree is as in RecoverOptions.
	Agree func([]epoch.Shut) error
	// Version of hanse that restores.
	Version string
	// Faults are known bugs that a test puts back.
	Faults fault.Set
}

// Restore makes the data directory of a new member from a backup: a fleet of one, in a new epoch, that only looks at its
// cluster until a person says go. The members that the backup knows are out. Interrupted, it can be repeated; after an error
// nothing is left of it. The header of the backup is returned with an error, too, if it could be read.
func Restore(o RestoreOptions) (backup.Header, epoch.Beginning, error) {
	h, v, err := backup.Read(o.Backup, o.Identities...)
	if err != nil {
		return h, epoch.Beginning{}, err
	}
	region, zone := epoch.RegionAndZone(v, o.Cluster)
	o.Region = cmp.Or(o.Region, region)
	if o.Region == region {
		o.Zone = cmp.Or(o.Zone, zone)
	}
	if err := checkNames(o.Fleet, o.Cluster, o.Region, o.Zone); err != nil {
		return h, epoch.Beginning{}, err
	}
	me := self{Fleet: o.Fleet, Cluster: o.Cluster, Region: o.Region, Zone: o.Zone, Addresses: o.Addresses, Begun: true}
	reached, err := me.Addresses.completed()
	if err != nil {
		return h, epoch.Beginning{}, err
	}
	key, err := o.Former.identity(me)
	if err != nil {
		return h, epoch.Beginning{}, err
	}
	if err := othersIn(v, me.Cluster, o.Lost); err != nil {
		return h, epoch.Beginning{}, err
	}
	s := epoch.Succession{
		Heir: store.Member{Cluster: me.Cluster}, Zone: me.Zone, Version: o.Version, Meta: newMeta(me.Cluster),
		Reason: v1alpha1.ReasonRestored, Lost: o.Lost, Renamed: o.Fleet != h.Fleet,
	}
	if key != nil {
		s.Recipient = key.Recipient().String()
	}
	if err := agreed(s.Shut(v), o.Agree); err != nil {
		return h, epoch.Beginning{}, err
	}
	_, missing := os.Stat(o.DataDir)
	dir, identity, release, err := newMember(o.DataDir, o.DataIdentity, &me)
	if err != nil {
		return h, epoch.Beginning{}, err
	}
	defer release()
	s.Heir = heirOf(identity, reached, me)
	e, err := dir.restore(v, me, s, key, o.Faults)
	if err != nil {
		err = errors.Join(err, dir.unmake(missing != nil, key != nil))
	}
	return h, e, err
}

// othersIn wants each of some clusters to be on record, beside one.
func othersIn(v *store.View, self string, names []string) error {
	for _, name := range names {
		old, _, err := epoch.OnRecord(v, name)
		if err != nil {
			return err
		}
		if old == nil || name == self {
			return fmt.Errorf("lost %s: the backup has no other cluster of that name", name)
		}
	}
	return nil
}

// restore makes a member of a claimed directory, with the key of the one before it or nil, from the state of a backup.
func (d dataDir) restore(v *store.View, me self, s epoch.Succession, key *secrets.Identity, faults fault.Set) (_ epoch.Beginning, err error) {
	if s.Recipient, err = d.keep(key); err != nil {
		return epoch.Beginning{}, err
	}
	ops, err := s.Ops(v)
	if err != nil {
		return epoch.Beginning{}, err
	}
	settings, err := epoch.Renamed(v, me.Fleet)
	if err != nil {
		return epoch.Beginning{}, err
	}
	var none consensus.Survey // a new member has no log yet
	next, err := v.Succeed(store.Succession{ID: uuid.NewString(), Index: none.NextIndex(), Ops: append(ops, settings...), Faults: faults})
	if err != nil {
		return epoch.Beginning{}, err
	}
	if err := d.begin(next, none, s.Heir.ID); err != nil {
		return epoch.Beginning{}, err
	}
	err = errors.Join(d.write(filePeers, []transport.JoinPeer{}), d.write(fileMember, me)) // member.json last: now there is a member
	return begun(me, next.View()), err
}

// unmake removes what was made in a directory of which no member came, and the directory, if it was made, too. A key that was kept is still where it came
// from; another one stays.
func (d dataDir) unmake(whole, kept bool) error {
	for _, step := range d.unmaking(whole, kept) {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// unmaking are the steps of unmake. The key goes last: until then a repetition can go on with what is encrypted.
func (d dataDir) unmaking(whole, kept bool) (steps []func() error) {
	all := []string{d.path(fileMember), d.path(filePeers), d.raft(), d.nextRaft(), d.path("lock")}
	if kept {
		all = append(all, d.path(fileKey))
	}
	for _, made := range all {
		steps = append(steps, func() error { return os.RemoveAll(made) })
	}
	steps = append(steps, func() error { return transport.RemoveIdentity(d.folder) }, d.dropKey)
	if whole {
		steps = append(steps, func() error { return os.RemoveAll(d.folder) })
	}
	return steps
}

// dropKey removes the data key, unless another try, as one of hanse init, left something that is encrypted with it.
func (d dataDir) dropKey() error {
	if left, err := d.secretLeft(); err != nil || left != "" {
		return err
	}
	return os.RemoveAll(d.path(atrest.DataKeyFile))
}

func heirOf(identity transport.Identity, a Addresses, me self) store.Member {
	return store.Member{
		ID: store.MemberID(identity.ID()), Cluster: me.Cluster, Region: me.Region, Eligible: true, Rights: string(v1alpha1.RightsAdmin),
		Certificate: identity.Certificate(), Pin: store.Pin(identity.Pin()), Addresses: a.Advertise, Server: a.server(), Applies: store.Version,
	}
}

// begin makes the member's log, over what an earlier try left. There is no member yet that could have had another.
func (d dataDir) begin(s *store.Snapshot, after consensus.Survey, id store.MemberID) error {
	for _, old := range []string{d.raft(), d.nextRaft()} {
		if err := os.RemoveAll(old); err != nil {
			return fmt.Errorf("make log: %w", err)
		}
	}
	if err := consensus.Begin(d.nextRaft(), d.key, id, s, after); err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	if err := os.Rename(d.nextRaft(), d.raft()); err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	return d.sync()
}

func begun(me self, v *store.View) epoch.Beginning {
	return epoch.Begun(v, epoch.Beginning{Fleet: me.Fleet, Cluster: me.Cluster, Region: me.Region})
}
