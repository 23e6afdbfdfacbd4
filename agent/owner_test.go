package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestWhatRootDoesInADirectoryIsItsOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const service = 61234
	own, roots := filepath.Join(t.TempDir(), "service"), filepath.Join(t.TempDir(), "root")
	elsewhere := filepath.Join(t.TempDir(), "secret")
	for _, err := range []error{os.Mkdir(own, 0o700), os.WriteFile(elsewhere, nil, 0o600), os.Link(elsewhere, filepath.Join(own, "link")), os.Chown(own, service, service)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]uint32{own: service, roots: 0} {
		if _, err := Init(InitOptions{DataDir: dir, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"}}); err != nil {
			t.Fatal(err)
		}
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.Name() == "link" {
				return err
			}
			info, err := e.Info()
			if err == nil && info.Sys().(*syscall.Stat_t).Uid != want {
				t.Errorf("%s is not of %d", path, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(elsewhere); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Error("a file elsewhere was given away")
	}
}

// Whoever owns the directory may put a link in place of a folder while root goes over it.
func TestNothingOutsideOfTheDirectoryIsGivenAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir, elsewhere := t.TempDir(), t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(elsewhere, "shadow"), nil, 0o600),
		os.Symlink(elsewhere, filepath.Join(dir, "raft")),
		os.WriteFile(filepath.Join(dir, "own"), nil, 0o600),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600), // nobody writes into it
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, path := range []string{"raft/shadow", "own", "pipe"} { // as they were listed before
		giveAway(root, path, 61234, 61234)
	}
	for path, want := range map[string]uint32{filepath.Join(elsewhere, "shadow"): 0, filepath.Join(dir, "own"): 61234} {
		if info, err := os.Stat(path); err != nil || info.Sys().(*syscall.Stat_t).Uid != want {
			t.Errorf("%s is not of %d, %v", path, want, err)
		}
	}
}

func TestALinkIsNotLocked(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "new")
	if err := os.Symlink(elsewhere, filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := (dataDir{folder: dir}).lock(); err == nil {
		t.Error("it is locked")
	}
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("a file was made elsewhere")
	}
}
