package v1alpha1

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Change records one write of what people write: who changed which object, when, through which member. It is written in the same
// transaction, so its resourceVersion is the revision of the change, and nobody edits it. The leader deletes it when the
// fleet's history is to be no longer.
type Change struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ChangeSpec `json:"spec,omitempty"`
}

// ChangeVerb is what was done to an object.
// +enum
type ChangeVerb string

// The verbs of a Change.
const (
	// It was not there before.
	ChangeCreate ChangeVerb = "Create"
	// It was there, and is.
	ChangeUpdate ChangeVerb = "Update"
	// It is there no more.
	ChangeDelete ChangeVerb = "Delete"
)

// ChangeSpec says who changed what.
type ChangeSpec struct {
	// resource of the object, in the plural: bundles. Join tokens are tokens, a cluster's return to work after a restore is of
	// observing, and pasts are what was before a change, struck off by an admin; name is then that of the change.
	Resource string `json:"resource"`
	// name of the object.
	Name string `json:"name"`
	// uid of the object, where it has one.
	// +optional
	UID string `json:"uid,omitempty"`
	// verb is what was done: Create, Update or Delete.
	Verb ChangeVerb `json:"verb"`
	// since is the revision at which anything of the object was written last before the change, 0 when it was not there.
	// +optional
	Since int64 `json:"since,omitempty"`
	// fields that an update changed: of the metadata what people write, and the fields of the spec; … is for more.
	// +listType=atomic
	// +optional
	Fields []string `json:"fields,omitempty"`
	// revealed says that an update did nothing but write the note fleet.hanse.dev/revealed on a FleetSecret: hanse secret get does before it
	// tells the value. Such a change has no before, as nothing else was different.
	// +optional
	Revealed bool `json:"revealed,omitempty"`
	// by is who did it: a User of the fleet, hanse:CLUSTER:NAME for somebody of a cluster's own API, or hanse:local for
	// whoever may open the socket of a member. It is empty for a member that wrote in its own name.
	By string `json:"by"`
	// byUID is the uid of that User: another one may have the name later.
	// +optional
	ByUID string `json:"byUID,omitempty"`
	// groups that the person was in, as the member that was asked knew them; the first of them when they are many.
	// +listType=atomic
	// +optional
	Groups []string `json:"groups,omitempty"`
	// through is the cluster whose member was asked.
	Through string `json:"through"`
	// sourceIP is where the request came from, by the word of that member.
	// +optional
	SourceIP string `json:"sourceIP,omitempty"`
	// userAgent is the program that asked, by its own word.
	// +optional
	UserAgent string `json:"userAgent,omitempty"`
	// token is the id of the join token that let the cluster in, or a new member into it; by, groups and through are then of who
	// made it. The change tokens/ID tells more.
	// +optional
	Token string `json:"token,omitempty"`
	// size of the object before the change, in bytes.
	// +optional
	Size int64 `json:"size,omitempty"`
	// before is the object as it was. Only the subresource before tells it: it may be megabytes.
	// +optional
	Before *runtime.RawExtension `json:"before,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ChangeList is a list of Change.
type ChangeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Change `json:"items"`
}

// ChangeName names the Change of an object that was last written at revision at, 0 for one that was not there: an object is
// changed once from each of its revisions.
func ChangeName(resource, name, uid string, at uint64) string {
	parts := []string{resource, name, uid, fmt.Sprintf("%016x", at)}
	if uid == "" {
		parts = append(parts[:2], parts[3])
	}
	return strings.Join(parts, ".")
}
