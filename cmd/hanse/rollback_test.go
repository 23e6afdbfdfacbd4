package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// shop is a bundle that was placed in fra before revision 815, and is in iad since.
type shop struct {
	now map[string]any
	// meanwhile is what happens to it just before the write.
	meanwhile func(now map[string]any) map[string]any
	written   int
}

func bundleIn(cluster, revision string) map[string]any {
	return map[string]any{"apiVersion": apiVersion, "kind": "Bundle",
		"metadata": map[string]any{"name": "shop", "uid": "u", "resourceVersion": revision},
		"spec": map[string]any{
			"placement": map[string]any{"clusters": []any{cluster}},
			"manifests": []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a", "namespace": "shop"}}},
		}}
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	change := v1alpha1.Change{Spec: v1alpha1.ChangeSpec{Resource: "bundles", Name: "shop", Verb: v1alpha1.ChangeUpdate, Since: 811}}
	change.Name, change.ResourceVersion = "c", "815"
	list := v1alpha1.ChangeList{Items: []v1alpha1.Change{change}}
	list.ResourceVersion = "820"
	switch path := strings.TrimPrefix(r.URL.Path, apiPath); {
	case path == "changes":
		answer(w, 200, list)
	case path == "changes/c/before":
		object := map[string]any{"metadata": map[string]any{"name": "c"}, "spec": map[string]any{"before": bundleIn("fra", "")}}
		answer(w, 200, object)
	case r.Method == "GET" && s.now == nil:
		refuse(w, 404, "NotFound", "not found", nil)
	case r.Method == "GET":
		answer(w, 200, s.now)
	case r.Method == "PATCH":
		s.patch(w, r)
	}
}

func (s *shop) patch(w http.ResponseWriter, r *http.Request) {
	var object map[string]any
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
		refuse(w, 400, "BadRequest", err.Error(), nil)
		return
	}
	dry := r.URL.Query().Get("dryRun") != ""
	if !dry && s.meanwhile != nil {
		s.now, s.meanwhile = s.meanwhile(s.now), nil
	}
	if s.now == nil || object["metadata"].(map[string]any)["resourceVersion"] != s.now["metadata"].(map[string]any)["resourceVersion"] {
		refuse(w, 409, "Conflict", "the object has been modified", nil)
		return
	}
	if !dry {
		s.written++
	}
	answer(w, 200, object)
}

// A rollback shows what it will change, and undoes nothing that it has not shown.
func TestARollbackTakesNothingFromWhoeverWasFaster(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(map[string]any) map[string]any
		code      int
	}{
		"nothing happens": {nil, exitOK},
		"the leader writes the status": {func(map[string]any) map[string]any {
			b := bundleIn("iad", "821")
			b["status"] = map[string]any{"clusters": 1}
			return b
		}, exitOK},
		"somebody moves it":   {func(map[string]any) map[string]any { return bundleIn("sin", "821") }, exitError},
		"somebody deletes it": {func(map[string]any) map[string]any { return nil }, exitError},
		"somebody labels it": {func(map[string]any) map[string]any {
			b := bundleIn("iad", "821")
			b["metadata"].(map[string]any)["labels"] = map[string]any{"tier": "prod"}
			return b
		}, exitError},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shop{now: bundleIn("iad", "820"), meanwhile: tt.meanwhile}
			socket := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			server := &httptest.Server{Listener: l, Config: &http.Server{Handler: s}}
			server.Start()
			defer server.Close()
			var out, talk bytes.Buffer
			code := run(t.Context(), []string{"hanse", "rollback", "bundle/shop", "--to", "812", "--server", "unix://" + socket}, nil, &out, &talk)
			if code != tt.code || (s.written == 1) != (code == exitOK) {
				t.Errorf("exit %d, %d writes\n%s%s", code, s.written, &out, &talk)
			}
			if !strings.Contains(out.String(), "-    - iad\n+    - fra\n") {
				t.Errorf("shown:\n%s", &out)
			}
			if code != exitOK && !strings.Contains(talk.String(), "nothing was written\n  see what is: hanse history bundle/shop\n") {
				t.Errorf("said:\n%s", &talk)
			}
		})
	}
}
