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
