package reconcile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// sighting is what the reconciler keeps of an object it saw in the cluster: enough to decide, and no content.
type sighting struct {
	uid     types.UID
	version string // resourceVersion
	// bundle is the value of LabelBundle.
	bundle string
	// fields is a digest of the entry in managedFields that says what we applied; empty when we own nothing. The
	// kube-apiserver changes that entry when anybody changes, removes or takes over a field of ours, and at no other
	// time, so equal digests mean: nobody touched what we applied.
	fields string
	// manager is who else wrote last, not counting status.
	manager    string
	deleting   bool
	finalizers []string
	status     status.Status
	message    string
}

func sight(u *unstructured.Unstructured) sighting {
	s := sighting{
		uid: u.GetUID(), version: u.GetResourceVersion(), bundle: u.GetLabels()[LabelBundle],
		deleting: u.GetDeletionTimestamp() != nil, finalizers: u.GetFinalizers(),
	}
	s.fields, s.manager = managers(u.GetManagedFields())
	s.status, s.message = healthOf(u)
	return s
}

// managers digests our entry and finds who else wrote last.
func managers(entries []metav1.ManagedFieldsEntry) (ours, other string) {
	var newest metav1.Time
	for _, e := range entries {
		switch {
		case isOurs(e):
			ours = digestOf(e)
		case e.Subresource == "status" || e.Manager == FieldManager:
		case other == "" || e.Time != nil && !e.Time.Before(&newest):
			other = e.Manager
			if e.Time != nil {
				newest = *e.Time
			}
		}
	}
	return ours, clip(other, maxName)
}

func isOurs(e metav1.ManagedFieldsEntry) bool {
	return e.Manager == FieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
}

func digestOf(e metav1.ManagedFieldsEntry) string {
	h := sha256.New()
	h.Write([]byte(e.APIVersion + "\n"))
	if e.Time != nil {
		h.Write([]byte(e.Time.UTC().String() + "\n"))
	}
	if e.FieldsV1 != nil {
		h.Write(bytes.TrimSpace(e.FieldsV1.GetRawBytes()))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// healthOf is kstatus, and for namespaces their phase, which kstatus does not look at. The status of a custom
// resource is whatever somebody wrote there: a panic over it must not end the process.
func healthOf(u *unstructured.Unstructured) (health status.Status, message string) {
	defer func() {
		if p := recover(); p != nil {
			health, message = status.UnknownStatus, fmt.Sprintf("its status cannot be read: %v", p)
		}
	}()
	if u.GroupVersionKind().GroupKind() == kindNamespace && u.GetDeletionTimestamp() == nil {
		if phase, _, _ := unstructured.NestedString(u.Object, "status", "phase"); phase != "Active" {
			return status.InProgressStatus, "namespace is not active"
		}
	}
	result, err := status.Compute(u)
	if err != nil {
		return status.UnknownStatus, clip("its status cannot be read: "+err.Error(), maxMessage)
	}
	if result.Status == status.TerminatingStatus && len(u.GetFinalizers()) > 0 {
		return result.Status, clip("is being deleted; waits for finalizers "+strings.Join(u.GetFinalizers(), ", "), maxMessage)
	}
	return result.Status, clip(result.Message, maxMessage)
}

// older says that version a is surely from before version b. Versions that cannot be compared are not older.
func older(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c < 0
}
