package apiserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestDiscoveryNamesTheKinds(t *testing.T) {
	l := start(t, nil)
	d, err := discovery.NewDiscoveryClientForConfig(l.local())
	if err != nil {
		t.Fatal(err)
	}
	list, err := d.ServerResourcesForGroupVersion(v1alpha1.SchemeGroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]metav1.APIResource{}
	for _, r := range list.APIResources {
		found[r.Name] = r
	}
	for _, k := range served() {
		r := found[k.plural]
		if r.Namespaced || r.Kind != k.kind || r.SingularName != k.singular || (len(r.Categories) == 1) == k.readOnly || len(r.ShortNames) != len(k.short) {
			t.Errorf("%s: %+v", k.plural, r)
		}
		if _, ok := found[k.plural+"/status"]; ok != (k.keepStatus != nil) {
			t.Errorf("%s/status is there: %v", k.plural, ok)
		}
	}
	if v, err := d.ServerVersion(); err != nil || v.GitVersion != "v1.37.0+hanse.v0.0.0-test" {
		t.Errorf("version %v: %v", v, err)
	}
	for _, unwritten := range []string{"works", "changes"} {
		if verbs := strings.Join(found[unwritten].Verbs, " "); verbs != "get list watch" {
			t.Errorf("%s can be %s", unwritten, verbs)
		}
	}
}

// explained is what explain reads of OpenAPI.
type explained struct {
	Description string               `json:"description"`
	Enum        []string             `json:"enum"`
	Properties  map[string]explained `json:"properties"`
	AllOf       []explained          `json:"allOf"`
	Items       *explained           `json:"items"`
	Ref         string               `json:"$ref"`
}

func TestEveryFieldIsExplained(t *testing.T) {
	l := start(t, nil)
	resp, err := httpClient(t, l.local()).Get("http://hanse/openapi/v3/apis/fleet.hanse.dev/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		Components struct {
			Schemas map[string]explained `json:"schemas"`
		} `json:"components"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	ours := 0
	for name, s := range doc.Components.Schemas {
		if !strings.HasPrefix(name, "dev.hanse.fleet.") {
			continue
		}
		ours++
		if s.Description == "" {
			t.Errorf("%s is not explained", name)
		}
		for field, p := range s.Properties {
			if p.Description == "" && field != "items" {
				t.Errorf("%s.%s is not explained", name, field)
			}
			for _, value := range p.Enum {
				if text := fmt.Sprintf("`\"%s\"` ", value); !strings.Contains(p.Description, text) {
					t.Errorf("%s.%s: value %s is not explained: %q", name, field, value, p.Description)
				}
			}
		}
	}
	if ours < 20 {
		t.Errorf("%d schemas", ours)
	}
}

func TestTheTableShowsTheMainFacts(t *testing.T) {
	l := start(t, nil)
	if _, err := client(t, l.local(), "bundles").Create(t.Context(), bundle("shop", configMap("a"), configMap("b")), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	table := l.table(t, "bundles")
	if len(table.Rows) != 1 {
		t.Fatalf("%d rows", len(table.Rows))
	}
	cells := map[string]any{}
	for i, c := range table.ColumnDefinitions {
		cells[c.Name] = table.Rows[0].Cells[i]
	}
	if cells["Name"] != "shop" || cells["To"] != "fra" || cells["Ready"] != "Pending" || cells["Objects"] != float64(2) {
		t.Errorf("cells %v", cells)
	}
	wide := 0
	for _, c := range table.ColumnDefinitions {
		wide += int(c.Priority)
	}
	if wide == 0 || len(table.ColumnDefinitions)-wide > 7 {
		t.Errorf("%d columns, %d of them wide", len(table.ColumnDefinitions), wide)
	}
}
