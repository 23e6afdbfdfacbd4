package agent

import (
	"io/fs"
	"os"
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
	root, err := os.OpenRoot(d.folder)
	if err != nil {
		return
	}
	defer root.Close()
	_ = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			giveAway(root, path, int(owner.Uid), int(owner.Gid))
		}
		return nil
	})
}

// giveAway gives a file of the directory away, if root made it. The owner may put another one in its place at any moment, or a link in
// place of a folder above it: so what is looked at is what is given, and nothing outside of the directory can be opened.
func giveAway(root *os.Root, path string, uid, gid int) {
	f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && isRoots(info) {
		_ = f.Chown(uid, gid)
	}
}

// isRoots says that root made it, here: a file of another name elsewhere, which the owner may have linked to, is not given away.
func isRoots(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && s.Uid == 0 && (info.IsDir() || s.Nlink == 1)
}
