package platter

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Mount shows the platter under a folder. Nothing of what is cached outlives a power cut: each life has inodes of its
// own, and the kernel asks for every name anew. Pages may be cached and mapped, which bbolt needs.
//
// The process that mounts must not use the folder itself: a page fault would hold what the answer needs to run on.
func (p *Platter) Mount(folder string) (*fuse.Server, error) {
	return fs.Mount(folder, &node{platter: p}, &fs.Options{
		MountOptions: fuse.MountOptions{FsName: "platter", Name: "platter", DirectMount: true},
	})
}

// node is an inode as FUSE asks it.
type node struct {
	fs.Inode
	platter *Platter
	made    *inode // nil: the root, which is another after each power cut
}

var _ interface {
	fs.NodeLookuper
	fs.NodeReaddirer
	fs.NodeCreater
	fs.NodeMkdirer
	fs.NodeUnlinker
	fs.NodeRmdirer
	fs.NodeRenamer
	fs.NodeOpener
	fs.NodeReader
	fs.NodeWriter
	fs.NodeFsyncer
	fs.NodeGetattrer
	fs.NodeSetattrer
} = (*node)(nil)

func (n *node) inode() *inode {
	if n.made != nil {
		return n.made
	}
	n.platter.mu.Lock()
	defer n.platter.mu.Unlock()
	return n.platter.root
}

// child shows an inode to the kernel.
func (n *node) child(ctx context.Context, i *inode, out *fuse.EntryOut) *fs.Inode {
	out.Mode, out.Size = i.mode, uint64(n.platter.size(i))
	return n.NewInode(ctx, &node{platter: n.platter, made: i}, fs.StableAttr{Mode: i.mode & syscall.S_IFMT, Ino: i.number})
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	found := n.platter.lookup(n.inode(), name)
	if found == nil {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, found, out), 0
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	var list []fuse.DirEntry
	for _, e := range n.platter.list(n.inode()) {
		list = append(list, fuse.DirEntry{Name: e.name, Mode: e.node.mode, Ino: e.node.number})
	}
	return fs.NewListDirStream(list), 0
}

func (n *node) add(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	made, errno := n.platter.create(n.inode(), name, mode)
	if errno != 0 {
		return nil, errno
	}
	return n.child(ctx, made, out), 0
}

func (n *node) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	made, errno := n.add(ctx, name, syscall.S_IFREG|mode&0o777, out)
	return made, nil, 0, errno
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.add(ctx, name, syscall.S_IFDIR|mode&0o777, out)
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return n.platter.remove(n.inode(), name)
}

func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return n.platter.remove(n.inode(), name)
}

func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL
	}
	return n.platter.rename(n.inode(), name, to.(*node).inode(), newName)
}

func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) { return nil, 0, 0 }

func (n *node) Read(_ context.Context, _ fs.FileHandle, into []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultData(n.platter.read(n.inode(), into, at)), 0
}

func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, at int64) (uint32, syscall.Errno) {
	if errno := n.platter.write(n.inode(), data, at); errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}

func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.platter.sync(n.inode())
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	i := n.inode()
	out.Mode, out.Size = i.mode, uint64(n.platter.size(i))
	return 0
}

// Setattr cuts and lengthens files. Owners, modes and times stay as they are.
func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if errno := n.platter.resize(n.inode(), int64(size)); errno != 0 {
			return errno
		}
	}
	return n.Getattr(ctx, f, out)
}
