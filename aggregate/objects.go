package aggregate

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// apiServiceName is of the one APIService that makes a kube-apiserver pass the group's requests on.
const apiServiceName = "v1alpha1." + v1alpha1.GroupName

var apiServices = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}

// Marks on all that is written here. An object of one of our names without them is somebody else's.
const (
	labelManagedBy  = "app.kubernetes.io/managed-by"
	managedByHanse  = "hanse"
	annotationOwner = v1alpha1.AnnotationRegisteredBy
)

// object is one that is to be there.
type object struct {
	resource schema.GroupVersionResource
	wanted   *unstructured.Unstructured
	// remakes says that the object is deleted and made again when it cannot become what is wanted.
	remakes bool
	// keepsOwner says that the object's owner stays who it is.
	keepsOwner bool
}

// apiService is apiregistration.k8s.io/v1, as much of it as is written here: its module is not worth its weight.
type apiService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              apiServiceSpec `json:"spec"`
}

type apiServiceSpec struct {
	Group    string           `json:"group"`
	Version  string           `json:"version"`
	Service  serviceReference `json:"service"`
	CABundle []byte           `json:"caBundle"`
	// InsecureSkipTLSVerify is written though it is false: what is not would stay as somebody else has set it.
	InsecureSkipTLSVerify bool  `json:"insecureSkipTLSVerify"`
	GroupPriorityMinimum  int32 `json:"groupPriorityMinimum"`
	VersionPriority       int32 `json:"versionPriority"`
}

type serviceReference struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Port      int32  `json:"port"`
}

// registration is the APIService. The Service's port is the member's own, whatever the Service's type: of an
// ExternalName kube-apiserver dials the port that it finds here.
func registration(b backend, owner string, bundle []byte) object {
	return newObject(apiServices, owner, &apiService{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apiregistration.k8s.io/v1", Kind: "APIService"},
		ObjectMeta: metav1.ObjectMeta{Name: apiServiceName},
		Spec: apiServiceSpec{
			Group: v1alpha1.GroupName, Version: v1alpha1.SchemeGroupVersion.Version, CABundle: bundle,
			Service:              serviceReference{Namespace: Namespace, Name: serviceName, Port: b.port},
			GroupPriorityMinimum: 1000, VersionPriority: 100,
		},
	})
}

// route is the way from the kube-apiserver to the member: a Service, and for one with an address its EndpointSlice.
func route(b backend, owner string) []object {
	service := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: serviceName, Namespace: Namespace},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: b.host},
	}
	if !b.ip.IsValid() {
		return []object{newObject(services, owner, service)}
	}
	family, addressType := corev1.IPv4Protocol, discoveryv1.AddressTypeIPv4
	if b.ip.Is6() {
		family, addressType = corev1.IPv6Protocol, discoveryv1.AddressTypeIPv6
	}
	service.Spec = corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, IPFamilies: []corev1.IPFamily{family},
		Ports: []corev1.ServicePort{{Name: "https", Protocol: corev1.ProtocolTCP, Port: b.port}},
	}
	name, protocol, ready := "https", corev1.ProtocolTCP, true
	slice := &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta: metav1.ObjectMeta{Name: serviceName, Namespace: Namespace, Labels: map[string]string{
			discoveryv1.LabelServiceName: serviceName, discoveryv1.LabelManagedBy: managedByHanse,
		}},
		AddressType: addressType,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{b.ip.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Protocol: &protocol, Port: &b.port}},
	}
	objects := []object{newObject(services, owner, service), newObject(endpointSlices, owner, slice)}
	for i := range objects {
		objects[i].remakes = true // the family of an address cannot be changed
	}
	return objects
}

// detour is what lies on the way to a member that had another address before.
func detour(b backend, owner string) []object {
	if b.ip.IsValid() {
		return nil
	}
	return route(backend{ip: anyAddress}, owner)[1:]
}

var (
	namespaces     = corev1.SchemeGroupVersion.WithResource("namespaces")
	services       = corev1.SchemeGroupVersion.WithResource("services")
	endpointSlices = discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
)

// home is the namespace of what has one.
func home(owner string) object {
	return newObject(namespaces, owner, &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: Namespace},
	})
}

// String names the object for people.
func (o object) String() string { return o.resource.Resource + " " + o.wanted.GetName() }

// in is where the object lies.
func (o object) in(client dynamic.Interface) dynamic.ResourceInterface {
	if ns := o.wanted.GetNamespace(); ns != "" {
		return client.Resource(o.resource).Namespace(ns)
	}
	return client.Resource(o.resource)
}

// newObject marks a typed object as ours, and makes it what the dynamic client takes.
func newObject(resource schema.GroupVersionResource, owner string, typed any) object {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		panic(err) // one of our own types cannot be converted
	}
	u := &unstructured.Unstructured{Object: fields}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	labels := map[string]string{labelManagedBy: managedByHanse}
	maps.Copy(labels, u.GetLabels())
	u.SetLabels(labels)
	u.SetAnnotations(map[string]string{annotationOwner: owner})
	return object{resource: resource, wanted: u}
}
