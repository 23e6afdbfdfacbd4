package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/testbed/testbedtest"
)

// mentioning are the processes whose command line has that text in it: another way to find them than the testbed's own.
func mentioning(t *testing.T, text string) []string {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range commands {
		command, err := os.ReadFile(path)
		if err == nil && bytes.Contains(command, []byte(text)) {
			found = append(found, string(bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
		}
	}
	return found
}

func TestDownLeavesNothingAfterATestbedWasKilled(t *testing.T) {
	testbedtest.Binaries(t)
	program := testbedtest.Testbed(t)
	// From before the first process to after the last; what runs at each is a matter of chance.
	for _, after := range []time.Duration{30 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Second, 4 * time.Second} {
		t.Run("after "+after.String(), func(t *testing.T) {
			dir := t.TempDir()
			up := exec.CommandContext(t.Context(), program, "up", "--dir", dir, "--regions", "2", "--hanse", "/bin/true")
			if err := up.Start(); err != nil {
				t.Fatal(err)
			}
			<-time.After(after)
			if err := up.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = up.Wait() // killed
			// The one that is on its way to become a program still has the lock: down says so, and is right the next time.
			var out []byte
			for deadline := time.Now().Add(2 * time.Minute); ; {
				var err error
				if out, err = exec.CommandContext(t.Context(), program, "down", "--dir", dir).CombinedOutput(); err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("down: %v\n%s", err, out)
				}
			}
			if left := mentioning(t, dir); len(left) > 0 {
				t.Errorf("down, and these run: %q", left)
			}
			if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
				t.Errorf("left in the folder: %v", entries)
			}
		})
	}
}
