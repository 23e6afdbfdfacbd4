package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hanse-fleet/hanse/secrets"
)

// fileKey has the member's own age identity: what is for its cluster alone is encrypted to it. It never leaves the directory.
const fileKey = "age.key"

// ageIdentity reads the member's age identity, and makes it first where there is none.
func (d dataDir) ageIdentity() (secrets.Identity, error) {
	id, err := d.readAgeIdentity()
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if id, err = secrets.NewIdentity(); err != nil {
		return id, err
	}
	return id, d.writeAgeIdentity(id)
}

// readAgeIdentity is the member's age identity. The error is fs.ErrNotExist when there is none.
func (d dataDir) readAgeIdentity() (secrets.Identity, error) {
	text, err := d.key.ReadFile(d.path(fileKey))
	defer clear(text)
	if err != nil {
		return secrets.Identity{}, fmt.Errorf("read age identity: %w", err)
	}
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		id, err := secrets.ParseIdentity(l)
		if err != nil {
			return id, fmt.Errorf("read %s: %w; move it away and start again: a new one is made, and members of its groups wrap their keys for it", d.path(fileKey), err)
		}
		return id, nil
	}
	return secrets.Identity{}, fmt.Errorf("read %s: it is empty; remove it and start again", d.path(fileKey))
}

func (d dataDir) writeAgeIdentity(id secrets.Identity) error {
	text := fmt.Appendf(nil, "# recipient: %s\n%s\n", id.Recipient(), id.Reveal())
	defer clear(text)
	return d.key.WriteFile(d.path(fileKey), text)
}
