package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/plan"
)

// positions lists what was read as name@line.
func positions(all []document) (words []string) {
	for _, d := range all {
		words = append(words, d.unstructuredName()+" "+d.at("metadata", "name"))
	}
	return words
}

func (d document) unstructuredName() string { o := d.unstructured(); return o.GetName() }

func TestParseKnowsWhereEachObjectStands(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"one", "kind: A\napiVersion: v1\nmetadata:\n  name: a\n", []string{"a f: line 4"}},
		{"several, with empty ones between", "---\n# none\n---\nkind: A\napiVersion: v1\nmetadata: {name: a}\n---\n\n--- # two\nkind: A\napiVersion: v1\nmetadata: {name: b}\n", []string{"a f: line 6", "b f: line 12"}},
		{"behind its dashes", "--- {kind: A, apiVersion: v1, metadata: {name: a}}\n--- {kind: A, apiVersion: v1, metadata: {name: b}}", []string{"a f: line 1", "b f: line 2"}},
		{"dashes in a text are no end", "kind: A\napiVersion: v1\nmetadata: {name: a}\ndata:\n  x: |\n    ---\n    y\n  z: '----'\n", []string{"a f: line 3"}},
		{"with a directive and an end", "%YAML 1.1\n---\nkind: A\napiVersion: v1\nmetadata: {name: a}\n...\n", []string{"a f: line 5"}},
		{"Windows lines", "kind: A\r\napiVersion: v1\r\nmetadata:\r\n  name: a\r\n---\r\nkind: A\r\napiVersion: v1\r\nmetadata:\r\n  name: b\r\n", []string{"a f: line 4", "b f: line 9"}},
		{"JSON, one after the other", `{"kind": "A", "apiVersion": "v1", "metadata": {"name": "a"}}` + "\n\n" + `{"kind": "A", "apiVersion": "v1",` + "\n" + `"metadata": {"name": "b"}}`, []string{"a f: line 1", "b f: line 4"}},
		{"YAML that begins as JSON does", "{kind: A, apiVersion: v1, metadata: {name: a}}\n", []string{"a f: line 1"}},
		{"a List, and one in it", "kind: List\napiVersion: v1\nitems:\n- kind: A\n  apiVersion: v1\n  metadata: {name: a}\n- kind: AList\n  apiVersion: v1\n  items:\n  - kind: A\n    apiVersion: v1\n    metadata:\n      name: b\n", []string{"a f: line 6", "b f: line 13"}},
		{"an empty List", "kind: List\napiVersion: v1\nitems: []\n", nil},
		{"anchors", "kind: A\napiVersion: v1\nmetadata: &m\n  name: a\n---\n", []string{"a f: line 4"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			all, err := parse("f", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, positions(all)); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseReadsValuesAsKubectlDoes(t *testing.T) {
	all, err := parse("f", []byte("kind: A\napiVersion: v1\nmetadata: {name: a}\nyes: no\nmode: 0644\nbig: 9007199254740993\nhalf: 0.5\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(all[0].object["true"], all[0].object["mode"], all[0].object["big"], all[0].object["half"])
	if want := "false 420 9007199254740993 0.5"; got != want {
		t.Errorf("values are %s, want %s", got, want)
	}
}

func TestInputHasABound(t *testing.T) {
	_, err := readAll("stdin", endless{})
	if err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("error is %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestALargeBundleIsReadAndOneTooLargeIsRefused(t *testing.T) {
	manifests := func(mib int) string {
		var b strings.Builder
		for i := range mib {
			fmt.Fprintf(&b, `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c%d"}, "data": {"text": %q}}`, i, strings.Repeat("x", 1<<20))
		}
		file := t.TempDir() + "/all.json"
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for mib, want := range map[int]string{8: "", 13: "a bundle holds at most 12 MiB"} {
		documents, err := readDocuments([]string{manifests(mib)}, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		todo, err := changes(documents, given{bundle: "big", to: "all"})
		if err == nil {
			err = todo[0].guard(nil, plan.Allowance{})
		}
		if said := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(said, want) {
			t.Errorf("%d MiB: %v, want %q", mib, err, want)
		}
	}
}

// FuzzParse: whatever the bytes, there is an answer, and what is an object has a name and a place.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "{", "---", "kind: A\napiVersion: v1\nmetadata: {name: a}", "a: &a [*a]", "{}{}", "[1", "\x00", "kind: List\nitems: [1]", "--- !x\n? {a: b}\n: c"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parse("f", text)
		if err != nil {
			return
		}
		for _, d := range all {
			if d.unstructuredName() == "" || d.kind() == "" {
				t.Errorf("an object without a name: %v", d.object)
			}
			d.at("metadata", "name")
		}
	})
}
