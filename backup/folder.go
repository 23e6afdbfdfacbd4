package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hanse-fleet/hanse/internal/durable"
)

// folder is a Place on this machine.
type folder string

func (f folder) Put(_ context.Context, name string, write func(io.Writer) error) (int64, error) {
	path := filepath.Join(string(f), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, fmt.Errorf("make folder for backups: %w", err)
	}
	return durable.WriteFile(path, write)
}

func (f folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(f), filepath.FromSlash(name)))
}

func (f folder) Delete(_ context.Context, name string) error {
	err := os.Remove(filepath.Join(string(f), filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
