package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

const (
	// BackupPatience is how long a member may take for a backup, until another is asked.
	BackupPatience = time.Hour
	// backupRetry is how long after a failure a backup is tried again, unless it is due before.
	backupRetry = 10 * time.Minute
	// overdue is how many intervals the latest backup may be old before people are told.
	overdue = 2
)

// Backups is what the leader decides about backups from.
type Backups struct {
	Now    time.Time
	Spec   *v1alpha1.BackupSpec // nil: none are made
	Record v1alpha1.BackupRecord
	// Able are the clusters whose members vote and were heard a moment ago; Leader is the leader's own.
	Able   []string
	Leader string
}

// Order is the order that should stand now: the one that does, a new one, or none.
func (b Backups) Order() *v1alpha1.BackupOrder {
	if b.Spec == nil {
		return nil
	}
	if o := b.Record.Order; o != nil && slices.Contains(b.Able, o.Cluster) && b.Now.Sub(o.At) < BackupPatience {
		return o
	}
	if b.Record.Order == nil && !b.due() {
		return nil
	}
	who := b.choose()
	if who == "" {
		return b.Record.Order
	}
	return &v1alpha1.BackupOrder{Cluster: who, At: b.Now.UTC().Truncate(time.Second)}
}

// due says that a backup was to be made since the latest one; the first one is due at once.
func (b Backups) due() bool {
	due := b.Spec.Due(b.Now)
	if f := b.Record.Failed; f != nil {
		return f.At.Before(due) || b.Now.Sub(f.At) >= backupRetry
	}
	last, any := b.last()
	return !any || last.At.Before(due)
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

// ExpiredBackups are those that no rule of the retention keeps. The latest is never among them, nor any that somebody else
// may have written: only what the record holds is looked at.
func ExpiredBackups(r *v1alpha1.BackupRetention, made []v1alpha1.BackupMade, now time.Time) (expired []v1alpha1.BackupMade) {
	if r == nil || r.Keep == 0 && r.For.Duration == 0 {
		return nil
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
	when := "there is none yet"
	if any {
		when = fmt.Sprintf("the latest is of %s", last.At.UTC().Format("2006-01-02 15:04 UTC"))
	}
	switch f := record.Failed; {
	case f != nil:
		return fmt.Sprintf("backup failed on %s: %s; %s", f.By, f.Error, when)
	case any && now.Sub(last.At) > overdue*spec.Every.Duration:
		return fmt.Sprintf("backup is overdue: %s, and one is due every %s", when, spec.Every.Duration)
	}
	return ""
}
