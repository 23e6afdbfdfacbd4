package reconcile

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// What the reconciler writes on objects, and where it keeps its own. These names lie in people's clusters: they
// never change.
const (
	// FieldManager is the owner of the fields that bundles set.
	FieldManager = v1alpha1.FieldManager
	// LabelBundle on an object names the bundle it is of. Watches are filtered by it. It proves nothing: Kubernetes
	// copies labels (of a Service onto its EndpointSlices), and so do people.
	LabelBundle = v1alpha1.LabelBundle
	// LabelInventory on a ConfigMap in Namespace names the bundle whose inventory it is part of; on one that holds parts of many, it
	// says ofMany, which no bundle is called.
	LabelInventory = "fleet.hanse.dev/inventory"
	// Namespace holds the reconciler's Lease and its inventories.
	Namespace = v1alpha1.MemberNamespace
	// LeaseName is the Lease in Namespace whose holder acts.
	LeaseName = "hanse-agent"

	labelPartOf          = v1alpha1.LabelPartOf
	labelApplySetID      = "applyset.kubernetes.io/id"
	annotationTooling    = "applyset.kubernetes.io/tooling"
	annotationKinds      = "applyset.kubernetes.io/contains-group-kinds"
	annotationNamespaces = "applyset.kubernetes.io/additional-namespaces"
	tooling              = "hanse/v1alpha1"
	annotationFleet      = "fleet.hanse.dev/fleet"
	annotationCluster    = "fleet.hanse.dev/cluster"
	ofMany               = "of_many"
)

// shardName is a ConfigMap that holds heads of inventories, and is the ApplySet parent of all objects that these list.
func shardName(shard int) string { return fmt.Sprintf("inventories.%d", shard) }

// objectName is the bundle's label, fit for the name of a ConfigMap, and for a key in one.
func objectName(bundle string) string {
	label := v1alpha1.BundleLabel(bundle)
	if len(validation.IsDNS1123Subdomain(label)) == 0 {
		return label
	}
	sum := sha256.Sum256([]byte(bundle))
	return "sha256-" + hex.EncodeToString(sum[:16])
}

// giveUp is how a person has a bundle's inventory forgotten, and its objects left as they are.
func giveUp(bundle string) string {
	name := objectName(bundle)
	return fmt.Sprintf(`kubectl --namespace %s patch configmap %s --type merge --patch '{"data":{"%s":null}}'`, Namespace, shardName(shardOf(name)), name)
}

// applySetID is the set that a bundle's objects are of.
func applySetID(bundle string) string { return idOfShard(shardOf(objectName(bundle))) }

// idOfShard is what KEP-3659 derives from the parent of a set.
func idOfShard(shard int) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{shardName(shard), Namespace, "ConfigMap", ""}, ".")))
	return "applyset-" + base64.RawURLEncoding.EncodeToString(sum[:]) + "-v1"
}
