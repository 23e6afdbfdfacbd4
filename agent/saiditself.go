package agent

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// joinedMeta is of a cluster that is new to the fleet. It has in it what the cluster says of itself and its token does not.
func joinedMeta(token, terms law.Terms) metav1.ObjectMeta {
	meta := newMeta(terms.Cluster)
	if own := epoch.SaidItself(token, terms); own != "" {
		meta.Annotations = map[string]string{v1alpha1.AnnotationSaidItself: own}
	}
	return meta
}

// pickedByOwnWord says to whoever makes a group, or picks others with it, which clusters read by a region or a zone that they said themselves.
func (c *Core) pickedByOwnWord(v *store.View, w apiserver.Write) []string {
	var before, after v1alpha1.RecipientGroup
	if !strings.HasPrefix(w.Key, v1alpha1.KeyRecipientGroups) || json.Unmarshal(w.After, &after) != nil {
		return nil
	}
	if json.Unmarshal(w.Before, &before) == nil && reflect.DeepEqual(before.Spec.ClusterSelector, after.Spec.ClusterSelector) {
		return nil
	}
	clusters, err := c.decoded.Clusters.List(v)
	if err != nil {
		return nil // who reads them next says what is wrong
	}
	names := plan.PickedByOwnWord(&after, decoded.Values(clusters))
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("group %s picks by a region or zone that %s said of itself when it joined, and no admin in its token; if it is so, take the annotation %s off that cluster, else pick by a label that only admins set",
		after.Name, v1alpha1.Few(names, maxNamed), v1alpha1.AnnotationSaidItself)}
}
