package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/atrest"
)

// openMember is a member's data directory, as what is private in it is to be read, and who the member is. It changes nothing.
func openMember(folder string, with *age.HybridIdentity) (d dataDir, me self, err error) {
	d.folder = folder
	if me, err = d.self(); err != nil {
		return d, me, err
	}
	if d.key, err = atrest.Open(folder, with); err != nil {
		return d, me, err
	}
	return d, me, d.alienSecrets()
}

// state is what the member says of its directory.
func (d dataDir) state() v1alpha1.DataDirectory {
	if d.key == nil {
		return v1alpha1.DataDirectoryClear
	}
	return v1alpha1.DataDirectoryEncrypted
}

// FlagsFor are the flags with which a command opens a data directory: where it is encrypted, it takes the identity.
func FlagsFor(folder string) string {
	flags := "--data-dir " + folder
	if _, err := os.Lstat(filepath.Join(folder, atrest.DataKeyFile)); err == nil {
		flags += " --data-identity FILE"
	}
	return flags
}

// s3Credentials is the file that may have them; "" where no secret lies in the clear.
func (d dataDir) s3Credentials() string {
	if d.key != nil {
		return ""
	}
	return d.path(fileS3)
}

// alienSecrets refuses an encrypted directory into which somebody has put secrets in the clear.
func (d dataDir) alienSecrets() error {
	if _, err := os.Lstat(d.path(fileS3)); err != nil || d.key == nil {
		return nil
	}
	return fmt.Errorf("%s is in the clear, in a data directory that is encrypted; give the agent its credentials as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and remove it", d.path(fileS3))
}

// keyOfNew is the key of a directory in which a member is being made: what an earlier try has made, or another one, as long as nothing
// that is private lies there in the clear.
func (d dataDir) keyOfNew(with *age.HybridIdentity) (*atrest.Key, error) {
	key, err := atrest.Open(d.folder, with)
	if !errors.Is(err, atrest.ErrClear) {
		return key, err
	}
	switch left, err := d.secretLeft(); {
	case err != nil:
		return nil, err
	case left != "":
		return nil, fmt.Errorf("data directory %s is %w: %s lies there in the clear; remove it, or make the member in a fresh --data-dir", d, atrest.ErrClear, d.path(left))
	}
	return atrest.Make(d.folder, with)
}

// secretLeft is the name of something private in a directory, or of what a crash left of it before it had its name; "" for none.
func (d dataDir) secretLeft() (string, error) {
	found, err := os.ReadDir(d.folder)
	i := slices.IndexFunc(found, func(f fs.DirEntry) bool {
		name := strings.TrimPrefix(f.Name(), ".")
		return slices.ContainsFunc([]string{"identity.", fileKey, fileAdmin, dirRaft, fileS3}, func(secret string) bool {
			return strings.HasPrefix(name, secret)
		})
	})
	if err != nil || i < 0 {
		return "", err
	}
	return found[i].Name(), nil
}
