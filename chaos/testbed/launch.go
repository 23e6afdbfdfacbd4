package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// recordAndBecome writes the process's record, lets go of what it inherited (3: the testbed's lock; 4: the pipe that
// tells the testbed that the record is there) and becomes the program. Its id and start time stay.
const recordAndBecome = `
read -r stat </proc/$$/stat && read -r boot </proc/sys/kernel/random/boot_id &&
printf '%s\n%s\n' "$boot" "$stat" >"$0" || exit 126
exec 3>&- 4>&-
exec "$@"`

// program is one thing to run.
type program struct {
	name string // names the record and the log
	path string
	args []string
	env  []string // on top of cleanEnv
	tcp  []int    // ports that must be free
	udp  []int
}

// launcher starts programs that outlive this process, so that this process or another finds and ends them.
type launcher struct {
	records, logs string // folders
	// lock is the testbed's lock, or nil. Each new process holds it until its record is written: whoever gets
	// the lock after a crash of ours sees every process that we started.
	lock *os.File
	// tether, when not nil, ends the processes with this process.
	tether *tether
}

// process is a program that this process started.
type process struct {
	name string
	log  string
	// ended is closed once the process is gone and reaped; err may be read after that.
	ended chan struct{}
	err   error
}

func (l launcher) record(name string) string { return filepath.Join(l.records, name) }
func (l launcher) log(name string) string    { return filepath.Join(l.logs, name+".log") }

// start runs the program and returns once its record is written.
func (l launcher) start(p program) (*process, error) {
	log, err := os.OpenFile(l.log(p.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close()
	recorded, done, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	defer recorded.Close()
	cmd := exec.Command("/bin/sh", append([]string{"-c", recordAndBecome, l.record(p.name), p.path}, p.args...)...)
	cmd.Env = append(cleanEnv(os.Environ()), p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{l.lock, done}
	cmd.SysProcAttr = l.tether.attributes()
	err = cmd.Start()
	done.Close()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	started := &process{name: p.name, log: log.Name(), ended: make(chan struct{})}
	go started.reap(cmd)
	_, err = io.Copy(io.Discard, recorded)
	if _, ok := readRecord(l.record(p.name)); !ok && err == nil {
		err = fmt.Errorf("it ended at once; its log is %s", started.log)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return started, nil
}

// reap waits for the process. Nobody waits for reap unless the process is killed: it may well outlive us.
func (p *process) reap(cmd *exec.Cmd) {
	p.err = cmd.Wait()
	if p.err == nil {
		p.err = errors.New("exit status 0")
	}
	close(p.ended)
}

// running is the id of the named program's process, if it runs.
func (l launcher) running(name string) (pid int, ok bool) {
	r, ok := readRecord(l.record(name))
	return r.pid, ok
}

// kill ends the named programs at once, as a power failure would, and returns when they are gone.
func (l launcher) kill(names ...string) error {
	var errs []error
	var sent []record
	for _, name := range names {
		r, ok := readRecord(l.record(name))
		if !ok {
			continue
		}
		if err := r.signal(syscall.SIGKILL); err != nil {
			errs = append(errs, fmt.Errorf("kill %s: %w", name, err))
		}
		sent = append(sent, r)
	}
	for _, r := range sent {
		if err := r.waitGone(10 * time.Second); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// signal reaches the recorded process or none: os.FindProcess holds on to the process that has the id now, and only
// then is it compared with the record.
func (r record) signal(sig syscall.Signal) error {
	p, err := os.FindProcess(r.pid)
	if err != nil {
		return err
	}
	defer p.Release()
	if !r.alive() {
		return nil
	}
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

func (r record) waitGone(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := poll(ctx, 5*time.Millisecond, func() (bool, error) { return !r.alive(), nil })
	if err != nil {
		return fmt.Errorf("process %d is still there %s after SIGKILL", r.pid, limit)
	}
	return nil
}

// cleanEnv drops what would make a program of the testbed act on something else than the testbed.
func cleanEnv(env []string) []string {
	var kept []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "HANSE_") || strings.HasPrefix(name, "ETCD_") || strings.HasPrefix(name, "LISTEN_") ||
			name == "KUBECONFIG" || name == "NOTIFY_SOCKET" || strings.HasPrefix(name, "WATCHDOG_") {
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

// poll asks until done or an error, or until ctx ends.
func poll(ctx context.Context, every time.Duration, ask func() (done bool, err error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if done, err := ask(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
