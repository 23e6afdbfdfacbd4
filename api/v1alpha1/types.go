package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Labels that the fleet itself reads. Only admins set them: they decide what a cluster may read and run.
const (
	LabelRegion = "topology.kubernetes.io/region"
	LabelZone   = "topology.kubernetes.io/zone"
)

// Labels that the fleet sets: on a Work, and LabelBundle on every object that a bundle brings into a cluster.
const (
	LabelBundle  = "fleet.hanse.dev/bundle"
	LabelCluster = "fleet.hanse.dev/cluster"
)

// LabelPartOf is beside LabelBundle on every object that a bundle brings: the ApplySet that it is of.
const LabelPartOf = "applyset.kubernetes.io/part-of"

// AnnotationOrder on an object of a bundle is a whole number: of the objects that are applied together by their kinds, those of a
// lower one are applied first. Those without are 0.
const AnnotationOrder = "fleet.hanse.dev/order"

// AnnotationReplace on an object of a bundle says when it may be deleted and made anew. Without it, it never is.
const AnnotationReplace = "fleet.hanse.dev/replace"

// ReplaceWhenImmutable is the one value of AnnotationReplace: when the cluster refuses a change of a field that nobody may change.
const ReplaceWhenImmutable = "WhenImmutable"

// FieldManager is the owner of the fields that bundles set in clusters.
const FieldManager = "hanse"

// ConditionReady is the one condition type that every kind with a status carries.
const ConditionReady = "Ready"

// ConditionPlaced says of a Bundle whose placement asks for a number of clusters, or a spread, whether it gets that.
const ConditionPlaced = "Placed"

// ConditionAggregated says of a Cluster whether the fleet's API is in that cluster's own, as its member said last.
const ConditionAggregated = "Aggregated"

// ConditionControlPlaneHealthy says of a Cluster whether its kube-apiserver is ready, as its member said last. That of a
// member that is silent is not known.
const ConditionControlPlaneHealthy = "ControlPlaneHealthy"

// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Fleet is the one settings object of a fleet; its name is the fleet's name.
type Fleet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec FleetSpec `json:"spec,omitempty"`
}

// FleetSpec is what admins set for the fleet as a whole.
type FleetSpec struct {
	// voters is how many members vote once that many are stable and eligible: 1, 3, 5 or 7.
	// +default=3
	// +optional
	Voters int32 `json:"voters,omitempty"`
	// leader is where the leader should be, as long as a voter there can lead: a cluster, or any cluster of a region.
	// Without it the leadership goes to the region from where a majority of the voters is nearest.
	// +optional
	Leader *LeaderPlace `json:"leader,omitempty"`
	// backup says how the fleet keeps its state outside of itself. Without it, it does not.
	// +optional
	Backup *BackupSpec `json:"backup,omitempty"`
	// history says how long the fleet remembers who changed what.
	// +optional
	History *HistorySpec `json:"history,omitempty"`
	// rollout says how changes of bundles go through the fleet.
	// +optional
	Rollout *FleetRollout `json:"rollout,omitempty"`
	// recoveryRecipients are age recipients (age1pq1…) of people who can read what is sealed for any group, beside those that a group names
	// itself: their keys lie offline, for the day on which no cluster of a group has its key any more. When one is taken out, the groups get
	// another key; it can still read what was sealed until then.
	// +optional
	// +listType=set
	RecoveryRecipients []string `json:"recoveryRecipients,omitempty"`
}

// HistorySpec bounds what is remembered of changes. A change that either bound drops goes, but the latest of an object that
// is there stays. The fleet as a whole remembers 10,000 changes, and 64 MiB of what was before them. That a secret was revealed is counted
// apart, by for alone, and 10,000 times in all.
type HistorySpec struct {
	// keep is how many of the latest changes of an object stay, 1000 at most: 50. That a secret was revealed stays beside them.
	// +optional
	Keep int32 `json:"keep,omitempty"`
	// for is how long a change stays: 720h.
	// +optional
	For metav1.Duration `json:"for,omitempty"`
}

// BackupSpec says when a backup is made, for whom, and where it goes. One member makes it, a voter.
type BackupSpec struct {
	// every is the time between two backups, one minute at least: 24h.
	Every metav1.Duration `json:"every"`
	// at is a time of the day, UTC, that backups are made at, and as often as every says from there: "03:00".
	// +optional
	At string `json:"at,omitempty"`
	// recipients are the age recipients that can read the backups, one at least.
	// +listType=set
	Recipients []string `json:"recipients"`
	// to is where the backups go: s3://bucket/prefix, or a folder of the member that makes them, by its absolute path.
	To string `json:"to"`
	// endpoint is the URL of an S3 service that is not Amazon's. Credentials are each member's own: the environment of its
	// agent, or the file s3-credentials in its data directory.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
	// retention says which backups are deleted. Without it, none is.
	// +optional
	Retention *BackupRetention `json:"retention,omitempty"`
}

// BackupRetention says which backups of its own the fleet keeps. One that either rule keeps stays, and so does the latest.
type BackupRetention struct {
	// keep is how many of the latest stay.
	// +optional
	Keep int32 `json:"keep,omitempty"`
	// for is how long each stays: 720h.
	// +optional
	For metav1.Duration `json:"for,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// FleetList is a list of Fleet; it never holds more than one.
type FleetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Fleet `json:"items"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Cluster is one Kubernetes cluster and the member that runs in it. It is created by joining and
// never by hand; deleting it cuts the member off everywhere at one revision and leaves its workloads alone.
type Cluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ClusterSpec   `json:"spec,omitempty"`
	Status ClusterStatus `json:"status,omitempty"`
}

// Voting says whether a cluster's member may ever vote.
// +enum
type Voting string

// A voter may become leader, so it is trusted with the integrity of the whole fleet.
const (
	// It votes when the fleet needs another voter.
	VotingEligible Voting = "Eligible"
	// It never votes, and so never leads.
	VotingNever Voting = "Never"
)

// Rights says what a member may write, whoever asks it to.
// +enum
type Rights string

// What each right allows is checked when a command is applied, on every member alike.
const (
	// Whatever the asking person may.
	RightsAdmin Rights = "Admin"
	// Its own status, and bundles that target itself alone.
	RightsOwnObjects Rights = "OwnObjects"
	// Its own status.
	RightsReadOnly Rights = "ReadOnly"
)

// LeaderPlace is where the leader should be: a cluster or a region.
type LeaderPlace struct {
	// cluster that should lead.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// region, one of whose clusters should lead.
	// +optional
	Region string `json:"region,omitempty"`
}

// ClusterSpec is what admins say of a cluster. The cluster itself never writes it.
type ClusterSpec struct {
	// region is the fault domain that the cluster dies with. It is also set as label topology.kubernetes.io/region.
	Region string `json:"region"`
	// zone is the part of the region the cluster runs in. It is also set as label topology.kubernetes.io/zone.
	// +optional
	Zone string `json:"zone,omitempty"`
	// voting says whether the member may vote in the fleet's consensus: Eligible or Never.
	// +default="Eligible"
	// +optional
	Voting Voting `json:"voting,omitempty"`
	// rights says what the member may write to the fleet: Admin, OwnObjects or ReadOnly.
	// Eligible clusters have Admin unless told otherwise, others OwnObjects.
	// +optional
	Rights Rights `json:"rights,omitempty"`
	// taints keep bundles out that do not tolerate them.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +listMapKey=effect
	Taints []Taint `json:"taints,omitempty"`
	// availability says what the cluster takes on: Active, Cordoned (nothing new comes) or Drained (nothing new comes, and what is
	// there leaves). Left out: Active.
	// +optional
	Availability Availability `json:"availability,omitempty"`
}

// VoterRole is the part a member has in the consensus now.
// +enum
type VoterRole string

// The roles of a member in the consensus.
const (
	// It votes, and may lead.
	RoleVoter VoterRole = "Voter"
	// It follows.
	RoleNonvoter VoterRole = "Nonvoter"
)

// DataDirectory is how what is private lies on a member's disk.
// +enum
type DataDirectory string

// What a data directory can be.
const (
	// It opens with the member's data identity alone.
	DataDirectoryEncrypted DataDirectory = "Encrypted"
	// Whoever reads the disk reads it.
	DataDirectoryClear DataDirectory = "Clear"
)

// ClusterStatus is what the member says of itself, and what the leader decided about it.
type ClusterStatus struct {
	// incarnation is the id of the member's data directory; a new disk is a new incarnation.
	// +optional
	Incarnation string `json:"incarnation,omitempty"`
	// endpoints are the UDP addresses (host:port) where other members reach this one.
	// +optional
	// +listType=atomic
	Endpoints []string `json:"endpoints,omitempty"`
	// server is the URL where this member serves the fleet's API to people.
	// +optional
	Server string `json:"server,omitempty"`
	// version is the version of hanse that the member runs.
	// +optional
	Version string `json:"version,omitempty"`
	// kubernetesVersion is the version of the cluster's kube-apiserver, as the member last saw it.
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// dataDirectory is how what is private lies on the member's disk: Encrypted or Clear. Empty for a member of an older version.
	// +optional
	DataDirectory DataDirectory `json:"dataDirectory,omitempty"`
	// recipient is the public key of the member's own age identity: what is for this cluster alone is encrypted to it.
	// +optional
	Recipient string `json:"recipient,omitempty"`
	// recipientSignature is by the member's own key, over fleet, cluster, the pin of that key, recipient and recipientSince. Who wraps a group's
	// key for the cluster checks it first, and wraps nothing without it.
	// +optional
	RecipientSignature []byte `json:"recipientSignature,omitempty"`
	// recipientSince is when the member wrote its recipient. It has another one after an hour at the earliest, as each makes another key for each
	// group of the cluster, and never one of an earlier time.
	// +optional
	RecipientSince *metav1.Time `json:"recipientSince,omitempty"`
	// voter is the member's part in the consensus: Voter or Nonvoter. Written by the leader.
	// +optional
	Voter VoterRole `json:"voter,omitempty"`
	// unreachable is there while nothing is heard of the member, and after its return until it may be given anything again. It is the
	// taint fleet.hanse.dev/unreachable, with both effects. Written by the leader.
	// +optional
	Unreachable *Unreachable `json:"unreachable,omitempty"`
	// conditions: Ready is written by the leader when the member has been reachable, or unreachable, for a while.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterList is a list of Cluster.
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cluster `json:"items"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// User is a person: the pin of a client certificate, and what its holder may do.
type User struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec UserSpec `json:"spec,omitempty"`
}

// Role is what a person may do.
// +enum
type Role string

// The roles, from most to least.
const (
	// Everything.
	RoleAdmin Role = "Admin"
	// Bundles; reads the rest, users excepted.
	RoleOperator Role = "Operator"
	// Reads, users excepted.
	RoleViewer Role = "Viewer"
)

// UserSpec binds a key to a role.
type UserSpec struct {
	// pin is the SHA-256 of the certificate's public key (SubjectPublicKeyInfo, DER), in lower-case hex.
	Pin string `json:"pin"`
	// role is what the person may do: Admin, Operator or Viewer.
	Role Role `json:"role"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// UserList is a list of User.
type UserList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []User `json:"items"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Bundle is what should run where.
type Bundle struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BundleSpec   `json:"spec,omitempty"`
	Status BundleStatus `json:"status,omitempty"`
}

// BundleSpec is a bundle's content and where it goes.
type BundleSpec struct {
	// placement says which clusters run the bundle. Without it, none does.
	// +optional
	Placement Placement `json:"placement,omitempty"`
	// rollout says how a change of the bundle goes through the clusters, where it is to be otherwise than the fleet says.
	// +optional
	Rollout *BundleRollout `json:"rollout,omitempty"`
	// BundleContent is what the clusters run.
	BundleContent `json:",inline"`
}

// DriftPolicy says what happens when an object in a cluster no longer is as the bundle says.
// +enum
type DriftPolicy string

// DriftCorrect puts the object right; DriftReport only says so in the Work.
const (
	// The object is put right.
	DriftCorrect DriftPolicy = "Correct"
	// The difference is shown in the Work, and left.
	DriftReport DriftPolicy = "Report"
)

// DeletionPolicy says what happens to a cluster's objects when they leave the bundle, or the bundle leaves the cluster.
// +enum
type DeletionPolicy string

// DeletionPrune deletes them; DeletionOrphan leaves them where they are, without our labels.
const (
	// They are deleted.
	DeletionPrune DeletionPolicy = "Prune"
	// They stay, without the fleet's labels.
	DeletionOrphan DeletionPolicy = "Orphan"
)

// AdoptPolicy says what happens when an object of the bundle is already there and is not ours.
// +enum
type AdoptPolicy string

// AdoptNever leaves the object and reports a conflict; AdoptIfEqual and AdoptAlways take it over.
const (
	// The object is left as it is, and the Work shows a conflict.
	AdoptNever AdoptPolicy = "Never"
	// The object is taken over when that changes no field of it; else the Work shows a conflict, and the fields.
	AdoptIfEqual AdoptPolicy = "IfEqual"
	// The object is taken over.
	AdoptAlways AdoptPolicy = "Always"
)

// PlainSecrets says whether a bundle may hold what everybody reads who reads the log.
// +enum
type PlainSecrets string

// PlainSecretsAllow is the one thing to say.
const (
	// Secrets with data lie readable in the log of every member, on its disk and in its backups.
	PlainSecretsAllow PlainSecrets = "Allow"
)

// BundleContent is the part of a bundle that its revisions keep: what a cluster that is granted the revision runs.
type BundleContent struct {
	// drift says what happens when an object was changed in a cluster: Correct puts it right, Report only says so.
	// +default="Correct"
	// +optional
	Drift DriftPolicy `json:"drift,omitempty"`
	// deletion says what happens to objects that left the bundle: Prune deletes them, Orphan leaves them.
	// +default="Prune"
	// +optional
	Deletion DeletionPolicy `json:"deletion,omitempty"`
	// adopt says what happens to objects that are there already and are not of this bundle: Never leaves them
	// and reports a conflict, IfEqual takes over those that are already as the bundle says, Always takes them over.
	// +default="Never"
	// +optional
	Adopt AdoptPolicy `json:"adopt,omitempty"`
	// dependsOn names bundles that must be ready in a cluster before this one comes or changes there; those that are not placed in the
	// cluster are not waited for.
	// +optional
	// +listType=set
	DependsOn []string `json:"dependsOn,omitempty"`
	// ignore names fields that others own in the clusters: they are left as they are there.
	// +optional
	// +listType=atomic
	Ignore []IgnoredFields `json:"ignore,omitempty"`
	// plainSecrets must say Allow when the manifests have a Secret with data: everybody who reads the log reads it,
	// and it is on the disk of every member. Else it is refused.
	// +optional
	PlainSecrets PlainSecrets `json:"plainSecrets,omitempty"`
	// overrides change what some clusters run of the manifests, one after the other.
	// +optional
	// +listType=atomic
	Overrides []Override `json:"overrides,omitempty"`
	// division divides the pods of objects among the clusters. What it says comes after the overrides.
	// +optional
	// +listType=atomic
	Division []Division `json:"division,omitempty"`
	// manifests are the Kubernetes objects, of any kind, whole.
	// +optional
	// +listType=atomic
	Manifests []runtime.RawExtension `json:"manifests,omitempty"`
}

// BundleStatus is where the bundle's rollout is. The leader writes it, at a limited rate; Work objects say more, sooner.
type BundleStatus struct {
	// observedGeneration is the generation that the rest of this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// revision names the BundleRevision of that generation.
	// +optional
	Revision string `json:"revision,omitempty"`
	// clusters is how many clusters the placement picks.
	// +optional
	Clusters int32 `json:"clusters,omitempty"`
	// readyClusters is how many of them run this revision, healthy.
	// +optional
	ReadyClusters int32 `json:"readyClusters,omitempty"`
	// conditions: Ready is true when every cluster runs this revision and all its objects are healthy.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// BundleList is a list of Bundle.
type BundleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Bundle `json:"items"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// BundleRevision is what a bundle said at one generation. It is written in the transaction that writes the
// bundle, never changes, and is kept while a grant or the history refers to it.
type BundleRevision struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec BundleRevisionSpec `json:"spec,omitempty"`
}

// BundleRevisionSpec is the bundle's content at that generation.
type BundleRevisionSpec struct {
	// bundle is the name of the bundle.
	Bundle string `json:"bundle"`
	// bundleUID tells this bundle from earlier ones of the same name.
	BundleUID string `json:"bundleUID"`
	// generation of the bundle that this revision keeps.
	Generation int64 `json:"generation"`
	// BundleContent is what the bundle said.
	BundleContent `json:",inline"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// BundleRevisionList is a list of BundleRevision.
type BundleRevisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BundleRevision `json:"items"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Work is one bundle in one cluster: wanted, granted, applied. It is computed by the member that is asked, from
// the log and from what the cluster's member last reported; it is not stored. Its name is BUNDLE.CLUSTER.
type Work struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   WorkSpec   `json:"spec,omitempty"`
	Status WorkStatus `json:"status,omitempty"`
}

// WorkSpec is what the log says.
type WorkSpec struct {
	// bundle is the name of the bundle.
	Bundle string `json:"bundle"`
	// cluster is the name of the cluster.
	Cluster string `json:"cluster"`
	// wanted names the revision that the bundle's placement wants here; empty when the cluster is to lose the bundle.
	// +optional
	Wanted string `json:"wanted,omitempty"`
	// granted names the revision that the log allows the cluster to run; empty when none is, or when it is withdrawn.
	// +optional
	Granted string `json:"granted,omitempty"`
	// held names the revision that the cluster was granted and that was taken back, as after an abort: nothing is touched there, whatever runs,
	// until something is granted again.
	// +optional
	Held string `json:"held,omitempty"`
	// frozen is what the granted revision takes from the cluster, as it was when it was granted.
	// +optional
	Frozen *Frozen `json:"frozen,omitempty"`
}

// Health of the objects of a bundle in a cluster, by kstatus.
// +enum
type Health string

// The states of health, from best to worst.
const (
	// All are ready.
	HealthReady Health = "Ready"
	// Some are on their way.
	HealthInProgress Health = "InProgress"
	// Some will not become ready as they are.
	HealthFailed Health = "Failed"
	// Some could not be looked at.
	HealthUnknown Health = "Unknown"
)

// WorkStatus is what the cluster's own member reported last.
type WorkStatus struct {
	// grant is the revision of the log that wrote the grant that all this is about. A bundle may be granted again what it runs, and
	// what was said before is not of the new grant.
	// +optional
	Grant int64 `json:"grant,omitempty"`
	// applied names the revision that the cluster runs.
	// +optional
	Applied string `json:"applied,omitempty"`
	// health of the objects together: Ready, InProgress, Failed or Unknown.
	// +optional
	Health Health `json:"health,omitempty"`
	// objects is how many objects the revision has.
	// +optional
	Objects int32 `json:"objects,omitempty"`
	// readyObjects is how many of them are healthy.
	// +optional
	ReadyObjects int32 `json:"readyObjects,omitempty"`
	// driftCorrected is how many times an object was put right since the member started.
	// +optional
	DriftCorrected int64 `json:"driftCorrected,omitempty"`
	// lastDrift is the object that was changed last by somebody else.
	// +optional
	LastDrift *Drift `json:"lastDrift,omitempty"`
	// drifted is how many objects differ now and are left so by drift policy Report.
	// +optional
	Drifted int32 `json:"drifted,omitempty"`
	// foreseen is what carrying the grant out would do, while the fleet only looks.
	// +optional
	Foreseen *Foresight `json:"foreseen,omitempty"`
	// problems are the objects that could not be applied, deleted or made healthy, at most 16 of them.
	// +optional
	// +listType=atomic
	Problems []Problem `json:"problems,omitempty"`
	// gates are what the objects say that gates of the bundle's rollout name, while a wave with the cluster has to pass them.
	// +optional
	// +listType=map
	// +listMapKey=name
	Gates []WorkGate `json:"gates,omitempty"`
	// seenAt is when the member that answers last heard of this from the cluster.
	// +optional
	SeenAt *metav1.Time `json:"seenAt,omitempty"`
	// conditions: Ready is true when the granted revision is applied and healthy.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Foresight counts what would be done in a cluster.
type Foresight struct {
	// changes is how many objects would be made or changed.
	// +optional
	Changes int32 `json:"changes,omitempty"`
	// deletions is how many objects would be deleted.
	// +optional
	Deletions int32 `json:"deletions,omitempty"`
}

// Reasons of a Work's condition Ready that others decide by. With these, nothing is done in the cluster.
const (
	ReasonObserving = "Observing" // the cluster only looks, until a person says go
	ReasonSuspended = "Suspended" // a person stopped it, of the bundle or of the cluster
	ReasonOldGrant  = "OldGrant"  // the cluster has acted on something newer than what it is granted
)

// Reasons of a Work's condition Ready that say why the cluster is not granted what is wanted of it.
const (
	ReasonWaiting = "Waiting" // for its turn, or for whatever its rollout waits for
	ReasonOwed    = "Owed"    // the cluster is away: it gets it on its return
	ReasonHeld    = "Held"    // what it was granted was taken back: it is left as it is
)

// ReasonNoKey is of a Work of a secret that its cluster cannot open yet: it is owed until it holds the group's key.
const ReasonNoKey = "NoKey"

// ReasonUnreadable is of a secret, and of its Works, that cannot be read in the log, or whose group cannot: nothing of it is rolled out, nor taken away.
const ReasonUnreadable = "Unreadable"

// ReasonNotRendered is of a Problem that keeps a cluster from the revision that it is granted: an override cannot be applied there.
const ReasonNotRendered = "NotRendered"

// ObjectRef names an object in a cluster.
type ObjectRef struct {
	// apiVersion of the object.
	APIVersion string `json:"apiVersion"`
	// kind of the object.
	Kind string `json:"kind"`
	// namespace of the object, empty for cluster-scoped ones.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// name of the object.
	Name string `json:"name"`
}

// Drift is one object that somebody else changed.
type Drift struct {
	ObjectRef `json:",inline"`
	// manager is the field manager that changed it, empty when it was deleted or is not known.
	// +optional
	Manager string `json:"manager,omitempty"`
	// at is when the member saw it.
	At metav1.Time `json:"at"`
}

// Problem is one object that is not as it should be, and why.
type Problem struct {
	ObjectRef `json:",inline"`
	// reason is one word: Conflict, Refused, NotEstablished, Unhealthy, PruneFailed, UnknownKind, NotRendered.
	Reason string `json:"reason"`
	// message says why, for people, at most 512 bytes.
	Message string `json:"message"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// WorkList is a list of Work.
type WorkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Work `json:"items"`
}
