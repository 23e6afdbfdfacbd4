package apiserver

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/hanse-fleet/hanse/secrets"
)

// shared is a log that may be read while others write.
type shared struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// capturesLog is what the generic server logs until the test ends.
func capturesLog(t *testing.T) *shared {
	was, log := klog.CaptureState(), new(shared)
	t.Cleanup(was.Restore)
	klog.LogToStderr(false)
	klog.SetOutput(log)
	return log
}

// discreet makes an object of each discreet kind.
func (l *live) discreet(t *testing.T) {
	t.Helper()
	key, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := secrets.Seal(key.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, map[string][]byte{"password": []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct{ plural, kind, name, spec string }{
		{"fleetsecrets", "FleetSecret", "db", fmt.Sprintf("group: g, namespace: shop, data: %s", base64.StdEncoding.EncodeToString(sealed))},
		{"recipientgroups", "RecipientGroup", "db", "clusterSelector: {}"}, {"fleets", "Fleet", "acme", "voters: 3"},
	} {
		good := fmt.Sprintf("apiVersion: fleet.hanse.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n", one.kind, one.name, one.spec)
		if _, err := client(t, l.local(), one.plural).Patch(t.Context(), one.name, "application/apply-patch+yaml", []byte(good), metav1.PatchOptions{FieldManager: "t"}); err != nil {
			t.Fatal(err)
		}
	}
}

// Somebody writes a password where it does not belong: neither the answer has it, nor the log.
func TestWhatIsWrittenByMistakeIsNotRepeated(t *testing.T) {
	log, l := capturesLog(t), start(t, nil)
	klog.Error("seen") // the log is the one that is looked at
	const group, apply, merge, patch = "/apis/fleet.hanse.dev/v1alpha1/", "application/apply-patch+yaml", "application/merge-patch+json", "application/json-patch+json"
	const strategic = "application/strategic-merge-patch+json"
	l.discreet(t)
	of := func(kind, rest string) string {
		return "apiVersion: fleet.hanse.dev/v1alpha1\nkind: " + kind + "\nmetadata: {name: db}\n" + rest
	}
	for _, c := range []struct{ verb, path, kind, body, says string }{
		{"PATCH", "fleetsecrets/db", apply, of("FleetSecret", "spec: {group: g, namespace: shop, data: {password: canary-4711}}"), "spec.data"},
		{"PATCH", "fleetsecrets/db", apply, of("FleetSecret", "spec: {group: g, namespace: shop, data: [canary-4711]}"), "spec.data"},
		{"PATCH", "fleetsecrets/db", apply, of("FleetSecret", "spec: {group: g, namespace: shop, data: canary-4711}"), "base64"},
		{"PATCH", "fleetsecrets/db", apply, of("FleetSecret", "spec: {group: g, namespace: shop, stringData: {password: canary-4711}}"), `unknown field "spec.stringData"`},
		{"PATCH", "fleetsecrets/db", apply, of("FleetSecret", "spec: canary-4711"), "no FleetSecret"},
		{"PATCH", "fleetsecrets/db", apply, "apiVersion: fleet.hanse.dev/v1alpha1\nkind: FleetSecret\nmetadata: {name: db, annotations: {a: {password: canary-4711}}}", "annotations"},
		{"PATCH", "fleetsecrets/db", apply, "canary-4711: [", "no YAML"},
		{"PATCH", "fleetsecrets/db", merge, `{"spec": {"data": {"password": "canary-4711"}}}`, "spec.data"},
		{"PATCH", "fleetsecrets/db", merge, `{"spec": {"stringData": {"password": "canary-4711"}}}`, "spec.stringData"},
		{"PATCH", "fleetsecrets/db", merge, `{"spec": "canary-4711"}`, "spec must be an object, and is a string"},
		{"PATCH", "fleetsecrets/db", patch, `[{"op": "replace", "path": "/spec/data", "value": {"password": "canary-4711"}}]`, "spec.data"},
		{"PATCH", "fleetsecrets/db", apply + "; charset", of("FleetSecret", "spec: {group: g, namespace: shop, data: {password: canary-4711}}"), "spec.data must be a string (base64), and is an object"},
		{"PATCH", "fleetsecrets/db", apply + ";charset=utf-8;charset=utf-8", of("FleetSecret", "spec: {group: g, namespace: shop, data: {password: canary-4711}}"), "spec.data"},
		{"PATCH", "fleetsecrets/db", apply + " ;", of("FleetSecret", "spec: {group: g, namespace: shop, data: {password: canary-4711}}"), "spec.data"},
		{"PATCH", "fleetsecrets/db", "application/apply-patch+cbor", of("FleetSecret", "spec: {group: g, namespace: shop, data: {password: canary-4711}}"), "Media Type"},
		{"PATCH", "fleetsecrets/db", apply, of("FleetSecret", "spec: {group: g, namespace: shop, data: *canary-4711}"), "no YAML"},
		{"PATCH", "fleetsecrets/db", apply, of("FleetSecret", "spec: {group: g, namespace: shop, password:canary-4711}"), "a space behind each colon"},
		{"PATCH", "fleetsecrets/db", apply, of("FleetSecret", "spec: {group: g, namespace: shop, also: [{namespace: canary-4711, name: x}, {namespace: canary-4711, name: x}]}"), "spec.also[1] is there already, as [0]"},
		{"PATCH", "fleetsecrets/db", strategic, `{"spec": {"data": {"password": "canary-4711"}}}`, "spec.data must be a string"},
		{"PATCH", "fleetsecrets/db", strategic, `{"spec": {"$patch": "canary-4711"}}`, "the patch makes of the FleetSecret what it cannot be"},
		{"PATCH", "fleetsecrets/db", merge, `{"spec": {"notSecret": ["canary-4711", "canary-4711"]}}`, "spec.notSecret[1] is there already, as [0]"},
		{"PATCH", "fleetsecrets/db", merge, `{"metadata": {"creationTimestamp": "canary-4711"}}`, "metadata.creationTimestamp must be a time"},
		{"PATCH", "fleetsecrets/db", merge, `{"metadata": {"uid": "canary-4711"}}`, "metadata.uid"},
		{"PATCH", "fleetsecrets/db", merge, `{"metadata": {"labels": {"a": "canary-4711 "}}}`, "metadata.labels"},
		{"PATCH", "fleetsecrets/db", patch, `[{"op": "add", "path": "/spec/notSecret", "value": ["canary-4711", "canary-4711"]}]`, "spec.notSecret[1] is there already, as [0]"},
		{"PATCH", "fleetsecrets/db", patch, `{"canary-4711": 1}`, "no patch of a FleetSecret"},
		{"PATCH", "fleetsecrets/db", patch, `[{"op": "canary-4711", "path": "/spec/group"}]`, "does not fit"},
		{"PUT", "fleetsecrets/db", "application/json", `{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "FleetSecret", "metadata": {"name": "db", "finalizers": ["x.dev/canary-4711", "x.dev/canary-4711"]}}`, "metadata.finalizers[1] is there already, as [0]"},
		{"PUT", "fleetsecrets/db", "application/json", `{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "FleetSecret", "metadata": {"name": "canary-4711"}}`, "metadata.name must be db"},
		{"POST", "fleetsecrets", "application/yaml", of("FleetSecret", "spec: {data: {password: canary-4711}}"), "spec.data"},
		{"POST", "fleetsecrets", "application/yaml", "data: {password: canary-4711}", "unknown field \"data\""},
		{"POST", "fleetsecrets", "application/json", `"canary-4711"`, "it is no object"},
		{"POST", "fleetsecrets", "application/json", `canary-4711`, "no JSON"},
		{"POST", "fleetsecrets", "application/json; charset", `{"data": "canary-4711"}`, "unknown field"},
		{"POST", "fleetsecrets", "application/vnd.kubernetes.protobuf", "k8s\x00\x0acanary-4711", "as it was sent"},
		{"POST", "fleetsecrets", "application/cbor", "\xd9\xd9\xf7\xa1\x44spec\x4bcanary-4711", "media type"},
		{"DELETE", "fleetsecrets/db", "application/json", `{"apiVersion": "v1", "kind": "canary-4711"}`, "as it was sent"},
		{"DELETE", "fleetsecrets/db", "application/json", `{"preconditions": {"uid": "canary-4711"}}`, "another one of that name"},
		{"DELETE", "fleetsecrets", "application/yaml", "dryRun: [canary-4711]", "as it was sent"},
		{"PATCH", "recipientgroups/db", apply, of("RecipientGroup", "spec: {clusterSelector: {}, recoveryRecipients: [canary-4711, canary-4711]}"), "spec.recoveryRecipients[1] is there already, as [0]"},
		{"PATCH", "fleets/acme", apply, strings.Replace(of("Fleet", "spec: {recoveryRecipients: [AGE-SECRET-KEY-PQ-1canary-4711, AGE-SECRET-KEY-PQ-1canary-4711]}"), "name: db", "name: acme", 1), "spec.recoveryRecipients[1] is there already, as [0]"},
		{"POST", "recipientgroups", "application/yaml", of("RecipientGroup", "spec: {clusterSelector: {}, recoveryRecipients: [canary-4711]}"), "spec.recoveryRecipients[0]"},
		{"POST", "recipientgroups", "application/yaml", of("RecipientGroup", "spec: {clusterSelector: {}, recoveryRecipients: [canary-4711, canary-4711]}"), "spec.recoveryRecipients[1] is there already, as [0]"},
		{"PATCH", "fleetsecrets/db", patch, `[{"op": "test", "path": "/spec/data", "value": "canary-4711"}]`, ""},
		{"POST", "fleetsecrets", "application/json", `{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "FleetSecret", "metadata": {"name": "db"}, "spec": {"data": {"password": "canary-4711"}}}`, "spec.data"},
		{"PATCH", "recipientgroups/db", apply, of("RecipientGroup", "spec: {recoveryRecipients: [{key: canary-4711}]}"), "recoveryRecipients"},
		{"PATCH", "fleets/db", apply, of("Fleet", "spec: {recoveryRecipients: {key: canary-4711}}"), "recoveryRecipients"},
	} {
		status, _ := l.do(t, c.verb, group+c.path+"?fieldManager=t&fieldValidation=Strict", c.kind, c.body)
		if status.Code < 400 || status.Code >= 500 || !strings.Contains(status.Message, c.says) || repeats(fmt.Sprint(status)) != "" {
			t.Errorf("%s %s: %d %+v", c.kind, c.body, status.Code, status)
		}
	}
	klog.Flush()
	if all := log.String(); !strings.Contains(all, "seen") || repeats(all) != "" {
		t.Error(all)
	}
}

// A bundle is written in plain text, and its errors say what they found; but a Secret in the wrong place of one is not to be in the log.
func TestWhatDoesNotFitABundleIsNotLogged(t *testing.T) {
	log, l := capturesLog(t), start(t, nil)
	klog.Error("seen")
	for _, c := range []struct{ kind, body, says string }{
		{"application/apply-patch+yaml", "spec: {manifests: {kind: Secret, stringData: {password: canary-4711}}}", "the patch makes of the Bundle what it cannot be: spec.manifests must be a list"},
		{"application/apply-patch+yaml", "spec: {manifests: [], placment: canary-4711}", `unknown field "spec.placment"`},
		{"application/apply-patch+yaml", "spec: {manifests: [], password:canary-4711}", "the patch makes of the Bundle what it cannot be"},
		{"application/apply-patch+yaml", "spec: {manifests: [], dependsOn: [canary-4711, canary-4711]}", "spec.dependsOn has an entry twice"},
		{"application/apply-patch+yaml", "spec: {manifests: [], rollout: canary-4711, dependsOn: {a: canary-4711}}", "spec.rollout must be a map"},
	} {
		status, _ := l.do(t, "PATCH", "/apis/fleet.hanse.dev/v1alpha1/bundles/shop?fieldManager=t", c.kind, "apiVersion: fleet.hanse.dev/v1alpha1\nkind: Bundle\nmetadata: {name: shop}\n"+c.body)
		if status.Code != 422 || !strings.Contains(status.Message, c.says) || repeats(fmt.Sprint(status)) != "" {
			t.Errorf("%s: %d %s", c.body, status.Code, status.Message)
		}
	}
	klog.Flush()
	if all := log.String(); !strings.Contains(all, "seen") || repeats(all) != "" {
		t.Error(all)
	}
}

// repeats is how a text has the canary in it, whole or in part, plain or not; empty: in no way.
func repeats(text string) string {
	for _, part := range []string{"canary-4711", "nary-47", "AGE-SECRET", "47110815471108154711", hex.EncodeToString([]byte("anary-47")), fmt.Sprint([]byte("anary-47"))[1:20]} {
		if strings.Contains(text, part) {
			return part
		}
	}
	for shift := range 3 { // where it begins in a group of three bytes
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + "canary-4711"))
		if part := coded[4:12]; strings.Contains(text, part) {
			return part
		}
	}
	return ""
}

// filled is an object of each discreet kind that says something in every field that people write, and in some that they do not.
var filled = map[string]string{
	"fleetsecrets": `{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "FleetSecret", "metadata": {"name": "db", "labels": {"a": "b"}, "annotations": {"a": "b"},
		"finalizers": ["a.dev/b"], "ownerReferences": [{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "Bundle", "name": "b", "uid": "u"}],
		"creationTimestamp": "2026-01-02T15:04:05Z", "generation": 1, "uid": "", "resourceVersion": ""},
		"spec": {"group": "g", "namespace": "shop", "secretName": "db", "clusterSelector": {"matchLabels": {"a": "b"}}, "type": "Opaque", "immutable": false, "notSecret": ["a"], "adopt": "Never",
		"template": {"a": "${password}"}, "also": [{"namespace": "x", "name": "y", "template": {"a": "b"}}], "data": ""},
		"status": {"clusters": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "R", "message": "m", "lastTransitionTime": "2026-01-02T15:04:05Z"}]}}`,
	"recipientgroups": `{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "RecipientGroup", "metadata": {"name": "db"},
		"spec": {"clusterSelector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, "recoveryRecipients": ["x"], "rotate": 1, "rotateAfter": "2h"},
		"status": {"epoch": 1, "recipient": "r", "begun": "2026-01-02T15:04:05Z", "wraps": [{"cluster": "fra", "key": "k", "epoch": 1, "wrap": ""}], "left": [{"cluster": "c", "key": "k", "epoch": 1}]}}`,
	"fleets": `{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "acme", "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "fleet.hanse.dev/v1alpha1",
		"time": "2026-01-02T15:04:05Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}]},
		"spec": {"voters": 3, "history": {"for": "720h", "keep": 10}, "backup": {"every": "1h", "recipients": ["x"], "to": "s3://b/p", "endpoint": "https://x", "retention": {"keep": 1}}, "recoveryRecipients": ["x"]}}`,
}

// places are all values in an object, each by the steps to it.
func places(value any, at ...any) (all [][]any) {
	all = append(all, slices.Clone(at))
	switch value := value.(type) {
	case map[string]any:
		for _, field := range slices.Sorted(maps.Keys(value)) {
			all = append(all, places(value[field], append(slices.Clone(at), field)...)...)
		}
		all = append(all, append(slices.Clone(at), "password:canary-4711"))
	case []any:
		for i := range value {
			all = append(all, places(value[i], append(slices.Clone(at), i)...)...)
		}
	}
	return all
}

// with is an object with another value in a place.
func with(value any, at []any, put any) any {
	if len(at) == 0 {
		return put
	}
	switch value := value.(type) {
	case map[string]any:
		value = maps.Clone(value)
		value[at[0].(string)] = with(value[at[0].(string)], at[1:], put)
		return value
	default:
		list := slices.Clone(value.([]any))
		list[at[0].(int)] = with(list[at[0].(int)], at[1:], put)
		return list
	}
}

// A secret stands in any place of an object, in any shape, and is sent in any way: no error and no warning has it, nor the log.
func TestNoPlaceOfADiscreetKindIsRepeated(t *testing.T) {
	log, l := capturesLog(t), start(t, nil)
	klog.Error("seen")
	l.discreet(t)
	hc := httpClient(t, l.local())
	puts := []any{"canary-4711", " canary-4711!", map[string]any{"password": "canary-4711"}, []any{"canary-4711", "canary-4711"}, json.Number("47110815471108154711"),
		[]any{map[string]any{"canary-4711": "x"}, map[string]any{"canary-4711": "x"}}}
	refused, kinds := map[string]int{}, served()
	for plural, text := range filled {
		var whole any
		if err := json.Unmarshal([]byte(text), &whole); err != nil {
			t.Fatal(err)
		}
		name := whole.(map[string]any)["metadata"].(map[string]any)["name"].(string)
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.plural == plural })
		if wrong := newShapes().form(kinds[i], []byte(text), true); wrong != "" {
			t.Fatal(wrong)
		}
		for _, at := range places(whole) {
			for _, put := range puts {
				body, err := json.Marshal(with(whole, at, put))
				if err != nil {
					t.Fatal(err)
				}
				changed, err := json.Marshal([]any{map[string]any{"op": "add", "path": pointer(at), "value": put}})
				if err != nil {
					t.Fatal(err)
				}
				for _, way := range []struct{ verb, path, kind, body string }{
					{"POST", plural, "application/json", string(body)}, {"PUT", plural + "/" + name, "application/yaml", string(body)},
					{"PATCH", plural + "/" + name, "application/apply-patch+yaml", string(body)}, {"PATCH", plural + "/" + name, "application/merge-patch+json", string(body)},
					{"PATCH", plural + "/" + name, "application/strategic-merge-patch+json", string(body)}, {"PATCH", plural + "/" + name, "application/json-patch+json", string(changed)},
				} {
					for _, validation := range []string{"Strict", "Warn"} {
						code, said := answer(t, hc, way.verb, "/apis/fleet.hanse.dev/v1alpha1/"+way.path+"?dryRun=All&fieldManager=t&fieldValidation="+validation, way.kind, way.body)
						named := way.verb == "POST" && pointer(at) == "/metadata/name" && put == "canary-4711" // what is made is told by its name
						if part := repeats(said); part != "" && !named {
							t.Errorf("%s %s %s %s: %d has %s: %s", way.verb, way.kind, validation, way.body, code, part, said)
						}
						if code >= 500 {
							t.Errorf("%s %s %s %s: %d %s", way.verb, way.kind, validation, way.body, code, said)
						}
						if code >= 400 {
							refused[way.kind]++
						}
					}
				}
			}
		}
	}
	klog.Flush()
	if all := log.String(); !strings.Contains(all, "seen") || repeats(all) != "" {
		t.Error(repeats(all), all)
	}
	if len(refused) != 6 {
		t.Errorf("refused: %v", refused)
	}
}

// pointer is a place as JSON patches say it.
func pointer(at []any) (path string) {
	for _, step := range at {
		path += "/" + fmt.Sprint(step)
	}
	return path
}

// answer is a request's code, and its warnings; where it is refused, with its body. What is taken is repeated by right.
func answer(t *testing.T, hc *http.Client, verb, path, kind, body string) (code int, said string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), verb, "http://hanse"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	resp, err := hc.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	said = strings.Join(resp.Header.Values("Warning"), "\n")
	if resp.StatusCode >= 400 {
		said += string(all)
	}
	return resp.StatusCode, said
}
