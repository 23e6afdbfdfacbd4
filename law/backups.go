package law

import (
	"encoding/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// backups is the prefix of v1alpha1.KeyBackups.
const backups = "/backups/"

// reportsBackup says that a member tells what became of the backup that it was ordered to make, or that it deleted older
// ones after it. Orders are the leader's.
func (w write) reportsBackup() bool {
	var before, after v1alpha1.BackupRecord
	if w.op.Delete || w.before == nil || w.asker.person != "" ||
		json.Unmarshal(w.before, &before) != nil || json.Unmarshal(w.op.Value, &after) != nil || after.Order != nil {
		return false
	}
	if before.Order != nil {
		return before.Order.Cluster == w.asker.cluster
	}
	n := len(before.Made)
	return n > 0 && before.Made[n-1].By == w.asker.cluster && len(after.Made) > 0 && len(after.Made) < n && after.Made[len(after.Made)-1] == before.Made[n-1]
}
