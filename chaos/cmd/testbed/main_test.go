package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

func TestTwoTestbedsDoNotWorkInOneFolder(t *testing.T) {
	dir := t.TempDir()
	held, err := testbed.Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	var talk bytes.Buffer
	if code := run(t.Context(), []string{"testbed", "down", "--dir", dir}, io.Discard, &talk); code != 1 {
		t.Errorf("exit %d: %s", code, &talk)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"testbed", "down", "--dir", dir}, io.Discard, io.Discard); code != 0 {
		t.Errorf("let go, and exit %d", code)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder is left: %v", err)
	}
}

func TestFlagsStandAnywhere(t *testing.T) {
	want := []string{"testbed", "kill", "--dir", "x", "--hanse=y", "eu", "us"}
	for _, line := range [][]string{
		{"testbed", "--dir", "x", "--hanse=y", "kill", "eu", "us"},
		{"testbed", "kill", "eu", "--dir", "x", "us", "--hanse=y"},
		want,
	} {
		if got := arrange(line); !slices.Equal(got, want) {
			t.Errorf("%q became %q", line, got)
		}
	}
	if got := arrange([]string{"testbed", "demo", "--keep", "x"}); !slices.Equal(got, []string{"testbed", "demo", "--keep", "x"}) {
		t.Errorf("a flag without a value took one: %q", got)
	}
}

func TestMistakesAreSaid(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an unknown verb":      {[]string{"upp"}, 2, "upp: no such verb"},
		"an unknown flag":      {[]string{"up", "--region=3"}, 2, "region"},
		"no region":            {[]string{"kill", "--dir", dir}, 2, "kill: which region?"},
		"no testbed":           {[]string{"status", "--dir", dir}, 1, "no testbed here; make one with: testbed up"},
		"no hanse":             {[]string{"up", "--dir", dir, "--hanse", dir + "/hanse"}, 1, "find hanse"},
		"no such output":       {[]string{"status", "--dir", dir, "-o", "yaml"}, 1, "no testbed here"},
		"a region of no plan":  {[]string{"kill", "eu", "--dir", dir}, 1, `no region "eu"`},
		"a cluster of no plan": {[]string{"env", "fra", "--dir", dir}, 1, "no testbed here"},
	} {
		t.Run(name, func(t *testing.T) {
			var talk bytes.Buffer
			if code := run(t.Context(), append([]string{"testbed"}, tc.args...), io.Discard, &talk); code != tc.code {
				t.Errorf("exit %d", code)
			}
			if !bytes.Contains(talk.Bytes(), []byte(tc.want)) {
				t.Errorf("said %q, not %q", talk.String(), tc.want)
			}
		})
	}
}
