package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// MemberNamespace is where a member keeps in its own cluster what has a namespace.
const MemberNamespace = "hanse-system"

// AnnotationRegisteredBy marks what a member has made in its own cluster, with <fleet>/<cluster>.
const AnnotationRegisteredBy = GroupName + "/registered-by"

// RevisionName names the BundleRevision of a bundle's generation: <bundle>-<first 8 of the UID>-<generation>.
func RevisionName(bundle, uid string, generation int64) string {
	return fmt.Sprintf("%s-%.8s-%d", bundle, uid, generation)
}

// WorkName names the Work of a bundle in a cluster. No name of a cluster holds a dot.
func WorkName(bundle, cluster string) string { return bundle + "." + cluster }

// BundleLabel is the value that LabelBundle has on objects of a bundle: its name, or for one that is no label value a digest of it.
func BundleLabel(bundle string) string {
	if bundle != "" && len(validation.IsValidLabelValue(bundle)) == 0 {
		return bundle
	}
	sum := sha256.Sum256([]byte(bundle))
	return "sha256-" + hex.EncodeToString(sum[:16])
}

// SplitWorkName undoes WorkName.
func SplitWorkName(name string) (bundle, cluster string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 || i == len(name)-1 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

// PinOf is the pin of a public key: the SHA-256 of its SubjectPublicKeyInfo (DER) in lower-case hex.
func PinOf(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// PinOfUser is the pin that the value of a key has, and by which the store finds it; "" for what is no User.
func PinOfUser(key string, value func() []byte) string {
	if !strings.HasPrefix(key, KeyUsers) {
		return ""
	}
	var u User
	if json.Unmarshal(value(), &u) != nil {
		return ""
	}
	return u.Spec.Pin
}

// guestPrefix begins the names of all who are no User of the fleet.
const guestPrefix = "hanse:"

// LocalPerson is whoever may open a member's socket. No User and no guest has this name.
const LocalPerson = "hanse:local"

// GuestName is how the log names somebody who came through a cluster's own API. The cluster is of the member that
// passes the write on, so whatever somebody is called there is nobody's name elsewhere.
func GuestName(cluster, name string) string { return guestPrefix + cluster + ":" + name }

// ClusterUser is a person of the fleet as every cluster's own rules know them.
func ClusterUser(person string) string { return guestPrefix + person }

// ClusterGroup is who has a role in a fleet, as every cluster's own rules know them: a cluster may be in two.
func ClusterGroup(fleet string, r Role) string { return guestPrefix + fleet + ":role:" + string(r) }

// IsGuestOf says whether a person in the log came through a cluster's own API.
func IsGuestOf(cluster, person string) bool {
	return strings.HasPrefix(person, GuestName(cluster, "")) && person != GuestName(cluster, "")
}
