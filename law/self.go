package law

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	strictjson "sigs.k8s.io/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Bounds of what a member says of itself: every other member reads it.
const (
	maxOwnStatus    = 64 << 10
	maxOwnText      = 512
	maxOwnAddresses = 16
)

// onlyOwnStatus says that a member changes what it says of itself, in a form that every reader takes, and neither its
// spec and labels nor what the leader decided about it.
func (w write) onlyOwnStatus() bool {
	if w.op.Delete || w.before == nil || w.asker.person != "" || len(w.op.Value) > maxOwnStatus {
		return false
	}
	var before, after map[string]any
	if _, err := strictjson.UnmarshalStrict(w.before, &before); err != nil {
		return false
	}
	// A key that is there twice is read differently by different readers.
	if twice, err := strictjson.UnmarshalStrict(w.op.Value, &after); err != nil || len(twice) > 0 {
		return false
	}
	return w.law.ownPartSound(after) && w.keepsRecipient() && reflect.DeepEqual(othersPart(before), othersPart(after))
}

// RecipientKept is how long a member keeps its own recipient at least. Each other one makes another key for each group of its cluster, and what is
// sealed is to be sealed again meanwhile: a group keeps v1alpha1.MaxFormerKeys of them.
const RecipientKept = time.Hour

// MayChangeRecipient says whether what a member told of itself may have another recipient from then on.
func MayChangeRecipient(was *v1alpha1.ClusterStatus, at metav1.Time) bool {
	return was.RecipientSince == nil || !at.Time.Before(was.RecipientSince.Add(RecipientKept))
}

// keepsRecipient says that the member's recipient stays, or is another one from about now on, and the one before was kept for long enough.
func (w write) keepsRecipient() bool {
	var before, after v1alpha1.Cluster
	if json.Unmarshal(w.before, &before) != nil || json.Unmarshal(w.op.Value, &after) != nil {
		return false
	}
	was, is := &before.Status, &after.Status
	if was.Recipient == is.Recipient && (was.RecipientSince != nil || is.RecipientSince == nil) {
		return was.RecipientSince.Equal(is.RecipientSince)
	}
	return is.RecipientSince != nil && is.RecipientSince.Sub(w.view.Time()).Abs() <= MaxKeySkew && MayChangeRecipient(was, *is.RecipientSince)
}

// ownPartSound checks the form of what a member says of itself.
func (l Authority) ownPartSound(cluster map[string]any) bool {
	status, ok := cluster["status"].(map[string]any)
	if !ok {
		return cluster["status"] == nil
	}
	for _, own := range ownTexts {
		if text, ok := status[own].(string); status[own] != nil && (!ok || len(text) > maxOwnText) {
			return false
		}
	}
	if text, said := status["recipientSince"].(string); said && !plainTime(text) {
		return false
	}
	if text, ok := status[ownRecipient].(string); status[ownRecipient] != nil && (!ok || len(text) > maxRecipient) {
		return false
	}
	if status[ownEndpoints] == nil {
		return true
	}
	list, ok := status[ownEndpoints].([]any)
	var addresses []string
	for _, e := range list {
		text, isText := e.(string)
		ok = ok && isText
		addresses = append(addresses, text)
	}
	return ok && l.soundAddresses(addresses)
}

// plainTime says that a time is in the one form that members write it in. Others would come out again as something else than was signed.
func plainTime(text string) bool {
	at, err := time.Parse(time.RFC3339, text)
	return err == nil && at.UTC().Format(time.RFC3339) == text
}

// onlyForward refuses what no leader may write either: a recipient of a member that is there as of an earlier time, or of none. What the member signed
// before it has its new one is not to come back, nor by way of a Cluster that is deleted and made again. And nothing is made under the name of what is not
// gone whole.
func onlyForward(v *store.View, txn store.Txn) error {
	for _, op := range txn.Then {
		if err := Anew(v, op.Key); err != nil && !op.Delete {
			return err
		}
		prefix, name := splitKey(op.Key)
		if prefix != v1alpha1.KeyClusters || !keepsMember(v, txn, name) {
			continue
		}
		kv, there := v.Get(op.Key)
		if op.Delete || !there {
			return fmt.Errorf("%s would be deleted, or made anew, and its member is there", Thing(op.Key))
		}
		var before, after v1alpha1.Cluster
		if json.Unmarshal(kv.Value, &before) != nil || before.Status.RecipientSince == nil {
			continue
		}
		if json.Unmarshal(op.Value, &after) != nil || after.Status.RecipientSince == nil || after.Status.RecipientSince.Before(before.Status.RecipientSince) {
			return fmt.Errorf("%s would have a recipient of an earlier time than it has, and its member is there", Thing(op.Key))
		}
	}
	return nil
}

// keepsMember says that a cluster has a member, and keeps it in a transaction.
func keepsMember(v *store.View, txn store.Txn, cluster string) bool {
	return slices.ContainsFunc(v.Members(), func(m store.Member) bool {
		goes := func(op store.Op) bool { return op.Delete && op.Key == store.KeyMembers+string(m.ID) }
		return m.Cluster == cluster && !slices.ContainsFunc(txn.Then, goes)
	})
}

// soundAddresses are a bounded number of host:port.
func (l Authority) soundAddresses(addresses []string) bool {
	return len(addresses) <= maxOwnAddresses && !slices.ContainsFunc(addresses, func(a string) bool {
		return l.Address(a) != nil
	})
}

// onlyOwnAddresses says that a member changes where it is reached and which version of the log it can apply, and nothing
// else of its record.
func (w write) onlyOwnAddresses() bool {
	var before, after store.Member
	if w.op.Delete || w.before == nil || w.asker.person != "" ||
		json.Unmarshal(w.before, &before) != nil || json.Unmarshal(w.op.Value, &after) != nil {
		return false
	}
	if !w.law.soundAddresses(after.Addresses) || len(after.Server) > maxOwnText {
		return false
	}
	before.Addresses, before.Server, before.Applies = after.Addresses, after.Server, after.Applies
	return before.Cluster == w.asker.cluster && reflect.DeepEqual(before, after)
}

// What a member says of itself in the status of its Cluster.
var ownTexts = []string{"server", "version", "kubernetesVersion", "dataDirectory", "recipientSignature", "recipientSince"}

const (
	ownEndpoints = "endpoints"
	ownRecipient = "recipient"
)

// othersPart drops from a Cluster what its own member may write.
func othersPart(cluster map[string]any) map[string]any {
	if status, ok := cluster["status"].(map[string]any); ok {
		delete(status, ownEndpoints)
		delete(status, ownRecipient)
		for _, own := range ownTexts {
			delete(status, own)
		}
		if len(status) == 0 {
			delete(cluster, "status")
		}
	}
	return cluster
}
