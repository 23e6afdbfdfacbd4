package testbed

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// toyModules are modules whose programs do nothing: what matters is how they get into the cache.
func toyModules(t *testing.T, source string) modules {
	t.Helper()
	dir := t.TempDir()
	names := []string{Etcd, APIServer, ControllerManager, Kubectl}
	files := map[string]string{"go.mod": "module toy\n\ngo 1.26\n", "go.sum": ""}
	var packages []string
	for _, name := range names {
		files[filepath.Join(name, "main.go")] = source
		packages = append(packages, "toy/"+name)
	}
	for name, content := range files {
		path := filepath.Join(dir, "toys", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return modules{dir: dir, targets: []target{{module: "toys", packages: packages}}}
}

func TestBinariesAreBuiltWholeOrNotAtAll(t *testing.T) {
	ignore := func(BuildProgress) {}

	t.Run("two builds at once make one", func(t *testing.T) {
		m := toyModules(t, "package main\n\nfunc main() {}\n")
		dir := filepath.Join(t.TempDir(), "built")
		var both sync.WaitGroup
		var built [2]bool
		for i := range built {
			both.Go(func() {
				if err := m.build(t.Context(), dir, func(p BuildProgress) { built[i] = built[i] || p.Of > 0 }); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if built[0] == built[1] {
			t.Errorf("built by: %v", built)
		}
		if err := (Binaries{dir: dir}).complete(); err != nil {
			t.Error(err)
		}
	})

	t.Run("one that fails says why and leaves nothing", func(t *testing.T) {
		m := toyModules(t, "package main\n\nfunc main() { undefined() }\n")
		dir := filepath.Join(t.TempDir(), "built")
		if err := m.build(t.Context(), dir, ignore); err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
			t.Errorf("got %v", err)
		}
		leavesNothing(t, dir)
	})

	t.Run("one that is interrupted leaves nothing", func(t *testing.T) {
		m := toyModules(t, "package main\n\nfunc main() { println() }\n")
		dir := filepath.Join(t.TempDir(), "built")
		ctx, cancel := context.WithCancel(t.Context())
		err := m.build(ctx, dir, func(p BuildProgress) {
			if p.Packages > 0 {
				cancel()
			}
		})
		if err == nil { // it was faster than the signal: then it is whole
			if err := (Binaries{dir: dir}).complete(); err != nil {
				t.Error(err)
			}
			return
		}
		leavesNothing(t, dir)
	})
}

func leavesNothing(t *testing.T, dir string) {
	t.Helper()
	for _, path := range []string{dir, dir + ".part"} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", filepath.Base(path), err)
		}
	}
}

func TestACacheIsOfExactlyOneSetOfModules(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/cache")
	one, two := toyModules(t, "package main\n"), toyModules(t, "package main\n")
	before, err := one.cache("")
	if err != nil {
		t.Fatal(err)
	}
	if same, _ := two.cache(""); same != before || !strings.HasPrefix(before, "/cache/hanse/testbed/") {
		t.Errorf("%q and %q", before, same)
	}
	if err := os.WriteFile(filepath.Join(two.dir, "toys", "go.sum"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if other, _ := two.cache(""); other == before {
		t.Error("other modules, same cache")
	}

	t.Run("without a home it lies in the state folder", func(t *testing.T) {
		t.Setenv("XDG_CACHE_HOME", "")
		t.Setenv("HOME", "")
		if _, err := one.cache(""); err == nil {
			t.Error("there is no such folder")
		}
		got, err := one.cache("/state")
		if err != nil || !strings.HasPrefix(got, "/state/cache/") {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestPrebuiltBinariesMustBeComplete(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(assetsVariable, dir)
	for _, name := range []string{Etcd, APIServer, Kubectl} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, err := FindBinaries()
	if err == nil || !strings.Contains(err.Error(), "no executable "+ControllerManager+" in "+dir) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ControllerManager), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if b, err := FindBinaries(); err != nil || b.Dir() != dir {
		t.Errorf("got %v, %v", b, err)
	}
}

func TestTheBuildModulesAreFoundFromBelow(t *testing.T) {
	t.Setenv(assetsVariable, "")
	m, err := findModules() // the working directory is two below the root
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.cache(t.TempDir()); err != nil {
		t.Error(err)
	}
}
