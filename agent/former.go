package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/secrets"
)

// Former is the data directory of the member that a cluster had before: the next one keeps its age key, and with it opens what it could. It is only read.
type Former struct {
	// DataDir is "" for none.
	DataDir string
	// DataIdentity opens it, if it is encrypted.
	DataIdentity *age.HybridIdentity
}

// identity reads the age key of the member before; nil when there is no directory of one.
func (f Former) identity(me self) (*secrets.Identity, error) {
	if f.DataDir == "" {
		return nil, nil
	}
	d := dataDir{folder: f.DataDir}
	var was self
	switch err := d.read(fileMember, &was); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("keys from %s: that is no data directory of a member; name the one that the member of %s had before", d, me.Cluster)
	case err != nil:
		return nil, fmt.Errorf("keys from %s: %w", d, err)
	case was.Cluster != me.Cluster || was.Fleet != me.Fleet:
		return nil, fmt.Errorf("keys from %s: it is of %s of fleet %s, not of %s of fleet %s; a key is kept by the same cluster of the same fleet alone", d, was.Cluster, was.Fleet, me.Cluster, me.Fleet)
	}
	if err := d.idle(); err != nil {
		return nil, fmt.Errorf("keys from %w; stop that agent first", err)
	}
	var err error
	if d.key, err = atrest.Open(d.folder, f.DataIdentity); err != nil && !errors.Is(err, atrest.ErrClear) {
		return nil, fmt.Errorf("keys from %w", err)
	}
	id, err := d.readAgeIdentity()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("keys from %s: no %s is there: its member never ran, or its disk is damaged; join without its keys", d, fileKey)
	}
	return &id, err
}

// idle says that no agent runs on a directory, and changes nothing there.
func (d dataDir) idle() error {
	f, err := os.Open(d.path("lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("data directory %s is %w", d, ErrInUse)
	}
	return nil
}

// keep makes an age key the member's, unless it is nil, and says which recipient the member has then; "" for none: it makes one as it starts. One that
// an earlier try left stays.
func (d dataDir) keep(id *secrets.Identity) (recipient string, err error) {
	has, err := d.readAgeIdentity()
	switch {
	case err == nil && id != nil && has.Recipient().String() != id.Recipient().String():
		return "", fmt.Errorf("data directory %s has another %s already; use another --data-dir", d, fileKey)
	case err == nil:
		return has.Recipient().String(), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	case id == nil:
		return "", nil
	}
	return id.Recipient().String(), d.writeAgeIdentity(*id)
}
