package v1alpha1

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// RecipientGroup is the clusters that can open what is sealed for them. Its private key lies in the log only wrapped: once for each of
// these clusters, so that no other can unwrap it.
type RecipientGroup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RecipientGroupSpec   `json:"spec,omitempty"`
	Status RecipientGroupStatus `json:"status,omitempty"`
}

// RecipientGroupSpec says who can read.
type RecipientGroupSpec struct {
	// clusterSelector picks, by labels that only admins set, the clusters that can read: by its region or zone none that said that itself, when the group was there. An empty selector ({}) picks every cluster.
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector"`
	// recoveryRecipients are age recipients (age1pq1…) of people who can read as well, beside those that the fleet has for every group: their
	// keys lie offline, for the day on which no cluster of the group has its key any more. Taken out again, one can still read what was
	// sealed until then.
	// +optional
	// +listType=set
	RecoveryRecipients []string `json:"recoveryRecipients,omitempty"`
	// rotate asks for another key: each time that it is changed the group gets one, and what is sealed for the group is sealed again.
	// hanse secret rotate raises it.
	// +optional
	Rotate int64 `json:"rotate,omitempty"`
	// rotateAfter is how old a key of the group may be, an hour at least; then the group gets another one. Without it a key has no age.
	// +optional
	RotateAfter *metav1.Duration `json:"rotateAfter,omitempty"`
}

// Recovery are the recipients of people who can read what is sealed for the group: the fleet's, then those that the group names itself.
func (s *RecipientGroupSpec) Recovery(of *FleetSpec) []string {
	var all []string
	for _, recipient := range slices.Concat(of.RecoveryRecipients, s.RecoveryRecipients) {
		if !slices.Contains(all, recipient) {
			all = append(all, recipient)
		}
	}
	return all
}

// MinRotateAfter is the shortest spec.rotateAfter.
const MinRotateAfter = time.Hour

// RecipientGroupStatus is the key of the group. Members that hold it write it.
type RecipientGroupStatus struct {
	// recipient is the group's public key, an age recipient: what is sealed for the group is sealed to it. It is empty until a
	// cluster of the group has made the key.
	// +optional
	Recipient string `json:"recipient,omitempty"`
	// epoch counts the keys that the group has had.
	// +optional
	Epoch int64 `json:"epoch,omitempty"`
	// begun is when the present key was made.
	// +optional
	Begun *metav1.Time `json:"begun,omitempty"`
	// by is the cluster whose member made the present key.
	// +optional
	By string `json:"by,omitempty"`
	// rotated is what spec.rotate was when the present key was made.
	// +optional
	Rotated int64 `json:"rotated,omitempty"`
	// wraps are the private key, wrapped to each cluster that holds it, and to each recovery recipient. Those of the key before stay until
	// a second cluster has opened the present one.
	// +optional
	// +listType=map
	// +listMapKey=cluster
	// +listMapKey=key
	// +listMapKey=epoch
	Wraps []KeyWrap `json:"wraps,omitempty"`
	// former are the keys that the group had before, oldest first. Each can be read with the one that came after it, so who holds the
	// present key opens what was sealed to any of them.
	// +optional
	// +listType=map
	// +listMapKey=epoch
	Former []FormerKey `json:"former,omitempty"`
	// left are those that held a key and may not read any more. They can read what was sealed to that key, and to those before it. The last 512
	// have their names; one without cluster and key stands for all before.
	// +optional
	// +listType=map
	// +listMapKey=cluster
	// +listMapKey=key
	Left []FormerReader `json:"left,omitempty"`
}

// MaxFormerKeys is how many former keys a group keeps. What is sealed to an older one is refused.
const MaxFormerKeys = 64

// MaxFormerReaders is how many of those that left a group keeps.
const MaxFormerReaders = 512

// FormerKey is a private key that a group had before.
type FormerKey struct {
	// epoch of the key.
	Epoch int64 `json:"epoch"`
	// recipient is its public key.
	Recipient string `json:"recipient"`
	// begun is when it was made.
	// +optional
	Begun *metav1.Time `json:"begun,omitempty"`
	// key is the private key as an age file, for the recipient that came after this one.
	Key []byte `json:"key"`
}

// FormerReader is a cluster, or a recovery recipient, that held a key of the group and may not read any more.
type FormerReader struct {
	// cluster that it was. Empty for a recovery recipient.
	Cluster string `json:"cluster"`
	// key tells which recipient the group's key was wrapped to: the beginning of its SHA-256.
	Key string `json:"key"`
	// epoch of the last key that it held.
	Epoch int64 `json:"epoch"`
	// until is when that key was replaced, or when the cluster said that its wrap of it does not open.
	Until metav1.Time `json:"until"`
	// by is the cluster whose member had written the wrap that does not open.
	// +optional
	By string `json:"by,omitempty"`
}

// KeyWrap is the private key of a group, readable by the member of one cluster, or by the owner of one recovery key, alone.
type KeyWrap struct {
	// cluster whose member can unwrap it. Empty for a recovery recipient.
	Cluster string `json:"cluster"`
	// key tells which recipient it is wrapped to: the beginning of the SHA-256 of the cluster's status.recipient, or of the recovery
	// recipient.
	Key string `json:"key"`
	// epoch of the group's key that is wrapped.
	Epoch int64 `json:"epoch"`
	// wrap is the private key as an age file.
	Wrap []byte `json:"wrap"`
	// by is the cluster whose member wrapped it. Should it not open, others are to wrap the key for its owner.
	// +optional
	By string `json:"by,omitempty"`
	// second is the same key for the same recovery recipient, wrapped once more by the member of another cluster: should one of the two have lied, the
	// other one opens.
	// +optional
	Second *SecondWrap `json:"second,omitempty"`
}

// SecondWrap is a key that was wrapped once more.
type SecondWrap struct {
	// by is the cluster whose member wrapped it.
	By string `json:"by"`
	// wrap is the private key as an age file.
	Wrap []byte `json:"wrap"`
}

// Forms are what its owner may open: one of them opens, unless both who wrote them lied.
func (w *KeyWrap) Forms() [][]byte {
	if w.Second == nil {
		return [][]byte{w.Wrap}
	}
	return [][]byte{w.Wrap, w.Second.Wrap}
}

// WantsSecond says that it is for a recovery recipient, and no second member has wrapped it yet.
func (w *KeyWrap) WantsSecond() bool { return w.Cluster == "" && w.Second == nil }

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// RecipientGroupList is a list of RecipientGroup.
type RecipientGroupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RecipientGroup `json:"items"`
}

// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// FleetSecret is a Secret that is sealed for a group: the clusters of the group open it and keep it as a Secret, and nobody else
// can read it. `hanse seal` makes one.
type FleetSecret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   FleetSecretSpec `json:"spec,omitempty"`
	Status BundleStatus    `json:"status,omitempty"`
}

// FleetSecretSpec is what is sealed, for whom, and the Secret that it becomes.
type FleetSecretSpec struct {
	// group is the name of the RecipientGroup that can open it. Its clusters keep the Secret.
	Group string `json:"group"`
	// clusterSelector picks the clusters of the group that keep the Secret. Without it, all of them do. It keeps the value from nobody: each
	// cluster of the group can open it.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`
	// namespace of the Secret in the clusters. It must be there.
	Namespace string `json:"namespace"`
	// secretName is the name of the Secret in the clusters. Without it, that of this object.
	// +optional
	SecretName string `json:"secretName,omitempty"`
	// type of the Secret: Opaque.
	// +optional
	Type string `json:"type,omitempty"`
	// immutable says that nobody in the cluster may change the Secret once it is there.
	// +optional
	Immutable bool `json:"immutable,omitempty"`
	// notSecret are names of values that are no secret, such as the name of a user: they may stay as they are when somebody leaves who could
	// read them. Only admins add names.
	// +optional
	// +listType=set
	NotSecret []string `json:"notSecret,omitempty"`
	// adopt says what happens when a Secret of that name is in a cluster already and is not the fleet's: Never (the default) leaves it and
	// reports a conflict, IfEqual takes it over when it has the same values and type, Always overwrites it.
	// +optional
	Adopt AdoptPolicy `json:"adopt,omitempty"`
	// template composes the values of the Secret: each of its keys, and a text with ${KEY} for a sealed value, or ${url(KEY)}, ${json(KEY)} or
	// ${base64(KEY ":" KEY)}. $${ is ${ as it stands. Without it, the Secret has the values as they were sealed.
	// +optional
	Template map[string]string `json:"template,omitempty"`
	// also are further Secrets that it becomes. What is sealed must name each of them, too: hanse seal --also NAMESPACE/NAME.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	Also []FurtherSecret `json:"also,omitempty"`
	// data is what hanse seal made: an age file for the group's recipient, of this namespace and name of a Secret, and of those in also, alone.
	Data []byte `json:"data"`
}

// FurtherSecret is another Secret that a FleetSecret becomes.
type FurtherSecret struct {
	// namespace of the Secret in the clusters. It must be there.
	Namespace string `json:"namespace"`
	// name of the Secret in the clusters.
	Name string `json:"name"`
	// type of the Secret: Opaque.
	// +optional
	Type string `json:"type,omitempty"`
	// immutable says that nobody in the cluster may change the Secret once it is there.
	// +optional
	Immutable bool `json:"immutable,omitempty"`
	// template composes the values of the Secret, of those that what is sealed lets it have. Without it, it has all of these.
	// +optional
	Template map[string]string `json:"template,omitempty"`
}

// MaxFurtherSecrets is how many Secrets a FleetSecret becomes, beside its first.
const MaxFurtherSecrets = 16

// RolledOut is it as it goes through the fleet.
func (s *FleetSecret) RolledOut() RolledOut { return RolledOut{"FleetSecret", s.Name} }

// RevisionName is that of the BundleRevision of its generation.
func (s *FleetSecret) RevisionName() string {
	return RevisionName(s.RolledOut().String(), string(s.UID), s.Generation)
}

// Target is the Secret that it becomes in a cluster.
func (s *FleetSecret) Target() ObjectRef {
	name := s.Spec.SecretName
	if name == "" {
		name = s.Name
	}
	return ObjectRef{APIVersion: "v1", Kind: "Secret", Namespace: s.Spec.Namespace, Name: name}
}

// Targets are all Secrets that it becomes, its first one first.
func (s *FleetSecret) Targets() []ObjectRef {
	all := []ObjectRef{s.Target()}
	for _, also := range s.Spec.Also {
		all = append(all, ObjectRef{APIVersion: "v1", Kind: "Secret", Namespace: also.Namespace, Name: also.Name})
	}
	return all
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// FleetSecretList is a list of FleetSecret.
type FleetSecretList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FleetSecret `json:"items"`
}

// AnnotationRevealed on a FleetSecret is when somebody was told the value, by hanse secret get. Who it was, the Change says,
// which is marked as revealed.
const AnnotationRevealed = GroupName + "/revealed"

// KeyID tells one recipient from another, in fewer letters.
func KeyID(recipient string) string {
	sum := sha256.Sum256([]byte(recipient))
	return hex.EncodeToString(sum[:8])
}

// NoWrap stands in the place of a wrap for one that no key can be wrapped for: nobody opens it.
var NoWrap = []byte("its recipient is none")

// Opens says whether it is the wrap of a key, and not NoWrap: whom it is for holds that key, as far as anybody else can tell.
func (w *KeyWrap) Opens() bool { return len(w.Wrap) > 0 && !bytes.Equal(w.Wrap, NoWrap) }

// Held are the wraps of those that hold the present key: clusters, and recovery recipients, which have no cluster. Who cannot open what stands in the
// place of its wrap holds nothing, and all who ask who holds the key ask this.
func (s *RecipientGroupStatus) Held() iter.Seq[*KeyWrap] {
	return func(yield func(*KeyWrap) bool) {
		for i := range s.Wraps {
			if w := &s.Wraps[i]; w.Epoch == s.Epoch && w.Opens() && !yield(w) {
				return
			}
		}
	}
}

// Holders are the clusters that hold the present key, sorted.
func (s *RecipientGroupStatus) Holders() (clusters []string) {
	for w := range s.Held() {
		if w.Cluster != "" {
			clusters = append(clusters, w.Cluster)
		}
	}
	slices.Sort(clusters)
	return slices.Compact(clusters)
}

// Holds says whether a cluster whose own recipient is this holds the group's present key.
func (g *RecipientGroup) Holds(cluster, recipient string) bool {
	if recipient == "" {
		return false
	}
	id := KeyID(recipient)
	for w := range g.Status.Held() {
		if w.Cluster == cluster && w.Key == id {
			return true
		}
	}
	return false
}

// OldestKey is the epoch of the oldest key that the group keeps.
func (g *RecipientGroup) OldestKey() int64 {
	if former := g.Status.Former; len(former) > 0 {
		return former[0].Epoch
	}
	return g.Status.Epoch
}

// WrapFor is what stands as the present key, wrapped to that recipient of a cluster: it may be NoWrap. Nil: nothing does.
func (g *RecipientGroup) WrapFor(cluster, recipient string) []byte {
	id := KeyID(recipient)
	for _, w := range g.Status.Wraps {
		if w.Cluster == cluster && w.Key == id && w.Epoch == g.Status.Epoch {
			return w.Wrap
		}
	}
	return nil
}

// Unproven says that no second cluster has opened the present key yet, so that wraps of the one before are still there.
func (s *RecipientGroupStatus) Unproven() bool {
	return slices.ContainsFunc(s.Wraps, func(w KeyWrap) bool { return w.Epoch < s.Epoch })
}

// KeyIsOld is why a group gets another key that has spec.rotateAfter.
const KeyIsOld = "the present one is as old as a key may be"

// AnotherKey says why the group is to have another key by now; "" when it is not. reads says who may have its key.
func (g *RecipientGroup) AnotherKey(reads func(cluster, key string) bool, now time.Time) string {
	if lost := g.Lost(reads); lost != "" || g.Status.Epoch == 0 {
		return lost
	}
	switch after := g.Spec.RotateAfter; {
	case g.Spec.Rotate != g.Status.Rotated:
		return "it was asked for"
	case after != nil && (g.Status.Begun == nil || now.Sub(g.Status.Begun.Time) >= max(after.Duration, MinRotateAfter)):
		return KeyIsOld
	}
	return ""
}

// Lost says who holds the present key, or did, and may not read any more; "" for nobody. Nothing is sealed to such a key any more.
func (g *RecipientGroup) Lost(reads func(cluster, key string) bool) string {
	for w := range g.Status.Held() {
		if !reads(w.Cluster, w.Key) {
			return lost(w.Cluster)
		}
	}
	for _, l := range g.Status.Left { // it said that its wrap does not open, and may have lied
		if l.Epoch == g.Status.Epoch && !reads(l.Cluster, l.Key) {
			return lost(l.Cluster)
		}
	}
	return ""
}

func lost(cluster string) string {
	if cluster == "" {
		return "a recovery recipient may not read any more"
	}
	return "cluster " + cluster + " may not read any more, or has another key of its own"
}

// Unopened is what a reader said last of its wrap of the present key, that it does not open; nil: it did not.
func (s *RecipientGroupStatus) Unopened(cluster, key string) *FormerReader {
	for i := range s.Left {
		if l := &s.Left[i]; l.Cluster == cluster && l.Key == key && l.Epoch == s.Epoch {
			return l
		}
	}
	return nil
}

// barredFor is how long a member whose wrap did not open writes no other one for the same reader: another one that holds the key, or one that holds
// the key before, needs less.
const barredFor = 10 * time.Minute

// Bars says that a cluster's member may not wrap the key for the one that said so, as what it wrote was what did not open: a member that lies would do
// so again at once, and before all others.
func (l *FormerReader) Bars(cluster string, now time.Time) bool {
	return l != nil && l.By == cluster && now.Sub(l.Until.Time) < barredFor
}

// Orphaned says that nobody but its maker holds the present key of those who may read, and nobody has opened it: then one that holds a key from
// before may make another one.
func (g *RecipientGroup) Orphaned(reads func(cluster, key string) bool) bool {
	for w := range g.Status.Held() {
		if w.Cluster != "" && w.Cluster != g.Status.By && reads(w.Cluster, w.Key) {
			return false
		}
	}
	return g.Status.Unproven()
}

// HadWrap says whether anything, be it NoWrap, stands as a wrap of any key for a recipient of a cluster: who makes the next key writes one for it, too.
func (g *RecipientGroup) HadWrap(cluster, recipient string) bool {
	return slices.ContainsFunc(g.Status.Wraps, func(w KeyWrap) bool { return w.Cluster == cluster && w.Key == KeyID(recipient) })
}

// ProvenWrap is the latest key that a second cluster has opened, wrapped to that recipient of a cluster, and its epoch, as long as no second one
// has opened the present one; nil when there is none.
func (g *RecipientGroup) ProvenWrap(cluster, recipient string) (wrap []byte, epoch int64) {
	for _, w := range g.Status.Wraps {
		if w.Cluster == cluster && w.Key == KeyID(recipient) && w.Epoch < g.Status.Epoch && w.Epoch > epoch && w.Opens() {
			wrap, epoch = w.Wrap, w.Epoch
		}
	}
	return wrap, epoch
}

// AsBundle is a secret as the leader decides about it: like a bundle, in the clusters of its group, without the content, which the
// revision has. Nil is no group: nowhere.
func (s *FleetSecret) AsBundle(g *RecipientGroup) *Bundle {
	b := &Bundle{TypeMeta: TypeOf("Bundle"), ObjectMeta: s.ObjectMeta, Status: s.Status}
	b.Name = s.RolledOut().String()
	if g != nil {
		b.Spec.Placement.ClusterSelector = both(g.Spec.ClusterSelector, s.Spec.ClusterSelector)
	}
	b.Spec.Drift, b.Spec.Deletion, b.Spec.Adopt = DriftCorrect, DeletionPrune, cmp.Or(s.Spec.Adopt, AdoptNever)
	return b
}

// both selects what each of two selectors does. A group without one picks nobody; a secret without one leaves out none.
func both(group, own *metav1.LabelSelector) *metav1.LabelSelector {
	if group == nil || own == nil {
		return group
	}
	all := &metav1.LabelSelector{}
	for _, s := range []*metav1.LabelSelector{group, own} {
		for _, name := range slices.Sorted(maps.Keys(s.MatchLabels)) {
			all.MatchExpressions = append(all.MatchExpressions, metav1.LabelSelectorRequirement{Key: name, Operator: metav1.LabelSelectorOpIn, Values: []string{s.MatchLabels[name]}})
		}
		all.MatchExpressions = append(all.MatchExpressions, s.MatchExpressions...)
	}
	return all
}

// ValidateRecipientGroup checks a group.
func ValidateRecipientGroup(g *RecipientGroup) field.ErrorList {
	errs := validateLabelName(pathName, g.Name)
	at := pathSpec.Child("clusterSelector")
	if g.Spec.ClusterSelector == nil {
		return append(errs, field.Required(at, "say which clusters can read; {} is all of them"))
	}
	errs = append(errs, validateRecovery(g.Spec.RecoveryRecipients)...)
	if after := g.Spec.RotateAfter; after != nil && after.Duration < MinRotateAfter {
		errs = append(errs, field.Invalid(pathSpec.Child("rotateAfter"), after.Duration.String(), "must be an hour at least: everything that is sealed for the group is sealed again each time"))
	}
	if g.Spec.Rotate < 0 {
		errs = append(errs, field.Invalid(pathSpec.Child("rotate"), g.Spec.Rotate, "must not be negative; raise it by one for another key"))
	}
	return append(errs, validateChosen(pathSpec, nil, g.Spec.ClusterSelector)...)
}

// MaxRecoveryRecipients is how many recovery recipients a group may name, and the fleet once more for all groups.
const MaxRecoveryRecipients = 8

// MaxNotSecret is how many values of a secret may be named that are none.
const MaxNotSecret = 64

// validateRecovery bounds spec.recoveryRecipients; what a recipient is, the API server knows.
func validateRecovery(recipients []string) field.ErrorList {
	if n := len(recipients); n > MaxRecoveryRecipients {
		return field.ErrorList{field.TooMany(pathSpec.Child("recoveryRecipients"), n, MaxRecoveryRecipients)}
	}
	return nil
}

// maxSecretName is how long the name of a FleetSecret may be: it becomes part of the value of a label.
const maxSecretName = validation.LabelValueMaxLength - len(secretPrefix)

// ValidateFleetSecret checks a secret, all but whether it is sealed.
func ValidateFleetSecret(s *FleetSecret) field.ErrorList {
	errs := validateLabelName(pathName, s.Name)
	if len(s.Name) > maxSecretName {
		errs = append(errs, field.TooLong(pathName, "", maxSecretName))
	}
	errs = append(errs, validateLabelName(pathSpec.Child("group"), s.Spec.Group)...)
	errs = append(errs, validateChosen(pathSpec, nil, s.Spec.ClusterSelector)...)
	errs = append(errs, validateLabelName(pathSpec.Child("namespace"), s.Spec.Namespace)...)
	if s.Spec.SecretName != "" {
		for _, problem := range validation.IsDNS1123Subdomain(s.Spec.SecretName) {
			errs = append(errs, field.Invalid(pathSpec.Child("secretName"), s.Spec.SecretName, problem))
		}
	}
	for i, name := range s.Spec.NotSecret {
		for _, problem := range validation.IsConfigMapKey(name) {
			errs = append(errs, field.Invalid(pathSpec.Child("notSecret").Index(i), name, problem))
		}
	}
	if n := len(s.Spec.NotSecret); n > MaxNotSecret {
		errs = append(errs, field.TooMany(pathSpec.Child("notSecret"), n, MaxNotSecret))
	}
	if s.Spec.Adopt != "" {
		errs = append(errs, validateEnum(pathSpec.Child("adopt"), s.Spec.Adopt, AdoptNever, AdoptIfEqual, AdoptAlways)...)
	}
	errs = append(errs, validateTemplateKeys(pathSpec.Child("template"), s.Spec.Template)...)
	errs = append(errs, validateOutsideOfMember(pathSpec.Child("namespace"), s.Spec.Namespace)...)
	return append(errs, validateAlso(s)...)
}

// validateAlso checks the further Secrets.
func validateAlso(s *FleetSecret) (errs field.ErrorList) {
	at := pathSpec.Child("also")
	if n := len(s.Spec.Also); n > MaxFurtherSecrets {
		errs = append(errs, field.TooMany(at, n, MaxFurtherSecrets))
	}
	targets := s.Targets()
	for i, also := range s.Spec.Also {
		at := at.Index(i)
		errs = append(errs, validateLabelName(at.Child("namespace"), also.Namespace)...)
		errs = append(errs, validateOutsideOfMember(at.Child("namespace"), also.Namespace)...)
		for _, problem := range validation.IsDNS1123Subdomain(also.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), also.Name, problem))
		}
		if slices.Contains(targets[:i+1], targets[i+1]) {
			errs = append(errs, field.Duplicate(at, also.Namespace+"/"+also.Name))
		}
		errs = append(errs, validateTemplateKeys(at.Child("template"), also.Template)...)
	}
	return errs
}

func validateTemplateKeys(at *field.Path, template map[string]string) (errs field.ErrorList) {
	for _, key := range slices.Sorted(maps.Keys(template)) {
		for _, problem := range validation.IsConfigMapKey(key) {
			errs = append(errs, field.Invalid(at.Key(key), key, problem))
		}
	}
	return errs
}

func validateOutsideOfMember(at *field.Path, namespace string) field.ErrorList {
	if namespace != MemberNamespace {
		return nil
	}
	return field.ErrorList{field.Forbidden(at, "it is what Hanse itself stands on in a cluster")}
}
