package systemd

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// mostExposed is the highest exposure level that systemd-analyze may find.
const mostExposed = 2.5

var exposure = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)

func TestUnitIsHardened(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed (Debian: package systemd)")
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", "hanse.service").CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	found := exposure.FindSubmatch(out)
	if found == nil {
		t.Fatalf("no exposure level in:\n%s", out)
	}
	level, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil || level > mostExposed {
		t.Errorf("exposure level is %s, want at most %v\n%s", found[1], mostExposed, out)
	}
}

func TestUnitSaysWhatTheDaemonReliesOn(t *testing.T) {
	unit, err := os.ReadFile("hanse.service")
	if err != nil {
		t.Fatal(err)
	}
	for line, reason := range map[string]string{
		"Type=notify":                    "what needs a member waits until it serves",
		"WatchdogSec=":                   "a stalled member is killed",
		"Restart=on-failure":             "a member in doubt about its disk ends itself and comes back",
		"RestartPreventExitStatus=3":     "a removed member stays down",
		"StateDirectory=hanse":           "the data directory is its own",
		"User=hanse":                     "the directory has a name that people can move: a dynamic user's is a link",
		"StateDirectoryMode=0700":        "keys lie in it",
		"StartLimitIntervalSec=0":        "a disk that is full for an hour must not keep it down for good",
		"ExecStart=/usr/bin/hanse agent": "it runs the agent",
	} {
		if !strings.Contains(string(unit), "\n"+line) {
			t.Errorf("no line %q: %s", line, reason)
		}
	}
}
