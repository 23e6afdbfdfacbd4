package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// Scheduled backups. The leader orders one from a member, the member makes it and writes what came of it, all in one
// record of the log (v1alpha1.BackupRecord), so that it is made once, whoever leads or restarts meanwhile:
//
//	nothing due --(due: leader)--> ordered --(made | failed: the member)--> nothing due
//	                               ordered --(the member is away, or slow: leader)--> ordered from another

// fileS3 is where a member's own S3 credentials may lie, in the form of ~/.aws/credentials. They are in no log.
const fileS3 = "s3-credentials"

// backupRecord is what the log knows of backups, and what must still hold when it is written again.
func backupRecord(v *store.View) (r v1alpha1.BackupRecord, as store.Condition, err error) {
	as = v.AsSeen(v1alpha1.KeyBackups)
	kv, ok := v.Get(v1alpha1.KeyBackups)
	if !ok {
		return r, as, nil
	}
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return r, as, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
	}
	return r, as, nil
}

// backupStatus is the latest backup that was made on schedule, and what people should know about them.
func (c *Core) backupStatus(v *store.View, now time.Time) (latest *v1alpha1.BackupMade, warning string) {
	record, _, err := backupRecord(v)
	if err != nil {
		return nil, err.Error()
	}
	if n := len(record.Made); n > 0 {
		latest = &record.Made[n-1]
	}
	fleet, err := c.decoded.Fleet(v)
	if err != nil {
		return latest, err.Error()
	}
	return latest, plan.BackupWarning(fleet.Backup, record, now)
}

// orderBackup is the leader's part.
func (l *leader) orderBackup(ctx context.Context, s scene) error {
	record, as, err := backupRecord(s.view)
	if err != nil {
		return err
	}
	fleet, err := l.decoded.Fleet(s.view)
	if err != nil {
		return err
	}
	b := plan.Backups{Now: s.plan.Now, Spec: fleet.Backup, Record: record, Observes: epoch.NobodyActs(s.view), Leader: l.self.Cluster}
	voters := l.node.Status().Voters
	for _, m := range s.view.Members() {
		if slices.Contains(voters, m.ID) && s.plan.Sightings[m.Cluster].Fresh {
			b.Able = append(b.Able, m.Cluster)
		}
	}
	next := b.Next()
	if next.Order == record.Order {
		return nil
	}
	op, err := law.Put(v1alpha1.KeyBackups, next)
	if err != nil {
		return err
	}
	return l.write(ctx, []store.Condition{as}, op)
}

// makeBackups is the member's part: it makes what it is ordered to.
func (c *Core) makeBackups(ctx context.Context) error {
	return c.follow(ctx, []string{v1alpha1.KeyBackups}, func(v *store.View) error {
		record, _, err := backupRecord(v)
		if err != nil {
			c.log.Error("backups cannot be made", "err", err)
			return nil
		}
		if o := record.Order; o != nil && o.Cluster == c.self.Cluster {
			c.carryOut(ctx, *o)
		}
		return nil
	})
}

// carryOut makes one backup, and tells the fleet what came of it.
func (c *Core) carryOut(ctx context.Context, o v1alpha1.BackupOrder) {
	ctx, cancel := context.WithTimeout(ctx, plan.BackupPatience)
	defer cancel()
	v := c.store.View()
	fleet, err := c.decoded.Fleet(v)
	if err != nil {
		c.log.Warn("backup not made", "err", err)
		return
	}
	spec := fleet.Backup
	if spec == nil || epoch.NobodyActs(v) {
		return // the leader takes the order back
	}
	place, made, err := c.makeBackup(ctx, spec)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		c.log.Warn("backup failed", "to", spec.To, "err", err)
	}
	err = c.amendBackups(ctx, func(r v1alpha1.BackupRecord) (v1alpha1.BackupRecord, bool) {
		if err != nil {
			return plan.BackupFailed(r, o, advised(err))
		}
		return plan.BackupMade(r, o, made)
	})
	if err == nil && place != nil {
		err = c.expireBackups(ctx, spec, place)
	}
	if err != nil && ctx.Err() == nil {
		c.log.Warn("could not write down what became of a backup", "err", err)
	}
}

// advised is an error with what to do about it.
func advised(err error) string {
	if next := backup.Advice(err); next != "" {
		return err.Error() + "; " + next
	}
	return err.Error()
}

// makeBackup writes the newest state to where the settings say. The place is nil when there is no backup.
func (c *Core) makeBackup(ctx context.Context, spec *v1alpha1.BackupSpec) (backup.Place, v1alpha1.BackupMade, error) {
	to, err := backup.ParseRecipients(spec.Recipients)
	if err != nil {
		return nil, v1alpha1.BackupMade{}, err
	}
	place, err := backup.OpenPlace(spec.To, backup.Settings{Endpoint: spec.Endpoint, Credentials: c.dir.s3Credentials(), Carrier: c.s3})
	if err != nil {
		return nil, v1alpha1.BackupMade{}, err
	}
	if _, err := c.node.Read(ctx); err != nil {
		return nil, v1alpha1.BackupMade{}, err
	}
	s := c.store.Snapshot()
	h := c.backupHeader(s.View())
	size, err := place.Put(ctx, h.Name(), func(w io.Writer) error {
		_, err := backup.Write(w, to, h, s)
		return err
	})
	if err != nil {
		return nil, v1alpha1.BackupMade{}, err
	}
	c.log.Info("backup made", "to", spec.To, "name", h.Name(), "size", size)
	return place, v1alpha1.BackupMade{To: spec.To, Name: h.Name(), Revision: uint64(h.Revision), By: c.self.Cluster, Size: size}, nil
}

// expireBackups deletes what the retention does not keep: by the record, so that nothing is touched that the fleet did not
// write; and of a folder only what this member wrote itself, since others have folders of their own.
func (c *Core) expireBackups(ctx context.Context, spec *v1alpha1.BackupSpec, place backup.Place) error {
	record, _, err := backupRecord(c.store.View())
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	var errs []error
	for _, m := range plan.ExpiredBackups(spec.Retention, record.Made, c.now()) {
		fleet, _, ok := backup.ParseName(m.Name)
		if !ok || fleet != c.self.Fleet || m.To != spec.To || filepath.IsAbs(m.To) && m.By != c.self.Cluster {
			continue
		}
		if err := place.Delete(ctx, m.Name); err != nil {
			errs = append(errs, err)
			continue
		}
		gone[m.Name] = true
	}
	if len(gone) > 0 {
		errs = append(errs, c.amendBackups(ctx, func(r v1alpha1.BackupRecord) (v1alpha1.BackupRecord, bool) {
			r.Made = slices.DeleteFunc(r.Made, func(m v1alpha1.BackupMade) bool { return m.To == spec.To && gone[m.Name] })
			return r, true
		}))
	}
	return errors.Join(errs...)
}

// amendBackups changes the record, from what it is at the time; change says whether there is anything to write.
func (c *Core) amendBackups(ctx context.Context, change func(v1alpha1.BackupRecord) (next v1alpha1.BackupRecord, ok bool)) error {
	_, err := c.again(ctx, func(v *store.View) (p consensus.Proposal, err error) {
		record, as, err := backupRecord(v)
		if err != nil {
			return p, err
		}
		next, ok := change(record)
		if !ok {
			return p, nil
		}
		op, err := law.Put(v1alpha1.KeyBackups, next)
		return consensus.Proposal{Txn: store.Txn{If: []store.Condition{as}, Then: []store.Op{op}}}, err
	})
	return err
}
