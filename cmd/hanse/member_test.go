package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/render"
)

// member is a stand-in for a member of a fleet of three clusters: as much of the API as the verbs use, and the
// faults that they must tell apart.
type member struct {
	mu       sync.Mutex
	mode     string            // ok, noquorum, uncertain, hang, deaf, votes, asks (before what is deleted goes), busy, warns (of writes)
	clusters map[string]string // name → ready, refuses, silent, away
	objects  map[string]map[string]any
	works    map[string]v1alpha1.Work
	revision int
	looks    int           // at a member that starts
	turns    int           // at one that is busy
	changed  chan struct{} // closed and replaced at every change
	stop     chan struct{}
	asked    []string // what came in, for scripts to look at
}

func newMember() *member {
	m := &member{
		mode: "ok", clusters: map[string]string{"fra": "ready", "iad": "ready", "sin": "ready"},
		objects: map[string]map[string]any{}, works: map[string]v1alpha1.Work{}, revision: 811,
		changed: make(chan struct{}), stop: make(chan struct{}),
	}
	for name, region := range map[string]string{"fra": "eu", "iad": "us", "sin": "ap"} {
		m.objects["clusters/"+name] = map[string]any{
			"apiVersion": apiVersion, "kind": "Cluster",
			"metadata": map[string]any{"name": name, "resourceVersion": "3", "generation": float64(1), "labels": map[string]any{"region": region}},
			"spec":     map[string]any{"voting": "Eligible", "rights": "Admin"},
			"status":   map[string]any{"voter": "Voter"},
		}
	}
	return m
}

// serve listens on a socket until the test ends.
func (m *member) serve(t interface{ Fatal(...any) }, defers func(func()), socket string) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: m}}
	server.Start()
	defers(func() { close(m.stop); server.CloseClientConnections(); server.Close() })
}

func (m *member) set(mode string) { m.mu.Lock(); m.mode = mode; m.mu.Unlock() }

// touch must be called with the lock held, after a change.
func (m *member) touch() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	mode := m.mode
	what := r.Method
	if r.URL.Query().Has("dryRun") {
		what = "dry run of a " + strings.ToLower(what)
	}
	m.asked = append(m.asked, what+" "+r.URL.Path)
	m.mu.Unlock()
	if mode == "busy" && m.crowded() {
		w.Header().Set("Retry-After", "1")
		refuse(w, 429, "TooManyRequests", "hanse:local asks the member of sin for more at once than its share; ask less at once, or wait", &metav1.StatusDetails{RetryAfterSeconds: 1})
		return
	}
	if r.Method != "GET" && m.fault(w, r, mode) {
		return
	}
	if mode == "deaf" {
		m.hang(r)
		return
	}
	if mode == "warns" && r.Method != "GET" {
		w.Header().Add("Warning", `299 - "bundle shop is deleted, but what clusters run of it stays until a person approves"`)
		w.Header().Add("Warning", `299 - "something is to be known of this write"`)
	}
	if mode == "noquorum" {
		w.Header().Add("Warning", `299 - "no quorum: read of revision 811 by sin alone"`)
	}
	name, isObject := strings.CutPrefix(r.URL.Path, apiPath)
	switch {
	case isObject && strings.HasPrefix(name, "works"):
		m.serveWorks(w, r)
	case isObject:
		m.serveObject(w, r, name)
	case r.URL.Path == v1alpha1.PathStatus:
		answer(w, 200, m.fleetStatus())
	case r.URL.Path == v1alpha1.PathMembers:
		answer(w, 200, map[string]any{"fleet": "acme", "member": "sin", "serverName": "member.hanse", "members": []any{
			map[string]any{"cluster": "fra", "server": "https://192.0.2.1:7947", "certificate": "PEM of fra\n"},
			map[string]any{"cluster": "sin", "server": "https://192.0.2.3:7947", "certificate": "PEM of sin\n"},
		}})
	case r.URL.Path == v1alpha1.PathTokens:
		var asked map[string]any
		json.NewDecoder(r.Body).Decode(&asked)
		m.mu.Lock()
		m.asked = append(m.asked, fmt.Sprint(asked))
		m.mu.Unlock()
		answer(w, 200, map[string]any{"token": "hanse1-abc", "id": "f00", "expires": "2030-01-02T03:04:05Z"})
	case r.URL.Path == v1alpha1.PathExposed:
		m.serveExposed(w, r.URL.Query().Get("cluster"))
	case r.URL.Path == v1alpha1.PathReaders:
		serveReaders(w, r.URL.Query().Get("secret"))
	case r.URL.Path == v1alpha1.PathSecret:
		var ask v1alpha1.SecretRequest
		json.NewDecoder(r.Body).Decode(&ask)
		switch ask.Name {
		case "db":
			answer(w, 200, map[string]any{"apiVersion": "v1", "kind": "Secret", "data": map[string]any{"password": "Y2FuYXJ5LTQ3MTE=", "user": "YQ=="}})
		case "far":
			refuse(w, 409, "Conflict", "fleetsecret far cannot be opened by the member of sin: cluster sin has no key of group readers; members that hold the key: fra, iad", nil)
		default:
			refuse(w, 404, "NotFound", "the fleet has no such secret: "+strconv.Quote(ask.Name), nil)
		}
	case r.URL.Path == v1alpha1.PathLead:
		var ask v1alpha1.LeadRequest
		json.NewDecoder(r.Body).Decode(&ask)
		switch {
		case ask.Auto:
			answer(w, 200, v1alpha1.LeadAnswer{From: "fra", To: "fra"})
		case m.clusters[ask.Place] == "":
			refuse(w, 400, "BadRequest", fmt.Sprintf("the fleet has no cluster and no region %q", ask.Place), nil)
		case ask.Place == "sin":
			answer(w, 200, v1alpha1.LeadAnswer{From: "fra", To: "fra", Waits: true})
		default:
			answer(w, 200, v1alpha1.LeadAnswer{From: "fra", To: ask.Place, TookMillis: 210})
		}
	case r.URL.Path == v1alpha1.PathBackup:
		w.Header().Set(v1alpha1.HeaderBackup, `{"fleet":"acme","member":"sin","epoch":1,"revision":811}`)
		w.Header().Set("Trailer", v1alpha1.TrailerBackupSize)
		fmt.Fprint(w, "encrypted")
		if mode == "brokenoff" {
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		w.Header().Set(v1alpha1.TrailerBackupSize, "9")
	case r.URL.Path == "/version":
		answer(w, 200, map[string]any{"gitVersion": "v1.37.0+hanse.v0.1.0"})
	default:
		refuse(w, 404, "NotFound", "no such path", nil)
	}
}

// fault answers a write as the mode says; false when the write goes on.
func (m *member) fault(w http.ResponseWriter, r *http.Request, mode string) bool {
	switch mode {
	case "noquorum":
		w.Header().Set("Retry-After", "1")
		refuse(w, 503, "ServiceUnavailable", "no quorum: no leader", &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "NoQuorum"}}})
	case "uncertain":
		refuse(w, 504, "Timeout", "not known whether it was written", &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "Uncertain"}}})
	case "hang":
		m.hang(r)
	case "forbidden":
		refuse(w, 403, "Forbidden", `bundles.fleet.hanse.dev "shop" is forbidden: user "eve" with role Viewer may not do this`, &metav1.StatusDetails{Group: group, Kind: "bundles", Name: "shop"})
	case "invalid":
		refuse(w, 422, "Invalid", `Bundle.fleet.hanse.dev "shop" is invalid: [spec.drift: Unsupported value: "No", spec.rollout.soak: Invalid value: "-5s"]`, &metav1.StatusDetails{Causes: []metav1.StatusCause{
			{Field: "spec.drift", Message: `Unsupported value: "No"`}, {Field: "spec.rollout.soak", Message: `Invalid value: "-5s"`}}})
	case "older":
		if r.Method != "DELETE" || !r.URL.Query().Has("dryRun") {
			return false
		}
		refuse(w, 403, "Forbidden", `clusters.fleet.hanse.dev "iad" is forbidden: iad votes; set its spec.voting to Never, and delete it once its status.voter is Nonvoter (hanse remove iad does both)`, &metav1.StatusDetails{Group: group, Kind: "clusters", Name: "iad"})
	case "strands":
		refuse(w, 403, "Forbidden", `clusters.fleet.hanse.dev "iad" is forbidden: nobody who may read would hold the key of recipientgroup db-readers, for which fleetsecret db is sealed`, &metav1.StatusDetails{Group: group, Kind: "clusters", Name: "iad"})
	case "taken":
		refuse(w, 409, "Conflict", "Apply failed with 1 conflict", &metav1.StatusDetails{Causes: []metav1.StatusCause{
			{Type: metav1.CauseTypeFieldManagerConflict, Message: `conflict with "kubectl"`, Field: ".spec.placement.clusterSelector"}}})
	default:
		return false
	}
	return true
}

// crowded refuses every other request.
func (m *member) crowded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turns++
	return m.turns%2 == 1
}

func (m *member) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-m.stop:
	}
}

func (m *member) serveObject(w http.ResponseWriter, r *http.Request, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	plural, isName, _ := strings.Cut(name, "/")
	old := m.objects[name]
	switch {
	case r.Method == "GET" && isName == "":
		m.list(w, r, plural)
	case r.Method == "POST":
		var object map[string]any
		json.NewDecoder(r.Body).Decode(&object)
		name += "/" + nameOf(object)
		if m.objects[name] != nil {
			refuse(w, 409, "AlreadyExists", name+" already exists", nil)
			return
		}
		m.put(name, object, nil)
		answer(w, 201, m.objects[name])
	case r.Method == "PATCH" && plural == "rollouts":
		m.order(w, r, old)
	case r.Method == "PATCH" && r.Header.Get("Content-Type") == typeMerge && old != nil:
		body, _ := io.ReadAll(r.Body)
		if m.relabel(w, r, body, old) || m.avail(w, body, old) {
			return
		}
		m.revision++
		old["spec"].(map[string]any)["voting"] = "Never"
		old["metadata"].(map[string]any)["generation"] = float64(2)
		answer(w, 200, old)
	case r.Method == "PATCH":
		m.patch(w, r, name, old)
	case old == nil:
		refuse(w, 404, "NotFound", name+" not found", &metav1.StatusDetails{Kind: plural, Name: isName})
	case r.Method == "GET":
		m.demote(old)
		if strings.Contains(r.Header.Get("Accept"), "as=Table") {
			answer(w, 200, table([]map[string]any{old}))
			return
		}
		answer(w, 200, old)
	case r.Method == "DELETE":
		if r.URL.Query().Get("dryRun") == "" {
			delete(m.objects, name)
			m.revision++
			m.withdraw(isName)
		}
		old["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(m.revision)
		answer(w, 200, old)
	}
}

// relabel merges labels; false when the patch has none.
func (m *member) relabel(w http.ResponseWriter, r *http.Request, body []byte, old map[string]any) bool {
	var patch metav1.PartialObjectMetadata
	var said struct {
		Metadata struct {
			Labels map[string]*string `json:"labels"`
		} `json:"metadata"`
	}
	if json.Unmarshal(body, &patch) != nil || json.Unmarshal(body, &said) != nil || said.Metadata.Labels == nil {
		return false
	}
	metadata := old["metadata"].(map[string]any)
	if m.mode == "raced" { // somebody else was quicker, once
		m.mode = "ok"
		m.revision++
		metadata["resourceVersion"], metadata["labels"] = strconv.Itoa(m.revision), map[string]any{"tier": "edge"}
	}
	if patch.ResourceVersion != metadata["resourceVersion"] {
		refuse(w, 409, "Conflict", "the object has been modified", nil)
		return true
	}
	labels := maps.Clone(metadata["labels"].(map[string]any))
	for key, value := range said.Metadata.Labels {
		if delete(labels, key); value != nil {
			labels[key] = *value
		}
	}
	dressed := maps.Clone(old)
	metadata = maps.Clone(metadata)
	metadata["labels"] = labels
	dressed["metadata"] = metadata
	if r.URL.Query().Get("dryRun") == "" {
		m.revision++
		metadata["resourceVersion"] = strconv.Itoa(m.revision)
		m.objects["clusters/"+nameOf(old)] = dressed
	}
	answer(w, 200, dressed)
	return true
}

// avail says what a cluster takes on; false when the patch does not.
func (m *member) avail(w http.ResponseWriter, body []byte, old map[string]any) bool {
	var c v1alpha1.Cluster
	if json.Unmarshal(body, &c) != nil || c.Spec.Availability == "" {
		return false
	}
	metadata := old["metadata"].(map[string]any)
	if m.mode == "raced" { // somebody else was quicker, once
		m.mode = "ok"
		m.revision++
		metadata["resourceVersion"] = strconv.Itoa(m.revision)
	}
	if c.ResourceVersion != metadata["resourceVersion"] {
		refuse(w, 409, "Conflict", "the object has been modified", nil)
		return true
	}
	m.revision++
	metadata["resourceVersion"], metadata["annotations"] = strconv.Itoa(m.revision), map[string]any{v1alpha1.AnnotationAvailability: c.Annotations[v1alpha1.AnnotationAvailability]}
	old["spec"].(map[string]any)["availability"] = c.Spec.Availability
	answer(w, 200, old)
	return true
}

func (m *member) list(w http.ResponseWriter, r *http.Request, plural string) {
	var items []map[string]any
	for name, object := range m.objects {
		if strings.HasPrefix(name, plural+"/") {
			items = append(items, object)
		}
	}
	slices.SortFunc(items, func(a, b map[string]any) int { return strings.Compare(nameOf(a), nameOf(b)) })
	if r.URL.Query().Get("watch") != "" {
		fmt.Fprintln(w, `{"type":"BOOKMARK","object":{}}`)
		for _, object := range items {
			line, _ := json.Marshal(map[string]any{"type": "MODIFIED", "object": table([]map[string]any{object})})
			fmt.Fprintf(w, "%s\n", line)
		}
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "as=Table") {
		answer(w, 200, table(items))
		return
	}
	answer(w, 200, map[string]any{"apiVersion": apiVersion, "kind": "List", "metadata": map[string]any{"resourceVersion": "811"}, "items": items})
}

func table(items []map[string]any) map[string]any {
	rows := []any{}
	for _, o := range items {
		metadata := o["metadata"].(map[string]any)
		rows = append(rows, map[string]any{"cells": []any{metadata["name"], nil, metadata["resourceVersion"]}})
	}
	return map[string]any{"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": map[string]any{"resourceVersion": "811"},
		"columnDefinitions": []any{
			map[string]any{"name": "Name", "type": "string", "priority": 0},
			map[string]any{"name": "Ready", "type": "string", "priority": 0},
			map[string]any{"name": "Revision", "type": "string", "priority": 1},
		}, "rows": rows}
}

// patch is server-side apply as far as one manager goes: what was said is what there is.
func (m *member) patch(w http.ResponseWriter, r *http.Request, name string, old map[string]any) {
	var object map[string]any
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
		refuse(w, 400, "BadRequest", err.Error(), nil)
		return
	}
	metadata := object["metadata"].(map[string]any)
	if rv := metadata["resourceVersion"]; rv != nil && rv != old["metadata"].(map[string]any)["resourceVersion"] {
		refuse(w, 409, "Conflict", "the object has been modified", nil)
		return
	}
	if m.mode == "raced" { // somebody else was quicker, once
		m.mode = "ok"
		m.revision++
		old["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(m.revision)
		refuse(w, 409, "Conflict", "the object has been modified", nil)
		return
	}
	if old != nil && same(object["spec"], old["spec"]) {
		answer(w, 200, old)
		return
	}
	if r.URL.Query().Get("dryRun") != "" {
		m.dress(object, old)
		answer(w, 200, object)
		return
	}
	m.put(name, object, old)
	if bundle, ok := strings.CutPrefix(name, "bundles/"); ok {
		m.roll(bundle)
	}
	answer(w, 200, m.objects[name])
}

// demote is what the leader does with a cluster that is to vote no more, unless the mode is votes.
func (m *member) demote(object map[string]any) {
	if spec, _ := object["spec"].(map[string]any); spec["voting"] == "Never" && m.mode != "votes" {
		object["status"] = map[string]any{"voter": "Nonvoter", "conditions": []any{map[string]any{"type": "Ready", "status": "True", "observedGeneration": 2}}}
	}
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func (m *member) put(name string, object, old map[string]any) {
	m.revision++
	m.dress(object, old)
	m.objects[name] = object
}

// dress gives an object what only the API sets.
func (m *member) dress(object, old map[string]any) {
	metadata := object["metadata"].(map[string]any)
	metadata["resourceVersion"] = strconv.Itoa(m.revision)
	metadata["uid"], metadata["generation"] = "0123456789", float64(1)
	metadata["managedFields"] = []any{map[string]any{"manager": "hanse"}}
	if old != nil {
		metadata["generation"] = old["metadata"].(map[string]any)["generation"].(float64) + 1
	}
}

// roll lets every cluster do with a bundle what it does.
func (m *member) roll(bundle string) {
	var b v1alpha1.Bundle
	if err := fromMap(m.objects["bundles/"+bundle], &b); err != nil {
		panic(err)
	}
	content, err := toMap(v1alpha1.BundleRevisionSpec{BundleContent: b.Spec.BundleContent})
	if err != nil {
		panic(err)
	}
	revision := v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)
	m.objects["bundlerevisions/"+revision] = map[string]any{"metadata": map[string]any{"name": revision}, "spec": content}
	var clusters []v1alpha1.Cluster
	for name := range m.clusters {
		c := v1alpha1.Cluster{}
		if err := fromMap(m.objects["clusters/"+name], &c); err != nil {
			panic(err)
		}
		clusters = append(clusters, c)
	}
	placed, err := plan.Place(b.Spec.Placement, plan.Ground{Clusters: clusters})
	if err != nil {
		panic(err)
	}
	for name, doing := range m.clusters {
		key := v1alpha1.WorkName(bundle, name)
		if !slices.Contains(placed.Picked, name) {
			delete(m.works, key)
			continue
		}
		m.works[key] = m.workIn(name, doing, b)
	}
	m.rolled(bundle, v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation), b.Generation)
	m.touch()
}

// rolled leaves the rollout of a change, which has ended.
func (m *member) rolled(bundle, revision string, generation int64) {
	r := v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: bundle}}
	r.Spec = v1alpha1.RolloutSpec{Bundle: bundle, BundleUID: "0123456789", Revision: revision, Generation: generation}
	r.Status.Phase = v1alpha1.RolloutComplete
	object, err := toMap(r)
	if err != nil {
		panic(err)
	}
	m.objects["rollouts/"+bundle] = object
}

func (m *member) workIn(cluster, doing string, b v1alpha1.Bundle) v1alpha1.Work {
	revision := v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)
	w := v1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.WorkName(b.Name, cluster)}}
	w.Spec = v1alpha1.WorkSpec{Bundle: b.Name, Cluster: cluster, Wanted: revision}
	var c v1alpha1.Cluster
	if err := fromMap(m.objects["clusters/"+cluster], &c); err != nil {
		panic(err)
	}
	w.Spec.Frozen = render.Freeze(b.Spec.BundleContent, &c, v1alpha1.ClusterMetricsStatus{})
	if len(b.Spec.Division) > 0 { // its turn has not come, so it is rendered as it would be now
		return w
	}
	switch doing {
	case "ready":
		w.Spec.Granted = revision
		w.Status = v1alpha1.WorkStatus{Applied: revision, Health: v1alpha1.HealthReady, Objects: 2, ReadyObjects: 2}
	case "refuses":
		w.Spec.Granted = revision
		w.Status = v1alpha1.WorkStatus{Applied: revision, Health: v1alpha1.HealthFailed, Objects: 2, ReadyObjects: 1, Problems: []v1alpha1.Problem{{
			ObjectRef: v1alpha1.ObjectRef{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "settings"},
			Reason:    "Refused", Message: "denied by policy no-settings",
		}}}
	case "silent":
		w.Spec.Granted = revision
	}
	return w
}

func (m *member) withdraw(bundle string) {
	for name, doing := range m.clusters {
		key := v1alpha1.WorkName(bundle, name)
		if doing == "ready" && m.mode != "asks" {
			delete(m.works, key)
		} else if w, ok := m.works[key]; ok {
			w.Spec.Wanted, w.Spec.Granted = "", ""
			m.works[key] = w
		}
	}
	m.rolled(bundle, "", 0)
	if m.mode == "asks" {
		m.objects["rollouts/"+bundle]["status"] = map[string]any{"phase": "Progressing", "message": "nothing is granted: a person is asked", "deletions": map[string]any{
			"objects": 6, "of": 6, "reason": "2 of 2 objects go in fra, more than 20%", "clusters": []any{map[string]any{"name": "fra", "objects": 2, "withdrawn": true}}}}
	}
	m.touch()
}

func (m *member) serveWorks(w http.ResponseWriter, r *http.Request) {
	list := func() (all []v1alpha1.Work, changed chan struct{}) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, work := range m.works {
			all = append(all, work)
		}
		return all, m.changed
	}
	all, changed := list()
	if name, ok := strings.CutPrefix(r.URL.Path, apiPath+"works/"); ok {
		if i := slices.IndexFunc(all, func(w v1alpha1.Work) bool { return w.Name == name }); i >= 0 {
			answer(w, 200, all[i])
		} else {
			refuse(w, 404, "NotFound", name+" not found", nil)
		}
		return
	}
	if r.URL.Query().Get("watch") == "" {
		answer(w, 200, v1alpha1.WorkList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: all})
		return
	}
	w.(http.Flusher).Flush()
	select { // ends at the first change: the client lists again
	case <-changed:
	case <-r.Context().Done():
	case <-m.stop:
	}
}

func (m *member) fleetStatus() v1alpha1.FleetStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := v1alpha1.FleetStatus{Fleet: "acme", Member: "sin", Revision: uint64(m.revision), Leader: "fra",
		Quorum: v1alpha1.Quorum{Voters: 3, Reached: 3, Have: true}, RegionsYouCanLose: []string{"ap", "eu", "us"}}
	seen := metav1.NewTime(time.Now())
	for _, c := range []v1alpha1.ClusterFleetStatus{{Name: "fra", Region: "eu", RTTMillis: 160}, {Name: "iad", Region: "us", RTTMillis: 84}, {Name: "sin", Region: "ap"}} {
		c.Voter, c.Reachable, c.LastSeen, c.Revision = true, m.clusters[c.Name] != "away", &seen, s.Revision
		c.Bundles = v1alpha1.BundleCounts{Total: len(m.works), Ready: len(m.works)}
		if m.mode == "noquorum" && c.Name != "sin" {
			lost := metav1.NewTime(time.Now().Add(-41 * time.Second))
			c.Reachable, c.LastSeen = false, &lost
		}
		s.Clusters = append(s.Clusters, c)
	}
	if m.mode == "starting" { // it has found the others at the third look
		m.looks++
		s.Starting = m.looks < 3
		s.Quorum.Have = !s.Starting
	}
	if m.mode == "noquorum" {
		s.Leader, s.RegionsYouCanLose = "", []string{}
		s.Quorum = v1alpha1.Quorum{Voters: 3, Reached: 1}
		s.Warnings = []string{"no quorum: reads are answered from this member's own copy; writes wait for voters to return, or for `hanse recover` when they are lost for good"}
	}
	return s
}

func nameOf(object map[string]any) string {
	return object["metadata"].(map[string]any)["name"].(string)
}

func answer(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(value)
}

func refuse(w http.ResponseWriter, code int32, reason metav1.StatusReason, message string, details *metav1.StatusDetails) {
	answer(w, int(code), metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: code, Reason: reason, Message: message, Details: details,
	})
}
