package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Person types commands of hanse, as one would at a member.
type Person struct {
	// Hanse is the path of the binary.
	Hanse string
	// Server is HANSE_SERVER; empty: none.
	Server string
}

// Said is what a command printed, and how it ended.
type Said struct {
	Out, Talk string
	Code      int
	Took      time.Duration
}

func (s Said) String() string {
	return fmt.Sprintf("exit %d after %s\n%s%s", s.Code, s.Took.Round(time.Millisecond), s.Out, s.Talk)
}

// Type runs a command with an input and waits for its end. That a command fails is no error: it says so in Said.
func (p Person) Type(ctx context.Context, input []byte, args ...string) (Said, error) {
	cmd := exec.CommandContext(ctx, p.Hanse, args...)
	cmd.Env = ownEnv()
	if p.Server != "" {
		cmd.Env = append(cmd.Env, "HANSE_SERVER="+p.Server)
	}
	var out, talk bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &talk
	begun := time.Now()
	err := cmd.Run()
	said := Said{Out: out.String(), Talk: talk.String(), Code: cmd.ProcessState.ExitCode(), Took: time.Since(begun)}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || said.Code < 0) {
		return said, fmt.Errorf("hanse %s: %w\n%s", strings.Join(args, " "), errors.Join(err, context.Cause(ctx)), said)
	}
	return said, nil
}

// ownEnv is the environment without what would make hanse act on something else than it is told.
func ownEnv() []string {
	var kept []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "HANSE_") && !strings.HasPrefix(name, "WATCHDOG_") && name != "KUBECONFIG" && name != "NOTIFY_SOCKET" {
			kept = append(kept, e)
		}
	}
	return kept
}
