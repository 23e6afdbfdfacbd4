package law

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// rules are the law: a row a prefix, and who may write under it. Where there is no row nobody but the leader writes.
var rules = map[string]func(write) bool{
	v1alpha1.KeyFleets:    byAdmin,
	v1alpha1.KeyUsers:     byOwnAdmin,
	KeyTokens:             byOwnAdmin,
	backups:               write.reportsBackup,
	v1alpha1.KeyObserving: func(w write) bool { return w.resumes() || w.accompanies() },
	v1alpha1.KeyClusters: func(w write) bool {
		return w.asker.admin() && w.before != nil && w.keepsTold() || w.ofItself
	},
	store.KeyMembers: func(w write) bool {
		return w.onlyOwnAddresses() || w.accompanies()
	},
	store.KeyRemoved: write.accompanies,
	v1alpha1.KeyBundles: func(w write) bool {
		return w.soundBundle() && (w.asker.operator() || w.ownBundle())
	},
	v1alpha1.KeyFleetSecrets: func(w write) bool {
		return w.asker.operator() && w.statusKept() && w.soundSecret() && (w.asker.admin() || !w.declassifies())
	},
	v1alpha1.KeyRecipientGroups: func(w write) bool { return w.asker.admin() && w.statusKept() || w.ofItself },
	v1alpha1.KeySealings:        func(w write) bool { return w.keepsSealing() || w.accompanies() },
	v1alpha1.KeyRollouts:        write.orders,
	v1alpha1.KeyBundleRevisions: write.accompanies,
	v1alpha1.KeyGrants:          write.strikesGrant,
	v1alpha1.KeyTombstones:      func(w write) bool { return w.strikesTombstone() || w.accompanies() },
	v1alpha1.KeyChanges:         write.accompanies,
	v1alpha1.KeyPasts:           func(w write) bool { return w.strikesPast() || w.accompanies() },
}

func byAdmin(w write) bool { return w.asker.admin() }

// byOwnAdmin keeps guests from letting anybody into the fleet: who they let in would stay when their cluster's rights, or
// their own there, are taken away.
func byOwnAdmin(w write) bool { return w.asker.admin() && !w.asker.guest }

// resumes says that an admin lets a cluster act again that only looked, says so in its own name, and changes nothing else.
func (w write) resumes() bool {
	var before, after v1alpha1.Observing
	if w.op.Delete || w.before == nil || !w.asker.admin() || json.Unmarshal(w.before, &before) != nil || json.Unmarshal(w.op.Value, &after) != nil {
		return false
	}
	if before.Resumed != nil || after.Resumed == nil || after.Resumed.By != w.asker.person || after.Resumed.Through != w.asker.cluster {
		return false
	}
	was, ok := object(w.before, "resumed")
	is, sound := object(w.op.Value, "resumed")
	delete(is, "resumed")
	return ok && sound && maps.EqualFunc(was, is, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

// keepsTold says that a cluster's vote and its recipient are told as before: the leader tells the one, and a removal rests on it; its own member the
// other, once an hour at most, and who reads what is sealed rests on that. They are compared as they are written: who writes the rest again may have
// read a time of them in another form.
func (w write) keepsTold() bool {
	if w.op.Delete {
		return true
	}
	was, ok := toldOf(w.before)
	is, sound := toldOf(w.op.Value)
	return ok && sound && bytes.Equal(was, is)
}

// toldOf is what of the status of a cluster no admin says.
func toldOf(cluster []byte) (part []byte, ok bool) {
	var c v1alpha1.Cluster
	if json.Unmarshal(cluster, &c) != nil {
		return nil, false
	}
	s := c.Status
	part, err := json.Marshal(v1alpha1.ClusterStatus{Voter: s.Voter, Recipient: s.Recipient, RecipientSignature: s.RecipientSignature, RecipientSince: s.RecipientSince})
	return part, err == nil
}

// splitKey splits "/bundles/shop" into "/bundles/" and "shop".
func splitKey(key string) (prefix, name string) {
	if i := strings.IndexByte(strings.TrimPrefix(key, "/"), '/'); i >= 0 {
		return key[:i+2], key[i+2:]
	}
	return key, ""
}
