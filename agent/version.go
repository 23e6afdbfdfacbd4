package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// LogVersion is the newest version of the log that this program can apply.
const LogVersion = store.Version

// raise lets the fleet apply the next version of the log, once every member can.
func (l *leader) raise(ctx context.Context, s scene) error {
	next, ok := s.view.NextVersion()
	if !ok {
		return nil
	}
	l.log.Info("every member can apply the next version of the log; raising it", "version", next)
	return l.write(ctx, []store.Condition{store.PrefixUnchanged(store.KeyMembers, s.view.Revision())}, store.RaiseVersion(next))
}

// heldBack says whose members keep the version of the log from being raised, when others can apply the next; or nothing.
func heldBack(v *store.View) string {
	next, members := v.Version()+1, v.Members()
	var clusters []string
	for _, m := range members {
		if m.Applies < next {
			clusters = append(clusters, m.Cluster)
		}
	}
	if len(clusters) == 0 || len(clusters) == len(members) {
		return ""
	}
	slices.Sort(clusters)
	return fmt.Sprintf("the log stays at version %d until %s can apply %d: upgrade hanse there", v.Version(), strings.Join(clusters, ", "), next)
}
