package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// tether ends processes when the one that made it ends, however that ends: a test that times out or is killed has no
// chance to clean up. It is a shell that leads the processes' group and waits for the end of a pipe that only we hold.
type tether struct {
	cmd  *exec.Cmd
	held *os.File
}

func newTether() (*tether, error) {
	waits, held, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make tether: %w", err)
	}
	defer waits.Close()
	cmd := exec.Command("/bin/sh", "-c", "read -r _; kill -9 0")
	cmd.Stdin = waits
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		held.Close()
		return nil, fmt.Errorf("make tether: %w", err)
	}
	return &tether{cmd: cmd, held: held}, nil
}

// attributes puts a new process on the tether; without one, into a session of its own, out of reach of the
// terminal's signals.
func (t *tether) attributes() *syscall.SysProcAttr {
	if t == nil {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pgid: t.cmd.Process.Pid}
}

// cut ends everything on the tether.
func (t *tether) cut() {
	if t == nil {
		return
	}
	t.held.Close()
	_ = t.cmd.Wait() // killed by itself: always an error
}
