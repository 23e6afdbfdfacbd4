package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// serveBackup answers with the fleet's state, encrypted as it goes. It is one state, as it was when the answer began, and
// holds everything: join tokens' public halves, people's pins, what runs where. So only admins get it.
func (c *Core) serveBackup(w http.ResponseWriter, r *http.Request) {
	ask, ok := posted[v1alpha1.BackupRequest](w, r, "ask for a backup with POST", "backup request")
	if !ok {
		return
	}
	to, err := backup.ParseRecipients(ask.Recipients)
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	snapshot, err := c.backupState(r, ask.Stale)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	h := c.backupHeader(snapshot.View())
	told, err := json.Marshal(h)
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(v1alpha1.HeaderBackup, string(told))
	w.Header().Set("Trailer", v1alpha1.TrailerBackupSize)
	size, err := backup.Write(w, to, h, snapshot)
	if err != nil {
		panic(http.ErrAbortHandler) // the asker sees that the answer was cut off
	}
	w.Header().Set(v1alpha1.TrailerBackupSize, strconv.FormatInt(size, 10))
}

// backupState is the newest state, or this member's own.
func (c *Core) backupState(r *http.Request, stale bool) (*store.Snapshot, error) {
	if !stale {
		ctx, cancel := context.WithTimeout(r.Context(), within(r, quorumWait))
		defer cancel()
		if _, err := c.node.Read(ctx); err != nil {
			return nil, err
		}
	}
	s := c.store.Snapshot()
	if s.View().Revision() == 0 {
		return nil, fmt.Errorf("%w: %s has not heard of the fleet yet", store.ErrNoQuorum, c.self.Cluster)
	}
	return s, nil
}

func (c *Core) backupHeader(v *store.View) backup.Header {
	return backup.Header{
		Fleet: c.self.Fleet, Member: c.self.Cluster, Version: c.version, Made: c.now().UTC().Truncate(time.Second),
		Epoch: v.Epoch().Number, EpochID: v.Epoch().ID, Revision: v.Revision(),
	}
}
