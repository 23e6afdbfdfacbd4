package reconcile

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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
	// LabelInventory on a ConfigMap in Namespace names the bundle whose inventory it is part of.
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
)

// headName is the ConfigMap that is the bundle's ApplySet parent and the head of its inventory.
func headName(bundle string) string { return "bundle." + objectName(bundle) }

// objectName is the bundle's label, fit for the name of a ConfigMap.
func objectName(bundle string) string {
	label := v1alpha1.BundleLabel(bundle)
	if len(validation.IsDNS1123Subdomain(label)) == 0 {
		return label
	}
	sum := sha256.Sum256([]byte(bundle))
	return "sha256-" + hex.EncodeToString(sum[:16])
}

// applySetID is what KEP-3659 derives from the parent of a set.
func applySetID(bundle string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{headName(bundle), Namespace, "ConfigMap", ""}, ".")))
	return "applyset-" + base64.RawURLEncoding.EncodeToString(sum[:]) + "-v1"
}
