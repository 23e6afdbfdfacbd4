//go:build !linux

package main

import (
	"os"
	"path/filepath"
)

// inMemory is a file that only its owner reads, until it is removed: this system has none that lie on no disk.
func inMemory(name string, content []byte) (path string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "hanse-"+name+"-")
	if err != nil {
		return "", nil, err
	}
	path, remove = filepath.Join(dir, name), func() { os.RemoveAll(dir) }
	if err := os.WriteFile(path, content, 0o600); err != nil {
		remove()
		return "", nil, err
	}
	return path, remove, nil
}
