package platter

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The process that mounts a platter is told where by its environment, and then what to do, a line each, by its
// standard input. It answers each line, and once when it has mounted, by "ok" or by what is wrong.
const (
	folderVariable = "HANSE_PLATTER"
	seedVariable   = "HANSE_PLATTER_SEED"
	ok             = "ok"
)

// Drive is a Platter that another process mounted.
type Drive struct {
	// Dir is where.
	Dir string

	t       testing.TB
	process *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Reader
}

// Main turns this process into one that mounts a platter, and does not return, when Start started it. It belongs first
// into TestMain.
func Main() {
	folder := os.Getenv(folderVariable)
	if folder == "" {
		return
	}
	seed, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64)
	if err == nil {
		err = New(rand.New(rand.NewPCG(seed, 0))).obey(folder, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// obey mounts, follows orders until there are no more, and unmounts. There are no more either when whoever gave them was
// killed, and then its files may be open for a moment longer: the folder is let go of, and the mount ends with the last.
func (p *Platter) obey(folder string, orders io.Reader, answers io.Writer) error {
	server, err := p.Mount(folder)
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	fmt.Fprintln(answers, ok)
	for lines := bufio.NewScanner(orders); lines.Scan(); {
		if err := p.order(lines.Text()); err != nil {
			fmt.Fprintln(answers, err)
			continue
		}
		fmt.Fprintln(answers, ok)
	}
	if err := server.Unmount(); err != nil {
		return errors.Join(err, letGo(folder))
	}
	return nil
}

// letGo takes a mount off its folder, though files on it are open.
func letGo(folder string) error {
	if os.Geteuid() == 0 {
		return syscall.Unmount(folder, syscall.MNT_DETACH)
	}
	return exec.Command("fusermount3", "-u", "-z", "--", folder).Run()
}

func (p *Platter) order(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "cut":
		p.Cut()
	case "heal":
		p.Heal()
	case "lie":
		p.Lie()
	case "delay":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err
		}
		p.Delay(d)
	case "fail":
		var op Operation
		var n, errno int
		if _, err := fmt.Sscan(rest, &op, &n, &errno); err != nil {
			return err
		}
		p.Fail(op, n, syscall.Errno(errno))
	default:
		return fmt.Errorf("unknown order %q", line)
	}
	return nil
}

// Needs fails the test where a file system cannot be mounted, and says what to do; -short leaves the test out.
func Needs(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("it mounts a file system by FUSE: left out by -short")
	}
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Fatalf("no FUSE here: %v\nload it by: modprobe fuse; a container has to be given it: --device /dev/fuse --cap-add SYS_ADMIN; or leave these tests out: go test -short", err)
	} else {
		f.Close()
	}
	if os.Geteuid() == 0 {
		return
	}
	if _, err := exec.LookPath("fusermount3"); err != nil {
		t.Fatal("only root, or the program fusermount3, can mount a file system\nrun this as root; or install the package fuse3; or leave these tests out: go test -short")
	}
}

// Start mounts an empty platter until the test ends. Close what is open on it before.
func Start(t testing.TB, seed uint64) *Drive {
	t.Helper()
	Needs(t)
	d := &Drive{Dir: t.TempDir(), t: t}
	d.process = exec.Command(os.Args[0])
	d.process.Env = append(os.Environ(), folderVariable+"="+d.Dir, seedVariable+"="+strconv.FormatUint(seed, 10))
	d.process.Stderr = os.Stderr
	d.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what ends our group must not keep it from unmounting
	orders, err := d.process.StdinPipe()
	answers, err2 := d.process.StdoutPipe()
	if err := errors.Join(err, err2, d.process.Start()); err != nil {
		t.Fatal(err)
	}
	d.orders, d.answers = orders, bufio.NewReader(answers)
	t.Cleanup(d.stop)
	d.hear("mount")
	return d
}

func (d *Drive) stop() {
	d.orders.Close()
	if err := d.process.Wait(); err != nil {
		d.t.Errorf("unmount %s: %v", d.Dir, err)
	}
}

func (d *Drive) tell(format string, args ...any) {
	d.t.Helper()
	order := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(d.orders, order); err != nil {
		d.t.Fatalf("%s: %v", order, err)
	}
	d.hear(order)
}

func (d *Drive) hear(order string) {
	d.t.Helper()
	answer, err := d.answers.ReadString('\n')
	if answer = strings.TrimSpace(answer); err != nil || answer != ok {
		d.t.Fatalf("%s: %s (%v)", order, answer, err)
	}
}

// Cut is Platter.Cut.
func (d *Drive) Cut() { d.t.Helper(); d.tell("cut") }

// Heal is Platter.Heal.
func (d *Drive) Heal() { d.t.Helper(); d.tell("heal") }

// Lie is Platter.Lie.
func (d *Drive) Lie() { d.t.Helper(); d.tell("lie") }

// Delay is Platter.Delay.
func (d *Drive) Delay(by time.Duration) { d.t.Helper(); d.tell("delay %s", by) }

// Fail is Platter.Fail.
func (d *Drive) Fail(op Operation, n int, errno syscall.Errno) {
	d.t.Helper()
	d.tell("fail %s %d %d", op, n, int(errno))
}
