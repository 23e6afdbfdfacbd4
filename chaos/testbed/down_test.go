package testbed

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What a testbed that is killed while it prepares its folder leaves, step by step.
func TestDownDeletesWhatWasBegun(t *testing.T) {
	file := func(name string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600) }
	}
	folder := func(name string) func(dir string) error {
		return func(dir string) error { return os.MkdirAll(filepath.Join(dir, name), 0o700) }
	}
	prepared := func(dir string) error {
		return state{Sites: []Site{{Name: "fra"}, {Name: "iad"}}, Extras: []string{"story.txt"}}.write(dir)
	}
	for name, steps := range map[string][]func(dir string) error{
		"nothing":                        {},
		"the state, half":                {file(part(fileState))},
		"the state":                      {prepared},
		"a cluster's folder":             {prepared, folder("iad")},
		"a place for its programs":       {prepared, folder("fra/run"), folder("iad")},
		"the same, and the state unread": {file(fileState), folder("fra/run")},
		"the kubeconfig of all, half":    {prepared, folder("fra/run"), folder("iad/run"), file(part(fileMerged))},
		"what the caller keeps":          {prepared, file(fileMerged), file("story.txt")},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "testbed")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, step := range steps {
				if err := step(dir); err != nil {
					t.Fatal(err)
				}
			}
			if err := Down(dir); err != nil {
				t.Fatal(err)
			}
			if entries, err := os.ReadDir(dir); !os.IsNotExist(err) {
				t.Errorf("left: %v, %v", entries, err)
			}
		})
	}
}

func TestDownLeavesWhatIsNotTheTestbeds(t *testing.T) {
	above := t.TempDir()
	dir, outside, notes := filepath.Join(above, "testbed"), filepath.Join(above, "outside"), filepath.Join(above, "testbed", "notes")
	if err := errors.Join(os.MkdirAll(outside, 0o700), os.MkdirAll(notes, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := (state{Sites: []Site{{Name: "../outside"}}, Extras: []string{"../outside"}}).write(dir); err != nil {
		t.Fatal(err)
	}
	if err := Down(dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{outside, notes} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
