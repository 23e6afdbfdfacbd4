package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// keepOwner gives what root made in the directory to the directory's owner, so that a service with an account of its own can
// go on with what a person did as root: a recovery, say. What cannot be given stays root's, and the service says so.
func (d dataDir) keepOwner() {
	info, err := os.Stat(d.folder)
	if err != nil || os.Geteuid() != 0 {
		return
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return
	}
	_ = filepath.WalkDir(d.folder+"/", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil && isRoots(info) {
			_ = os.Lchown(path, int(owner.Uid), int(owner.Gid))
		}
		return nil
	})
}

// isRoots says that root made it, here: a file of another name elsewhere, which the owner may have linked to, is not given away.
func isRoots(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && s.Uid == 0 && (info.IsDir() || s.Nlink == 1)
}
