package drill

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTheTutorial types what docs/tutorial.md says, and nothing else.
func TestTheTutorial(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := deskOf(t)
	begun := time.Now()
	said := typed(t, dir, commands(t, string(page)))
	t.Logf("%s from the first command to the last:\n%s", round(time.Since(begun)), said)

	ended := regexp.MustCompile(`(?m)^ended with .*$`).FindAllString(said, -1)
	want := []string{"ended with 3: hanse diff -f guestbook.yaml", "ended with 3: hanse apply -f bad.yaml --wait --timeout 1m", "ended with 3: hanse status", "ended with 3: hanse status"}
	if !slices.Equal(ended, want) {
		t.Errorf("these ended badly: %q, want %q", ended, want)
	}
	mentions(t, said, "it would go: ap (sin), then eu (fra), then us (iad)", "greeting: hello from sin", "Progress deadline exceeded", "next: hanse rollout rollback guestbook", "put right")
	for _, seen := range []string{`fra +web +5/5 `, `(iad|sin) +web +3/3 `, `(iad|sin) +web +2/2 `, `fra +web +5/5 .*guestbook/web:2`} {
		if !regexp.MustCompile(seen).MatchString(said) {
			t.Errorf("never seen: %s", seen)
		}
	}
}

// deskOf is a folder that looks like the project's after make build. What is started there ends with the test.
func deskOf(t *testing.T) string {
	t.Helper()
	dir := folder(t)
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"hanse": hanseBinary(t), "testbed": binary(t, "testbed", "TESTBED_BINARY")} {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	down := []string{filepath.Join(bin, "testbed"), "down", "--dir", filepath.Join(dir, ".testbed")}
	t.Cleanup(func() {
		if out, err := exec.Command(down[0], down[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	afterUs(t, down...)
	return dir
}

// commands are the shell's blocks of a page, all but make build, which is done.
func commands(t *testing.T, page string) string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	script, built := strings.CutPrefix(strings.Join(all, "\n"), "make build\n")
	if !built {
		t.Fatal("the page does not begin with make build")
	}
	return script
}

// typed runs a script to its end, whatever fails in it, and returns what was said; each command that failed has a line.
func typed(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", `trap 'echo "ended with $?: $BASH_COMMAND"' ERR`+"\n"+script)
	cmd.Dir, cmd.WaitDelay = dir, 10*time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("not at its end after 10 minutes: %v\n%s", err, out)
	}
	return string(out)
}
