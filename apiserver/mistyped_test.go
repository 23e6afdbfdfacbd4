package apiserver

import (
	"bytes"
	"encoding/base64"
	"fmt"
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

// Somebody writes a password where it does not belong: neither the answer has it, nor the log.
func TestWhatIsWrittenByMistakeIsNotRepeated(t *testing.T) {
	const canary = "canary-4711"
	log, l := capturesLog(t), start(t, nil)
	klog.Error("seen") // the log is the one that is looked at
	key, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := secrets.Seal(key.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, map[string][]byte{"password": []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	const group, apply, merge, patch = "/apis/fleet.hanse.dev/v1alpha1/", "application/apply-patch+yaml", "application/merge-patch+json", "application/json-patch+json"
	good := fmt.Sprintf("apiVersion: fleet.hanse.dev/v1alpha1\nkind: FleetSecret\nmetadata: {name: db}\nspec: {group: g, namespace: shop, data: %s}\n", base64.StdEncoding.EncodeToString(sealed))
	if _, err := client(t, l.local(), "fleetsecrets").Patch(t.Context(), "db", apply, []byte(good), metav1.PatchOptions{FieldManager: "t"}); err != nil {
		t.Fatal(err)
	}
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
		{"PATCH", "fleetsecrets/db", merge, `{"spec": "canary-4711"}`, "the patch is invalid"},
		{"PATCH", "fleetsecrets/db", patch, `[{"op": "replace", "path": "/spec/data", "value": {"password": "canary-4711"}}]`, "spec.data"},
		{"PATCH", "fleetsecrets/db", patch, `[{"op": "test", "path": "/spec/data", "value": "canary-4711"}]`, ""},
		{"POST", "fleetsecrets", "application/json", `{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "FleetSecret", "metadata": {"name": "db"}, "spec": {"data": {"password": "canary-4711"}}}`, "spec.data"},
		{"PATCH", "recipientgroups/db", apply, of("RecipientGroup", "spec: {recoveryRecipients: [{key: canary-4711}]}"), "recoveryRecipients"},
		{"PATCH", "fleets/db", apply, of("Fleet", "spec: {recoveryRecipients: {key: canary-4711}}"), "recoveryRecipients"},
	} {
		status, _ := l.do(t, c.verb, group+c.path+"?fieldManager=t&fieldValidation=Strict", c.kind, c.body)
		if status.Code < 400 || status.Code >= 500 || !strings.Contains(status.Message, c.says) || strings.Contains(fmt.Sprint(status), canary) {
			t.Errorf("%s %s: %d %+v", c.kind, c.body, status.Code, status)
		}
	}
	klog.Flush()
	if all := log.String(); !strings.Contains(all, "seen") || strings.Contains(all, canary) {
		t.Error(all)
	}
}
