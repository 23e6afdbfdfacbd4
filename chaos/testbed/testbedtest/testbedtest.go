// Package testbedtest gives the tests of other rooms real clusters, and the binaries of Hanse.
package testbedtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// Binaries of Kubernetes. The test is skipped with -short, and when they were neither built before nor named by
// KUBEBUILDER_ASSETS, which `make test` does.
func Binaries(t testing.TB) testbed.Binaries {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real clusters: left out by -short")
	}
	b, err := testbed.FindBinaries()
	switch {
	case err == nil:
		return b
	case os.Getenv("KUBEBUILDER_ASSETS") != "":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return b
}

// Cluster is a new control plane that ends with the test, and with the test's process however that ends.
func Cluster(t testing.TB) *testbed.Cluster {
	t.Helper()
	c, err := testbed.StartCluster(t.Context(), t.TempDir(), testbed.Options{Binaries: Binaries(t), Tethered: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Hanse builds the hanse binary from the tree as it is now; HANSE_BINARY names one that is built already.
func Hanse(t testing.TB) string {
	t.Helper()
	return binary(t, "HANSE_BINARY", "github.com/hanse-fleet/hanse/cmd/hanse")
}

// Testbed builds the testbed binary; TESTBED_BINARY names one that is built already.
func Testbed(t testing.TB) string {
	t.Helper()
	return binary(t, "TESTBED_BINARY", "github.com/hanse-fleet/hanse/chaos/cmd/testbed")
}

// Run runs a program until it ends or the test does, and returns all that it printed.
func Run(t testing.TB, path string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

func binary(t testing.TB, variable, pkg string) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		return path
	}
	if testing.Short() {
		t.Skip("needs a build: left out by -short")
	}
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", path, pkg) // as make build does, so that Go's cache has its parts
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return path
}
