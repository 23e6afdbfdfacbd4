package v1alpha1

import "strings"

// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false

// RolledOut is what goes through the fleet by rollouts: a Bundle, or a FleetSecret as if it were one. Bundles and secrets share the names
// under which they are stored: in grants, revisions, rollouts and Works.
type RolledOut struct {
	Kind string // Bundle or FleetSecret
	Name string
}

// secretPrefix begins the names under which secrets are rolled out. No Bundle has such a name: it is no DNS label.
const secretPrefix = "secret."

// RolledOutPrefixes are where the log keeps what is rolled out.
var RolledOutPrefixes = []string{KeyBundles, KeyFleetSecrets}

// IsRolledOut says whether objects of a kind are rolled out.
func IsRolledOut(kind string) bool { return kind == "Bundle" || kind == "FleetSecret" }

// RolledOutOf undoes String.
func RolledOutOf(stored string) RolledOut {
	if secret, is := strings.CutPrefix(stored, secretPrefix); is {
		return RolledOut{"FleetSecret", secret}
	}
	return RolledOut{"Bundle", stored}
}

// IsSecret says that it is a FleetSecret.
func (r RolledOut) IsSecret() bool { return r.Kind == "FleetSecret" }

// String is the name under which it is stored: web, secret.db. The verbs that are about rolling out take it.
func (r RolledOut) String() string {
	if r.IsSecret() {
		return secretPrefix + r.Name
	}
	return r.Name
}

// Key is where the log keeps the object.
func (r RolledOut) Key() string {
	if r.IsSecret() {
		return KeyFleetSecrets + r.Name
	}
	return KeyBundles + r.Name
}

// Title is what people read: bundle web, secret db.
func (r RolledOut) Title() string {
	if r.IsSecret() {
		return "secret " + r.Name
	}
	return "bundle " + r.Name
}

// Arg is how every verb takes it on a command line: bundle/web, fleetsecret/db.
func (r RolledOut) Arg() string { return strings.ToLower(r.Kind) + "/" + r.Name }

// Ref names the object.
func (r RolledOut) Ref() ObjectRef {
	return ObjectRef{APIVersion: SchemeGroupVersion.String(), Kind: r.Kind, Name: r.Name}
}
