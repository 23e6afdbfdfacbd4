package project

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
)

// want is one object that should be there, without the mark that it gets when it is written.
type want struct {
	name string
	// value is one of the structs of the standards. As it travels it takes ten times the memory, and a fleet may have thousands.
	value any
	// uid is that of the log's object that it shows.
	uid    string
	digest string
}

func (w want) object() *unstructured.Unstructured { return object(w.value) }

func newWant(value any, uid string) want {
	u := object(value)
	text, err := json.Marshal(u.Object)
	if err != nil {
		panic("project: an object is no JSON: " + err.Error()) // it was made from a struct a line ago
	}
	sum := sha256.Sum256(text)
	return want{u.GetName(), value, uid, hex.EncodeToString(sum[:12])}
}

// metaOf is what every object that is written has.
func metaOf(f Fleet, namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{labelFleet: f.Name, labelManagedBy: Manager}}
}

// properties say to whoever asks the cluster which one it is, and of which fleet.
func properties(f Fleet) []want {
	var uid string
	for _, m := range f.Members {
		if m.Cluster == f.Cluster {
			uid = m.UID
		}
	}
	if uid == "" {
		return nil // the log does not have this cluster any more
	}
	property := func(name, value string) want {
		return newWant(&clusterProperty{
			TypeMeta: typeMeta("ClusterProperty", "about.k8s.io/v1beta1"), ObjectMeta: metaOf(f, "", name),
			Spec: clusterPropertySpec{value},
		}, uid)
	}
	return []want{property(propertyCluster, f.Cluster), property(propertyClusterSet, f.Name)}
}

// profiles show every cluster of the fleet.
func profiles(f Fleet) []want {
	all := make([]want, 0, len(f.Members))
	for _, m := range f.Members {
		p := &clusterProfile{
			TypeMeta: typeMeta("ClusterProfile", "multicluster.x-k8s.io/v1alpha1"), ObjectMeta: metaOf(f, Namespace, m.Cluster),
			Spec:   clusterProfileSpec{DisplayName: m.Cluster, ClusterManager: clusterManager{Manager}},
			Status: clusterProfileStatus{Conditions: conditionsOf(m), Properties: propertiesOf(f, m), AccessProviders: accessTo(f, m)},
		}
		p.Labels = labelsOf(m, p.Labels)
		if m.Kubernetes != "" {
			p.Status.Version = &clusterVersion{m.Kubernetes}
		}
		all = append(all, newWant(p, m.UID))
	}
	return all
}

// labelsOf are the admins' labels of a cluster, so that consumers select by them, under those that are ours.
func labelsOf(m Member, ours map[string]string) map[string]string {
	labels := maps.Clone(m.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, ours)
	labels[labelClusterManager], labels[labelMemberID] = Manager, m.Cluster
	return labels
}

func propertiesOf(f Fleet, m Member) []property {
	all := []property{{propertyCluster, m.Cluster}, {propertyClusterSet, f.Name}}
	if m.Region != "" {
		all = append(all, property{"topology.kubernetes.io/region", m.Region})
	}
	if m.Zone != "" {
		all = append(all, property{"topology.kubernetes.io/zone", m.Zone})
	}
	return all
}

// conditionsOf say what the log says.
func conditionsOf(m Member) []metav1.Condition {
	healthy := metav1.Condition{
		Type: conditionHealthy, Status: metav1.ConditionUnknown, Reason: "NotHeardYet", LastTransitionTime: m.Joined,
		Message: "the cluster's member has not said yet how its control plane is",
	}
	if h := m.Healthy; h != nil {
		healthy.Status, healthy.Reason, healthy.Message, healthy.LastTransitionTime = h.Status, h.Reason, h.Message, h.LastTransitionTime
	}
	joined := metav1.Condition{
		Type: conditionJoined, Status: metav1.ConditionTrue, Reason: "Member", LastTransitionTime: m.Joined, Message: "the cluster is a member of the fleet",
	}
	return []metav1.Condition{healthy, joined}
}

// accessTo says how to reach the cluster's kube-apiserver: through the API of its member.
func accessTo(f Fleet, m Member) []accessProvider {
	if m.Server == "" || len(m.Certificate) == 0 {
		return nil
	}
	return []accessProvider{{Name: Manager, Cluster: accessCluster{
		Server: strings.TrimSuffix(m.Server, "/") + PathCluster, CA: m.Certificate,
		Extensions: []namedExtension{{execExtension, credential{Fleet: f.Name, Cluster: m.Cluster}}},
	}}}
}

// PathCluster is where a member's API serves its cluster's own.
const PathCluster = "/cluster/"

// maxDecisions is how many clusters one PlacementDecision may name.
const maxDecisions = 100

// decisions show where each bundle is granted. A cluster whose turn has not come is not in them: whoever follows them
// changes one fault domain at a time, as the fleet does.
func decisions(f Fleet) []want {
	var all []want
	for _, b := range f.Bundles {
		key := keyOf(b.Name)
		for i := 0; i == 0 || i*maxDecisions < len(b.Clusters); i++ {
			d := &placementDecision{
				TypeMeta: typeMeta("PlacementDecision", "multicluster.x-k8s.io/v1alpha1"), ObjectMeta: metaOf(f, Namespace, key+"-"+strconv.Itoa(i)),
				Decisions: chosen(b.Clusters[i*maxDecisions : min((i+1)*maxDecisions, len(b.Clusters))]), SchedulerName: Manager,
			}
			d.Labels[labelPlacementKey], d.Labels[labelDecisionKey], d.Labels[labelDecisionIndex] = key, key, strconv.Itoa(i)
			all = append(all, newWant(d, b.UID))
		}
	}
	return all
}

func chosen(clusters []string) []clusterDecision {
	all := []clusterDecision{}
	for _, c := range clusters {
		all = append(all, clusterDecision{profileRef{Name: c, Namespace: Namespace}, "granted"})
	}
	return all
}

// keyOf is a bundle's name, or for one that is no label value a digest of it.
func keyOf(bundle string) string {
	if len(validation.IsDNS1123Subdomain(bundle)) == 0 && len(validation.IsValidLabelValue(bundle)) == 0 {
		return bundle
	}
	sum := sha256.Sum256([]byte(bundle))
	return fmt.Sprintf("sha256-%x", sum[:16])
}
