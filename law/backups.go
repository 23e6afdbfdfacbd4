package law

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// backups is the prefix of the one record.
var backups, _ = splitKey(v1alpha1.KeyBackups)

// reportsBackup says that a member tells what became of the backup that it was ordered to make, or that it deleted older
// ones after it. Orders are the leader's, and so are all times. What others wrote stays as it is.
func (w write) reportsBackup() bool {
	var before, after v1alpha1.BackupRecord
	if w.op.Delete || w.before == nil || w.asker.person != "" || len(w.op.Value) > maxBackupRecord ||
		json.Unmarshal(w.before, &before) != nil || json.Unmarshal(w.op.Value, &after) != nil {
		return false
	}
	switch o := before.Order; {
	case o != nil && after.Order == nil:
		return o.Cluster == w.asker.cluster && carriesOut(*o, before, after)
	case o == nil && after.Order == nil, o != nil && sameOrder(*o, *after.Order):
		return strikesBackups(w.asker.cluster, before, after)
	}
	return false
}

// maxBackupRecord bounds the record's value: what its texts may have, and as much again for all the rest.
const maxBackupRecord = 2 * v1alpha1.MaxBackups * v1alpha1.MaxBackupPlace

// carriesOut says that after is before with one backup more, or with a failure: of the order, and of nothing else.
func carriesOut(o v1alpha1.BackupOrder, before, after v1alpha1.BackupRecord) bool {
	if f := after.Failed; f != nil {
		return f.By == o.Cluster && f.At.Equal(o.At) && len(f.Error) <= v1alpha1.MaxBackupError && slices.EqualFunc(before.Made, after.Made, sameBackup)
	}
	n := len(after.Made) - 1
	if n < 0 {
		return false
	}
	kept := before.Made[max(0, len(before.Made)+1-v1alpha1.MaxBackups):]
	m := after.Made[n]
	return m.By == o.Cluster && m.At.Equal(o.At) && len(m.To)+len(m.Name) <= v1alpha1.MaxBackupPlace && slices.EqualFunc(kept, after.Made[:n], sameBackup)
}

// strikesBackups says that after lacks some of the backups of before, and that the latest stays, which the member made.
func strikesBackups(cluster string, before, after v1alpha1.BackupRecord) bool {
	b, a := len(before.Made), len(after.Made)
	if a == 0 || a >= b || before.Made[b-1].By != cluster || !sameBackup(before.Made[b-1], after.Made[a-1]) || !sameFailure(before.Failed, after.Failed) {
		return false
	}
	left := after.Made
	for _, m := range before.Made {
		if len(left) > 0 && sameBackup(m, left[0]) {
			left = left[1:]
		}
	}
	return len(left) == 0
}

// Times are compared as such: how they lie in memory depends on the machine that reads them.

func sameBackup(a, b v1alpha1.BackupMade) bool {
	at := a.At.Equal(b.At)
	a.At, b.At = time.Time{}, time.Time{}
	return at && a == b
}

func sameOrder(a, b v1alpha1.BackupOrder) bool { return a.Cluster == b.Cluster && a.At.Equal(b.At) }

func sameFailure(a, b *v1alpha1.BackupFailed) bool {
	return a == nil && b == nil || a != nil && b != nil && a.By == b.By && a.Error == b.Error && a.At.Equal(b.At)
}
