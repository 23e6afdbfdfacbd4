package testbed

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// BuildProgress is how far a build is.
type BuildProgress struct {
	// Counting is true until it is known what there is to do; modules are fetched meanwhile.
	Counting bool
	// Packages were compiled so far. Of is how many there are at most: those that Go compiled before are skipped.
	Packages, Of int
	// Downloads is how many modules were fetched so far.
	Downloads int
	// Waiting is true while another process builds the same.
	Waiting bool
}

// modules is the folder with the Go modules that the binaries are built from, one per target.
type modules struct {
	dir     string
	targets []target
}

// target is one go build.
type target struct {
	module   string
	packages []string
	output   string // the binary, or "" for one per package
	ldflags  string
}

// kubernetesAndEtcd is everything that complete asks for.
var kubernetesAndEtcd = []target{
	{module: "etcd", packages: []string{"go.etcd.io/etcd/server/v3"}, output: Etcd, ldflags: "-s -w"},
	{
		module: "kubernetes",
		packages: []string{
			"k8s.io/kubernetes/cmd/" + APIServer, "k8s.io/kubernetes/cmd/" + ControllerManager, "k8s.io/kubernetes/cmd/" + Kubectl,
		},
		// Without a version older clients cannot parse what the server says of itself.
		ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v" + KubernetesVersion,
	},
}

// findModules searches upward from the executable, then from the working directory.
func findModules() (modules, error) {
	var from []string
	if exe, err := os.Executable(); err == nil {
		from = append(from, filepath.Dir(exe))
	}
	if wd, err := os.Getwd(); err == nil {
		from = append(from, wd)
	}
	for _, dir := range from {
		for ; ; dir = filepath.Dir(dir) {
			m := modules{dir: filepath.Join(dir, "chaos", "testbed", "build"), targets: kubernetesAndEtcd}
			if _, err := os.Stat(filepath.Join(m.dir, "kubernetes", "go.mod")); err == nil {
				return m, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return modules{}, errors.New("no folder chaos/testbed/build around here: run testbed in a clone of hanse, or set " + assetsVariable)
}

// cache is the folder for what these modules, as they are now, build. With neither a cache folder of the user nor
// state there is none.
func (m modules) cache(state string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.GOOS, runtime.GOARCH)
	for _, t := range m.targets {
		fmt.Fprintln(sum, t.packages, t.ldflags)
		for _, name := range []string{"go.mod", "go.sum"} {
			data, err := os.ReadFile(filepath.Join(m.dir, t.module, name))
			if err != nil {
				return "", fmt.Errorf("read build modules: %w", err)
			}
			fmt.Fprintln(sum, len(data))
			sum.Write(data)
		}
	}
	dir, err := os.UserCacheDir()
	switch {
	case err == nil:
		dir = filepath.Join(dir, "hanse", "testbed")
	case state != "":
		dir = filepath.Join(state, "cache")
	default:
		return "", fmt.Errorf("find a cache folder: %w", err)
	}
	dir, err = filepath.Abs(dir)
	return filepath.Join(dir, hex.EncodeToString(sum.Sum(nil))[:16]), err
}

// build makes dir, whole or not at all. Whoever comes second waits, and finds it done.
func (m modules) build(ctx context.Context, dir string, progress func(BuildProgress)) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	lock, err := waitLock(ctx, dir+".lock", func() { progress(BuildProgress{Waiting: true}) })
	if err != nil {
		return err
	}
	defer lock.Close()
	if (Binaries{dir: dir}).complete() == nil {
		return nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("needs Go: %w", err)
	}
	made := part(dir)
	if err := errors.Join(os.RemoveAll(made), os.RemoveAll(dir), os.Mkdir(made, 0o755)); err != nil {
		return err
	}
	defer os.RemoveAll(made)
	if err := m.compile(ctx, made, progress); err != nil {
		return err
	}
	if err := (Binaries{dir: made}).complete(); err != nil {
		return err
	}
	return os.Rename(made, dir)
}

// compile runs go build for each target, after it has counted what there is to do.
func (m modules) compile(ctx context.Context, dir string, progress func(BuildProgress)) error {
	now := BuildProgress{Counting: true}
	seen := map[string]bool{}
	for _, t := range m.targets {
		list := m.goCommand(ctx, t, "list", "-deps", "-f", "{{if not .Standard}}"+t.module+"@{{end}}{{.ImportPath}}")
		list.Args = append(list.Args, t.packages...)
		err := watchLines(list, func(line string) {
			if isPackage(line) {
				seen[line] = true
			}
			now.Of, now.Downloads = len(seen), now.Downloads+downloads(line)
			progress(now)
		})
		if err != nil {
			return err
		}
	}
	now.Counting = false
	for _, t := range m.targets {
		build := m.goCommand(ctx, t, "build", "-v", "-trimpath", "-ldflags", t.ldflags, "-o", filepath.Join(dir, t.output))
		build.Args = append(build.Args, t.packages...)
		err := watchLines(build, func(line string) {
			if isPackage(line) {
				now.Packages++
			}
			now.Downloads += downloads(line)
			progress(now)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isPackage tells a line that is a package's path from what else the go command says.
func isPackage(line string) bool { return line != "" && !strings.ContainsAny(line, " \t:#") }

func downloads(line string) int {
	if strings.HasPrefix(line, "go: downloading ") {
		return 1
	}
	return 0
}

// goCommand runs in the target's module, whatever workspace is around it. Its compilers end with it.
func (m modules) goCommand(ctx context.Context, t target, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(m.dir, t.module)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "GOOS=", "GOARCH=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// watchLines runs a command and hands on each line that it prints. The error of a command that fails holds the
// lines that were no package.
func watchLines(cmd *exec.Cmd, line func(string)) error {
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	var talk bytes.Buffer
	scanned := make(chan struct{})
	go func() {
		defer close(scanned)
		scanner := bufio.NewScanner(read)
		for scanner.Scan() {
			line(scanner.Text())
			if !isPackage(scanner.Text()) && downloads(scanner.Text()) == 0 && talk.Len() < 8<<10 {
				fmt.Fprintln(&talk, scanner.Text())
			}
		}
		_, _ = io.Copy(io.Discard, read)
	}()
	err := cmd.Run()
	write.Close()
	<-scanned
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), cmd.Args[1], err, talk.String())
	}
	return nil
}
