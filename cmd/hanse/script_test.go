package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/backup/s3test"
	"github.com/hanse-fleet/hanse/chaos/canary"
	"github.com/hanse-fleet/hanse/secrets/foreign/foreigntest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hanse": main, "kubectl-hanse": main, "age": ageCommand, "age-keygen": ageKeygen})
}

// TestScripts runs the command line as people do. Beside testscript's own commands there are:
//
//	exits N PROGRAM ARGS…      run it; it must exit with N
//	member MODE                what the member does from now on: see member.fault
//	cluster NAME DOES          what a cluster does with bundles: ready, refuses, silent, away
//	binary FILE                make a file that is no text
//	person FILE                make a key and a certificate
//	rollout FILE               what the member has of a rollout from now on
//	asked TEXT                 the member was asked something with TEXT in it
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			m := newMember()
			dir := filepath.Join(env.WorkDir, "d")
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			m.serve(env.T(), env.Defer, filepath.Join(dir, socketName))
			env.Values["member"] = m
			env.Setenv("HANSE_DATA_DIR", dir)
			env.Setenv("KUBECONFIG", "")
			return writeForeign(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"member": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Value("member").(*member).set(args[0])
			},
			"cluster": func(ts *testscript.TestScript, _ bool, args []string) {
				m := ts.Value("member").(*member)
				m.mu.Lock()
				defer m.mu.Unlock()
				m.clusters[args[0]] = args[1]
			},
			"asked":   asked,
			"rollout": rolloutIs,
			"person": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(agent.NewPerson(nil, ts.MkAbs(args[0]), args[1]))
			},
			"binary": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte{0x7f, 'E', 'L', 'F', 0, 1, 2, 0xff}, 0o600))
			},
		},
	})
}

// writeForeign writes some of what other tools wrote, and their keys, to $FOREIGN.
func writeForeign(env *testscript.Env) error {
	dir := filepath.Join(env.WorkDir, "foreign")
	env.Setenv("FOREIGN", dir)
	for _, name := range append(foreigntest.Names(), "sops/regex.yaml", "sealedsecrets/strict.yaml") {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, foreigntest.File(name), 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// TestARealMember runs scripts against `hanse agent` itself, without a Kubernetes cluster. There is, beside exits:
//
//	ports NAME…                set each variable to a free port of 127.0.0.1
//	until PROGRAM ARGS…        run it until it exits with 0
//	sees TEXT PROGRAM ARGS…    run it until TEXT is in its output
//	systemd hears WORD         the next that comes to the notify socket, $WORK/notify, is WORD; watchdog's are skipped
//	said NAME PATTERN          set the variable to what the last command said on stderr and the pattern fits, or its group
//	said-out NAME PATTERN      the same, of what it said on stdout
//	s3 NAME                    start an S3 service, set the variable to its URL, and AWS_* to credentials that it knows
//	shorten FROM TO N          TO is FROM without its last N bytes
//	flip FROM TO N             TO is FROM with one bit of byte N turned
//	holds DIR WORD             a file in DIR has the word, in whatever encoding, or compressed
//	term                       SIGTERM to the program started last in the background
func TestARealMember(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/member",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HANSE_DATA_DIR", filepath.Join(env.WorkDir, "d"))
			env.Setenv("KUBECONFIG", "")
			conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(env.WorkDir, "notify"), Net: "unixgram"})
			if err != nil {
				return err
			}
			env.Defer(func() { conn.Close() })
			env.Values["systemd"] = conn
			return errors.Join(newerBackup(filepath.Join(env.WorkDir, "newer.hanse.age")), os.WriteFile(filepath.Join(env.WorkDir, "try.sh"), []byte(tryOut(t)), 0o600), byHand(env.WorkDir))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "ports": ports, "until": until, "sees": sees, "term": terminate, "systemd": systemdHears, "s3": s3, "shorten": shorten, "said": said("stderr"), "said-out": said("stdout"), "flip": flip, "holds": holds},
	})
}

// newerBackup writes a backup of a format that is not there yet, for the key in the scripts.
func newerBackup(path string) error {
	to, err := age.ParseX25519Recipient("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj")
	if err != nil {
		return err
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, to)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, "HANSEBK\x02\x00\x00\x00\x02{}"); err != nil {
		return err
	}
	return errors.Join(w.Close(), os.WriteFile(path, sealed.Bytes(), 0o600))
}

// ports picks ports that are free for TCP and UDP alike.
func ports(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close()
		u, err := net.ListenPacket("udp", l.Addr().String())
		ts.Check(err)
		defer u.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		ts.Check(err)
		ts.Setenv(name, port)
	}
}

func systemdHears(ts *testscript.TestScript, _ bool, args []string) {
	conn := ts.Value("systemd").(*net.UnixConn)
	ts.Check(conn.SetReadDeadline(time.Now().Add(2 * time.Minute)))
	buf := make([]byte, 1024)
	for {
		n, err := conn.Read(buf)
		ts.Check(err)
		switch got := string(buf[:n]); {
		case got == args[1]:
			return
		case got != "WATCHDOG=1":
			ts.Fatalf("systemd hears %q", got)
		}
	}
}

func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	background := ts.BackgroundCmds()
	ts.Check(background[len(background)-1].Process.Signal(syscall.SIGTERM))
}

func s3(ts *testscript.TestScript, _ bool, args []string) {
	server := s3test.New()
	ts.Defer(server.Close)
	for name, value := range map[string]string{args[0]: server.URL, "AWS_ACCESS_KEY_ID": s3test.AccessKey, "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"} {
		ts.Setenv(name, value)
	}
}

// said keeps what the last command said on a stream and a pattern fits, or its group, in a variable.
func said(stream string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		found := regexp.MustCompile(args[1]).FindStringSubmatch(strings.TrimSpace(ts.ReadFile(stream)))
		if found == nil {
			ts.Fatalf("nothing like %q was said", args[1])
		}
		ts.Setenv(args[0], found[len(found)-1])
	}
}

func shorten(ts *testscript.TestScript, _ bool, args []string) {
	rewrite(ts, args, func(data []byte, n int) []byte { return data[:len(data)-n] })
}

func flip(ts *testscript.TestScript, _ bool, args []string) {
	rewrite(ts, args, func(data []byte, n int) []byte { data[n] ^= 1; return data })
}

func holds(ts *testscript.TestScript, neg bool, args []string) {
	found, err := canary.New(map[string][]byte{args[1]: []byte(args[1])}).Files(ts.MkAbs(args[0]))
	ts.Check(err)
	if (len(found) > 0) == neg {
		ts.Fatalf("%s is in %q", args[1], found)
	}
}

func rewrite(ts *testscript.TestScript, args []string, change func([]byte, int) []byte) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), change(data, n), 0o600))
}

func until(ts *testscript.TestScript, _ bool, args []string) {
	untilTrue(ts, func() bool { return ts.Exec(args[0], args[1:]...) == nil })
}

func sees(ts *testscript.TestScript, _ bool, args []string) {
	untilTrue(ts, func() bool {
		ts.Exec(args[1], args[2:]...) // whatever it exits with
		return strings.Contains(ts.ReadFile("stdout"), args[0])
	})
}

func untilTrue(ts *testscript.TestScript, holds func() bool) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); ; <-tick.C {
		if holds() {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it does not come to that")
		}
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code is %d, want %d", got, want)
	}
}

func asked(ts *testscript.TestScript, neg bool, args []string) {
	m := ts.Value("member").(*member)
	m.mu.Lock()
	defer m.mu.Unlock()
	found := false
	for _, a := range m.asked {
		found = found || strings.Contains(a, strings.Join(args, " "))
	}
	if found == neg {
		ts.Fatalf("the member was asked:\n%s", strings.Join(m.asked, "\n"))
	}
}
