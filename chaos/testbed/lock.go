package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// errLocked means that another process holds the lock.
var errLocked = errors.New("another testbed is at work here")

// tryLock locks a file until it is closed by us and by every process that inherited it.
func tryLock(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock: %w", err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, errLocked
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %q: %w", path, err)
		}
		if same(f, path) {
			return f, nil
		}
		f.Close() // its holder deleted it meanwhile
	}
}

func same(f *os.File, path string) bool {
	held, err1 := f.Stat()
	there, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(held, there)
}

// waitLock is tryLock that waits; waiting is called once when it has to.
func waitLock(ctx context.Context, path string, waiting func()) (*os.File, error) {
	var lock *os.File
	said := false
	err := poll(ctx, 200*time.Millisecond, func() (done bool, err error) {
		lock, err = tryLock(path)
		if !errors.Is(err, errLocked) {
			return true, err
		}
		if !said {
			said = true
			waiting()
		}
		return false, nil
	})
	return lock, err
}
