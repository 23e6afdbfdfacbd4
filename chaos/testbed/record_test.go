package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const boot = "6a3f5b0e-1c1f-4a7e-9f0e-2f6f0a8f7b11"

// statLine is a line of /proc/PID/stat with that name and start time.
func statLine(pid int, name string, start uint64) string {
	return fmt.Sprintf("%d (%s) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 9 0 %d 1000 200", pid, name, start)
}

func TestARecordIsRead(t *testing.T) {
	for name, tc := range map[string]struct {
		data string
		want record
		err  string
	}{
		"as written":                        {boot + "\n" + statLine(4711, "sh", 815) + "\n", record{boot, 4711, 815}, ""},
		"a name with spaces and brackets":   {boot + "\n" + statLine(4711, "a) R 1 (b", 815), record{boot, 4711, 815}, ""},
		"empty: the process was not so far": {"", record{}, "one line"},
		"cut short":                         {boot + "\n4711 (sh) S 1 7", record{}, "fields"},
		"no name":                           {boot + "\n4711 sh S", record{}, "no program name"},
		"init is never ours":                {boot + "\n" + statLine(1, "init", 1), record{}, "no process id"},
		"a process group is no process":     {boot + "\n" + statLine(-5, "sh", 1), record{}, "no process id"},
		"start time is no number":           {boot + "\n" + strings.Replace(statLine(7, "sh", 815), " 815 ", " x ", 1), record{}, "start time"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseRecord(tc.data)
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got error %v, want one with %q", err, tc.err)
			}
		})
	}
}

// testLauncher runs programs on a tether, in a folder of the test.
func testLauncher(t *testing.T) launcher {
	t.Helper()
	tether, err := newTether()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tether.cut)
	dir := t.TempDir()
	return launcher{records: dir, logs: dir, tether: tether}
}

func sleeper(name string) program {
	return program{name: name, path: "/bin/sleep", args: []string{"600"}}
}

func TestAProcessIsRecordedBeforeItIsUsed(t *testing.T) {
	l := testLauncher(t)
	p, err := l.start(sleeper("one"))
	if err != nil {
		t.Fatal(err)
	}
	r, ok := readRecord(l.record("one"))
	if !ok {
		t.Fatal("started, and no record names a living process")
	}

	t.Run("the record names the program, not the shell that wrote it", func(t *testing.T) {
		var exe string
		for range 200 { // it may still be about to become the program
			if exe, _ = os.Readlink(fmt.Sprintf("/proc/%d/exe", r.pid)); !strings.HasSuffix(exe, "sh") {
				break
			}
			<-time.After(5 * time.Millisecond)
		}
		if want, _ := filepath.EvalSymlinks("/bin/sleep"); exe != want {
			t.Errorf("process %d is %s, not %s", r.pid, exe, want)
		}
	})

	t.Run("a process that has the id of ours by now is not ours", func(t *testing.T) {
		for name, other := range map[string]record{
			"another start time": {r.boot, r.pid, r.start - 1},
			"another boot":       {boot, r.pid, r.start},
		} {
			if err := other.signal(syscall.SIGKILL); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if other.alive() || !r.alive() {
				t.Errorf("%s: taken for ours, or killed", name)
			}
		}
		stale := fmt.Sprintf("%s\n%s\n", r.boot, statLine(r.pid, "etcd", r.start-1))
		if err := os.WriteFile(l.record("stale"), []byte(stale), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := l.kill("stale"); err != nil || !r.alive() {
			t.Errorf("kill by a stale record: error %v, ours alive: %v", err, r.alive())
		}
	})

	t.Run("kill returns when it is gone", func(t *testing.T) {
		if err := l.kill("one"); err != nil {
			t.Fatal(err)
		}
		if _, ok := l.running("one"); ok {
			t.Error("still running")
		}
		<-p.ended
	})
}

func TestAProgramThatEndsAtOnceIsSeen(t *testing.T) {
	l := testLauncher(t)
	p, err := l.start(program{name: "gone", path: "/nonexistent/program"})
	if err == nil {
		<-p.ended
	}
	if _, ok := l.running("gone"); ok {
		t.Error("running")
	}
}

func TestTheLockOutlivesUsUntilEveryProcessIsRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := tryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(path); err == nil {
		t.Fatal("locked twice")
	}

	t.Run("one that has not become its program yet holds it for us", func(t *testing.T) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer write.Close()
		shim := exec.Command("/bin/sh", "-c", "read -r _") // stands for one that did not get to its first line
		shim.Stdin, shim.ExtraFiles = read, []*os.File{lock}
		if err := shim.Start(); err != nil {
			t.Fatal(err)
		}
		lock.Close() // as when we are killed
		if _, err := tryLock(path); err == nil {
			t.Error("the lock is free, and a process without a record is under way")
		}
		write.Close()
		_ = shim.Wait()
	})

	t.Run("one that runs does not", func(t *testing.T) {
		lock, err := tryLock(path)
		if err != nil {
			t.Fatal(err)
		}
		l := testLauncher(t)
		l.lock = lock
		if _, err := l.start(sleeper("one")); err != nil {
			t.Fatal(err)
		}
		lock.Close()
		again, err := tryLock(path)
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
	})

	t.Run("a lock file that was deleted meanwhile is not the lock", func(t *testing.T) {
		old, err := tryLock(path)
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if same(old, path) {
			t.Error("a deleted file passes for the lock")
		}
	})
}

func TestATetheredProcessEndsWithUs(t *testing.T) {
	l := testLauncher(t)
	if _, err := l.start(sleeper("one")); err != nil {
		t.Fatal(err)
	}
	r, _ := readRecord(l.record("one"))
	l.tether.held.Close() // as the kernel does when we are killed
	if err := r.waitGone(10 * time.Second); err != nil {
		t.Error(err)
	}
}

func TestProgramsOfATestbedDoNotTakeThePersonsSettings(t *testing.T) {
	got := strings.Join(cleanEnv([]string{
		"PATH=/bin", "HANSE_SERVER=unix:///x", "HANSE_DATA_DIR=/var/lib/hanse", "KUBECONFIG=/home/me/.kube/config",
		"NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=1", "LISTEN_FDS=1", "ETCD_NAME=x", "HOME=/home/me",
	}), " ")
	if want := "PATH=/bin HOME=/home/me"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
