package project

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Namespace is where everything namespaced is written.
const Namespace = v1alpha1.MemberNamespace

// Manager is the name of the cluster manager, of the scheduler, and of the access provider that consumers configure.
const Manager = "hanse"

// Labels and names that the standards give.
const (
	labelClusterManager = "x-k8s.io/cluster-manager"
	labelClusterSet     = "multicluster.x-k8s.io/clusterset"
	labelMemberID       = "multicluster.x-k8s.io/inventory-member-id"
	labelDecisionKey    = "multicluster.x-k8s.io/decision-key"
	labelDecisionIndex  = "multicluster.x-k8s.io/decision-index"
	labelPlacementKey   = "multicluster.x-k8s.io/placement-key"

	propertyCluster    = "cluster.clusterset.k8s.io"
	propertyClusterSet = "clusterset.k8s.io"

	conditionHealthy = "ControlPlaneHealthy"
	conditionJoined  = "Joined"

	// execExtension is handed to the credential plugin as it is, by client-go.
	execExtension = "client.authentication.k8s.io/exec"
)

// The structs below say of each kind what is written, and no more: a consumer's types have more fields.

type clusterProperty struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              clusterPropertySpec `json:"spec"`
}

type clusterPropertySpec struct {
	Value string `json:"value"`
}

type clusterProfile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              clusterProfileSpec   `json:"spec"`
	Status            clusterProfileStatus `json:"status"`
}

type clusterProfileSpec struct {
	DisplayName    string         `json:"displayName"`
	ClusterManager clusterManager `json:"clusterManager"`
}

type clusterManager struct {
	Name string `json:"name"`
}

type clusterProfileStatus struct {
	Conditions      []metav1.Condition `json:"conditions"`
	Version         *clusterVersion    `json:"version,omitempty"`
	Properties      []property         `json:"properties"`
	AccessProviders []accessProvider   `json:"accessProviders,omitempty"`
}

type clusterVersion struct {
	Kubernetes string `json:"kubernetes"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type accessProvider struct {
	Name    string        `json:"name"`
	Cluster accessCluster `json:"cluster"`
}

// accessCluster is as a kubeconfig has it.
type accessCluster struct {
	Server        string           `json:"server"`
	TLSServerName string           `json:"tls-server-name,omitempty"`
	CA            []byte           `json:"certificate-authority-data,omitempty"`
	Extensions    []namedExtension `json:"extensions,omitempty"`
}

type namedExtension struct {
	Name      string     `json:"name"`
	Extension credential `json:"extension"`
}

// credential is what `hanse credential` is told of the cluster that it is asked for.
type credential struct {
	Fleet   string `json:"fleet"`
	Cluster string `json:"cluster"`
}

type placementDecision struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Decisions         []clusterDecision `json:"decisions"`
	SchedulerName     string            `json:"schedulerName"`
}

type clusterDecision struct {
	ClusterProfileRef profileRef `json:"clusterProfileRef"`
	Reason            string     `json:"reason"`
}

type profileRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// standard is one kind that is written.
type standard struct {
	kind      string
	resource  schema.GroupVersionResource
	namespace string // empty: cluster-scoped
	want      func(Fleet) []want
}

var standards = []standard{
	{"ClusterProperty", schema.GroupVersionResource{Group: "about.k8s.io", Version: "v1beta1", Resource: "clusterproperties"}, "", properties},
	{"ClusterProfile", schema.GroupVersionResource{Group: "multicluster.x-k8s.io", Version: "v1alpha1", Resource: "clusterprofiles"}, Namespace, profiles},
	{"PlacementDecision", schema.GroupVersionResource{Group: "multicluster.x-k8s.io", Version: "v1alpha1", Resource: "placementdecisions"}, Namespace, decisions},
}

func typeMeta(kind, apiVersion string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

// object is a value of one of the structs above, as it travels.
func object(value any) *unstructured.Unstructured {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(value)
	if err != nil {
		panic(fmt.Sprintf("project: %T is no object: %v", value, err)) // of our own structs: a test writes each
	}
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	return &unstructured.Unstructured{Object: content}
}
