package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

const (
	// BackupPatience is how long a member may take for a backup, until another is asked.
	BackupPatience = time.Hour
	// backupRetry is how long after a try that failed the next one begins, unless a backup is due before.
	backupRetry = 10 * time.Minute
	// overdue is how many intervals the latest backup may be old before people are told.
	overdue = 2
	// farAhead is a time in the future that no difference of clocks explains: it was written by a clock that was wrong, and
	// is believed no more, or there would be no backup until then.
	farAhead = 24 * time.Hour
)

// Backups is what the leader decides about backups from. All times in the record are of the orders, so of the leader's
// clock: the clock of a member that makes a backup decides nothing.
type Backups struct {
	Now    time.Time
	Spec   *v1alpha1.BackupSpec // nil: none are made
	Record v1alpha1.BackupRecord
	// Observes says that the fleet only looks: none are made, and none is missed.
	Observes bool
	// Able are the clusters whose members vote and were heard a moment ago; Leader is the leader's own.
	Able   []string
	Leader string
}

// Next is the record as it should be now: with the order that stands, a new one, or none, and with the failure of a member
// that took too long. Its order is the very same pointer when there is nothing to write.
func (b Backups) Next() v1alpha1.BackupRecord {
	if b.Spec == nil || b.Observes {
		b.Record.Order = nil
		return b.Record
	}
	o := b.Record.Order
	switch late := o != nil && b.isPast(o.At, BackupPatience); {
	case o == nil && !b.due(), o != nil && !late && slices.Contains(b.Able, o.Cluster):
		return b.Record
	case late:
		b.Record.Order = nil
		b.Record.Failed = &v1alpha1.BackupFailed{At: o.At, By: o.Cluster, Error: fmt.Sprintf("it was not made within %s", BackupPatience)}
	}
	if who := b.choose(); who != "" {
		b.Record.Order = &v1alpha1.BackupOrder{Cluster: who, At: b.Now.UTC().Truncate(time.Second)}
	}
	return b.Record
}

// isPast says that so much time went by since at.
func (b Backups) isPast(at time.Time, d time.Duration) bool {
	ago := b.Now.Sub(at)
	return ago >= d || ago < -farAhead
}

// due says that a backup was to be made since the latest one; the first one is due at once.
func (b Backups) due() bool {
	due := b.Spec.Due(b.Now)
	if f := b.Record.Failed; f != nil {
		return f.At.Before(due) || b.isPast(f.At, backupRetry)
	}
	last, any := b.last()
	return !any || last.At.Before(due) || b.isPast(last.At, b.Spec.Every.Duration)
}

func (b Backups) last() (v1alpha1.BackupMade, bool) {
	if n := len(b.Record.Made); n > 0 {
		return b.Record.Made[n-1], true
	}
	return v1alpha1.BackupMade{}, false
}

// choose takes one that does not lead, and another one than failed last, if there is one.
func (b Backups) choose() string {
	able := slices.Clone(b.Able)
	slices.Sort(able)
	burden := func(c string) (n int) {
		if c == b.Leader {
			n++
		}
		if o := b.Record.Order; o != nil && o.Cluster == c || b.Record.Failed != nil && b.Record.Failed.By == c {
			n += 2
		}
		return n
	}
	slices.SortStableFunc(able, func(x, y string) int { return burden(x) - burden(y) })
	if len(able) == 0 {
		return ""
	}
	return able[0]
}

// BackupMade is the record once the member that an order was for has made the backup; !ok: another was asked meanwhile, and
// what was made is in nobody's way. Beyond v1alpha1.MaxBackups the oldest are forgotten, and so never deleted.
func BackupMade(r v1alpha1.BackupRecord, o v1alpha1.BackupOrder, m v1alpha1.BackupMade) (next v1alpha1.BackupRecord, ok bool) {
	if r.Order == nil || *r.Order != o {
		return r, false
	}
	m.At = o.At
	kept := r.Made[max(0, len(r.Made)+1-v1alpha1.MaxBackups):]
	return v1alpha1.BackupRecord{Made: append(slices.Clone(kept), m)}, true
}

// BackupFailed is the record once the member that an order was for has failed.
func BackupFailed(r v1alpha1.BackupRecord, o v1alpha1.BackupOrder, why string) (next v1alpha1.BackupRecord, ok bool) {
	if r.Order == nil || *r.Order != o {
		return r, false
	}
	why = strings.ToValidUTF8(why[:min(len(why), v1alpha1.MaxBackupError)], "")
	return v1alpha1.BackupRecord{Made: r.Made, Failed: &v1alpha1.BackupFailed{At: o.At, By: o.Cluster, Error: why}}, true
}

// ExpiredBackups are those that no rule of the retention keeps. The latest is never among them, nor any that somebody else
// may have written: only what the record holds is looked at. A backup is as old as it was when the latest was ordered, or as it
// is by the clock of who asks, whichever is less: it takes two wrong clocks to delete one too early.
func ExpiredBackups(r *v1alpha1.BackupRetention, made []v1alpha1.BackupMade, now time.Time) (expired []v1alpha1.BackupMade) {
	if r == nil || r.Keep == 0 && r.For.Duration == 0 {
		return nil
	}
	if n := len(made); n > 0 && made[n-1].At.Before(now) {
		now = made[n-1].At
	}
	for i, m := range made {
		newer := len(made) - 1 - i
		if newer == 0 || newer < int(r.Keep) || now.Sub(m.At) < r.For.Duration {
			continue
		}
		expired = append(expired, m)
	}
	return expired
}

// BackupWarning is what people are told about backups; empty when all is well.
func BackupWarning(spec *v1alpha1.BackupSpec, record v1alpha1.BackupRecord, now time.Time) string {
	if spec == nil {
		return ""
	}
	last, any := Backups{Record: record}.last()
	every, when := spec.Every.Duration, "there is none yet"
	if any {
		when = fmt.Sprintf("the latest is of %s", last.At.UTC().Format("2006-01-02 15:04 UTC"))
	}
	switch f := record.Failed; {
	case f != nil:
		return fmt.Sprintf("backup failed on %s: %s; %s", f.By, f.Error, when)
	case any && now.Sub(last.At) > overdue*every:
		return fmt.Sprintf("backup is overdue: %s, and one is due every %s", when, every)
	case !any && (record.Order == nil || now.Sub(record.Order.At) >= BackupPatience):
		return fmt.Sprintf("backup is missing: %s, and one is due every %s", when, every)
	}
	return ""
}
