package atrest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hanse-fleet/hanse/internal/durable"
)

// fileLine is the first line of a file that is encrypted.
const fileLine = "hanse/v1 encrypted\n"

// Draft is what the name of a file ends in that gets its name by being renamed: it is encrypted for that one.
const Draft = ".new"

func placeOf(path string) string { return "file " + strings.TrimSuffix(filepath.Base(path), Draft) }

// WriteFile replaces a file: after a crash it holds the old content or the new, never a part, and only its owner reads it.
func (k *Key) WriteFile(path string, content []byte) error {
	if k != nil {
		content = append([]byte(fileLine), k.Encrypt(content, placeOf(path))...)
	}
	_, err := durable.WriteFile(path, durable.Bytes(content))
	return err
}

// ReadFile reads what WriteFile wrote. A file that is encrypted though its directory is not, or the other way round, is refused.
func (k *Key) ReadFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	encrypted, is := bytes.CutPrefix(text, []byte(fileLine))
	switch {
	case is && k == nil:
		return nil, fmt.Errorf("%s is encrypted, and its directory is not; it is from another one: put the right one there", path)
	case k == nil:
		return text, nil
	case !is:
		clear(text)
		return nil, fmt.Errorf("%s is in the clear, in a directory that is encrypted; put this directory's own %s back", path, filepath.Base(path))
	}
	content, err := k.Decrypt(encrypted, placeOf(path))
	if err != nil {
		return nil, fmt.Errorf("%s does not open with the key of its directory: %w; put this directory's own %s or %s back", path, err, filepath.Base(path), DataKeyFile)
	}
	return content, nil
}
