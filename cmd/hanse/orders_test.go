package main

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"
)

// rolloutIs gives the member a rollout, as a file has it.
func rolloutIs(ts *testscript.TestScript, _ bool, args []string) {
	m := ts.Value("member").(*member)
	m.mu.Lock()
	defer m.mu.Unlock()
	var object map[string]any
	ts.Check(yaml.Unmarshal([]byte(ts.ReadFile(args[0])), &object))
	m.revision++
	object["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(m.revision)
	m.objects["rollouts/"+nameOf(object)] = object
}

// order merges orders into a rollout that was not written since.
func (m *member) order(w http.ResponseWriter, r *http.Request, old map[string]any) {
	var said struct {
		Metadata struct{ ResourceVersion string }
		Spec     struct{ Orders map[string]any }
	}
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
		refuse(w, 400, "BadRequest", err.Error(), nil)
		return
	}
	metadata := old["metadata"].(map[string]any)
	if m.mode == "raced" || said.Metadata.ResourceVersion != metadata["resourceVersion"] {
		m.mode = "ok"
		refuse(w, 409, "Conflict", "the object has been modified", nil)
		return
	}
	orders, err := json.Marshal(said.Spec.Orders)
	if err != nil {
		refuse(w, 400, "BadRequest", err.Error(), nil)
		return
	}
	m.asked = append(m.asked, string(orders))
	m.revision++
	metadata["resourceVersion"] = strconv.Itoa(m.revision)
	answer(w, 200, old)
}
