package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

// pretender is a simulated kube-apiserver, for fleets of more clusters than a machine has room for: it keeps objects in memory, tells
// watchers of them, and knows who applied which fields. It validates nothing, and nobody else writes.
type pretender struct {
	server  *http.Server
	address string
	// changed is told of every object that was written. It must not block.
	changed func(*unstructured.Unstructured)

	mu       sync.Mutex
	revision int64
	objects  map[string]*unstructured.Unstructured // by kind's plural, namespace and name
	events   []happening
	news     chan struct{} // closed, and replaced, at each change
}

// happening is an event as watchers get it.
type happening struct {
	revision int64
	plural   string
	what     string
	object   *unstructured.Unstructured
}

// served are the kinds that there are.
var served = []struct {
	group, version string
	resources      []metav1.APIResource
}{
	{"", "v1", []metav1.APIResource{
		kindOf("namespaces", "Namespace", false), kindOf("nodes", "Node", false), kindOf("configmaps", "ConfigMap", true),
		kindOf("secrets", "Secret", true), kindOf("pods", "Pod", true), kindOf("services", "Service", true), kindOf("events", "Event", true),
	}},
	{"coordination.k8s.io", "v1", []metav1.APIResource{kindOf("leases", "Lease", true)}},
	{"events.k8s.io", "v1", []metav1.APIResource{kindOf("events", "Event", true)}},
	{"storage.k8s.io", "v1", []metav1.APIResource{kindOf("storageclasses", "StorageClass", false)}},
	{"authorization.k8s.io", "v1", []metav1.APIResource{kindOf("subjectaccessreviews", "SubjectAccessReview", false), kindOf("selfsubjectaccessreviews", "SelfSubjectAccessReview", false)}},
}

func kindOf(plural, kind string, namespaced bool) metav1.APIResource {
	return metav1.APIResource{Name: plural, Kind: kind, Namespaced: namespaced, Verbs: metav1.Verbs{"create", "delete", "get", "list", "patch", "update", "watch"}}
}

func pretend(changed func(*unstructured.Unstructured)) (*pretender, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &pretender{address: l.Addr().String(), changed: changed, objects: map[string]*unstructured.Unstructured{}, news: make(chan struct{})}
	p.server = &http.Server{Handler: p}
	go p.server.Serve(l) // until close
	return p, nil
}

func (p *pretender) close() { _ = p.server.Close() }

// kubeconfig is how a member finds it.
func (p *pretender) kubeconfig() string {
	return fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'http://%s'}}]\nusers: [{name: u, user: {}}]\n", p.address)
}

// ServeHTTP implements http.Handler.
func (p *pretender) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case parts[0] == "readyz" || parts[0] == "livez":
		fmt.Fprint(w, "ok")
	case parts[0] == "version":
		say(w, http.StatusOK, map[string]any{"major": "1", "minor": "37", "gitVersion": "v1.37.2"})
	case parts[0] == "api" && len(parts) == 1:
		say(w, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	case parts[0] == "apis" && len(parts) == 1:
		say(w, http.StatusOK, groupList())
	case parts[0] == "api" && len(parts) > 1:
		p.serveGroup(w, r, "", parts[1], parts[2:])
	case parts[0] == "apis" && len(parts) > 2:
		p.serveGroup(w, r, parts[1], parts[2], parts[3:])
	default:
		http.NotFound(w, r)
	}
}

func groupList() metav1.APIGroupList {
	all := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	for _, s := range served[1:] {
		v := metav1.GroupVersionForDiscovery{GroupVersion: s.group + "/" + s.version, Version: s.version}
		all.Groups = append(all.Groups, metav1.APIGroup{Name: s.group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
	}
	return all
}

func (p *pretender) serveGroup(w http.ResponseWriter, r *http.Request, group, version string, rest []string) {
	for _, s := range served {
		if s.group != group || s.version != version {
			continue
		}
		gv := schema.GroupVersion{Group: group, Version: version}
		if len(rest) == 0 {
			say(w, http.StatusOK, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String(), APIResources: s.resources})
			return
		}
		a := ask{gv: gv}
		if rest[0] == "namespaces" && len(rest) > 2 {
			a.namespace, rest = rest[1], rest[2:]
		}
		a.plural = rest[0]
		if len(rest) > 1 {
			a.name = rest[1]
		}
		for _, known := range s.resources {
			if known.Name == a.plural {
				a.kind = known.Kind
				p.answer(w, r, a)
				return
			}
		}
	}
	refuse(w, apierrors.NewNotFound(schema.GroupResource{Group: group}, strings.Join(rest, "/")))
}

// ask is what a request is about.
type ask struct {
	gv                            schema.GroupVersion
	plural, kind, namespace, name string
}

func (a ask) prefix() string { return a.gv.Group + "/" + a.plural + "/" }
func (a ask) key() string    { return a.prefix() + a.namespace + "/" + a.name }
func (a ask) missing() error {
	return apierrors.NewNotFound(schema.GroupResource{Group: a.gv.Group, Resource: a.plural}, a.name)
}

func (p *pretender) answer(w http.ResponseWriter, r *http.Request, a ask) {
	if r.Method == http.MethodGet && a.name == "" {
		p.list(w, r, a)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	given, err := read(body)
	if err != nil {
		refuse(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	if strings.HasSuffix(a.plural, "accessreviews") {
		given.Object["status"] = map[string]any{"allowed": true}
		say(w, http.StatusCreated, given)
		return
	}
	done, err := p.one(r, a, given)
	if err != nil {
		refuse(w, err)
		return
	}
	say(w, http.StatusOK, done)
}

// read takes JSON, and the protocol buffers that typed clients send.
func read(body []byte) (*unstructured.Unstructured, error) {
	given := &unstructured.Unstructured{}
	switch {
	case len(body) == 0:
		return given, nil
	case body[0] == '{':
		return given, json.Unmarshal(body, &given.Object)
	}
	typed, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return nil, err
	}
	given.Object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	return given, err
}

// one reads or changes one object.
func (p *pretender) one(r *http.Request, a ask, given *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.name == "" {
		a.name = given.GetName()
		if a.name == "" {
			a.name = given.GetGenerateName() + strconv.FormatInt(p.revision, 36)
		}
	}
	have := p.objects[a.key()]
	switch r.Method {
	case http.MethodPost:
		if have != nil {
			return nil, apierrors.NewAlreadyExists(schema.GroupResource{Group: a.gv.Group, Resource: a.plural}, a.name)
		}
		return p.put(a, nil, given), nil
	case http.MethodPatch:
		if r.Header.Get("Content-Type") != "application/apply-patch+yaml" {
			return nil, apierrors.NewBadRequest("only applies are simulated")
		}
		if v := given.GetResourceVersion(); have != nil && v != "" && v != have.GetResourceVersion() {
			return nil, apierrors.NewConflict(schema.GroupResource{Group: a.gv.Group, Resource: a.plural}, a.name, errors.New("another version"))
		}
		ownFields(given, r.URL.Query().Get("fieldManager"))
		return p.put(a, have, given), nil
	}
	if have == nil {
		return nil, a.missing()
	}
	switch r.Method {
	case http.MethodPut:
		if v := given.GetResourceVersion(); v != "" && v != have.GetResourceVersion() {
			return nil, apierrors.NewConflict(schema.GroupResource{Group: a.gv.Group, Resource: a.plural}, a.name, errors.New("another version"))
		}
		return p.put(a, have, given), nil
	case http.MethodDelete:
		delete(p.objects, a.key())
		p.tell(a, "DELETED", have)
	}
	return have, nil
}

// put keeps an object as it is given.
func (p *pretender) put(a ask, have, given *unstructured.Unstructured) *unstructured.Unstructured {
	what := "ADDED"
	given.SetAPIVersion(a.gv.String())
	given.SetKind(a.kind)
	given.SetName(a.name)
	given.SetNamespace(a.namespace)
	if have == nil {
		given.SetUID(types.UID(uuid.NewString()))
		given.SetCreationTimestamp(metav1.Now())
	} else {
		what = "MODIFIED"
		given.SetUID(have.GetUID())
		given.SetCreationTimestamp(have.GetCreationTimestamp())
	}
	if a.plural == "namespaces" {
		given.Object["status"] = map[string]any{"phase": "Active"}
	}
	p.tell(a, what, given)
	p.objects[a.key()] = given
	return given
}

// tell gives the change a version, and tells watchers of it.
func (p *pretender) tell(a ask, what string, object *unstructured.Unstructured) {
	p.revision++
	if what != "DELETED" {
		object.SetResourceVersion(strconv.FormatInt(p.revision, 10))
		p.changed(object)
	}
	if a.plural != "leases" { // nobody watches those
		p.events = append(p.events, happening{p.revision, a.prefix(), what, object})
	}
	close(p.news)
	p.news = make(chan struct{})
}

func (p *pretender) list(w http.ResponseWriter, r *http.Request, a ask) {
	q := r.URL.Query()
	chosen, err := labels.Parse(q.Get("labelSelector"))
	if err != nil {
		refuse(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	named, err := fields.ParseSelector(q.Get("fieldSelector"))
	if err != nil {
		refuse(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	is := func(u *unstructured.Unstructured) bool {
		return chosen.Matches(labels.Set(u.GetLabels())) && (a.namespace == "" || u.GetNamespace() == a.namespace) &&
			(!strings.HasPrefix(q.Get("fieldSelector"), "metadata.name") || named.Matches(fields.Set{"metadata.name": u.GetName(), "metadata.namespace": u.GetNamespace()}))
	}
	if watch := q.Get("watch"); watch == "1" || watch == "true" {
		since, _ := strconv.ParseInt(q.Get("resourceVersion"), 10, 64)
		p.watch(r.Context(), w, a, since, is)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	items := []any{}
	for _, key := range slices.Sorted(maps.Keys(p.objects)) {
		if u := p.objects[key]; strings.HasPrefix(key, a.prefix()) && is(u) {
			items = append(items, u.Object)
		}
	}
	say(w, http.StatusOK, map[string]any{
		"apiVersion": a.gv.String(), "kind": a.kind + "List", "metadata": map[string]any{"resourceVersion": strconv.FormatInt(p.revision, 10)}, "items": items,
	})
}

func (p *pretender) watch(ctx context.Context, w http.ResponseWriter, a ask, since int64, is func(*unstructured.Unstructured) bool) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	out, lines := http.NewResponseController(w), json.NewEncoder(w)
	for {
		_ = out.Flush() // whoever went away is seen below
		p.mu.Lock()
		at, _ := slices.BinarySearchFunc(p.events, since+1, func(e happening, r int64) int { return int(e.revision - r) })
		events, news := slices.Clone(p.events[at:]), p.news
		p.mu.Unlock()
		for _, e := range events {
			since = e.revision
			if e.plural != a.prefix() || !is(e.object) {
				continue
			}
			if err := lines.Encode(map[string]any{"type": e.what, "object": e.object.Object}); err != nil {
				return
			}
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}

// ownFields writes down which fields a manager applied.
func ownFields(u *unstructured.Unstructured, manager string) {
	set := fieldsOf(u.Object)
	delete(set, "f:apiVersion")
	delete(set, "f:kind")
	if m, ok := set["f:metadata"].(map[string]any); ok {
		for _, identity := range []string{"f:name", "f:namespace", "f:uid", "f:resourceVersion"} {
			delete(m, identity)
		}
	}
	raw, _ := json.Marshal(set) // of strings and maps
	now := metav1.NewTime(time.Now())
	u.SetManagedFields([]metav1.ManagedFieldsEntry{{
		Manager: manager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: u.GetAPIVersion(), Time: &now, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(raw)),
	}})
}

func fieldsOf(object map[string]any) map[string]any {
	set := map[string]any{}
	for name, v := range object {
		below, _ := v.(map[string]any)
		set["f:"+name] = fieldsOf(below)
	}
	return set
}

func say(w http.ResponseWriter, code int, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(what) // whoever asked sees that it is cut off
}

func refuse(w http.ResponseWriter, err error) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		status = apierrors.NewInternalError(err)
	}
	s := status.Status()
	s.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	say(w, int(s.Code), s)
}
