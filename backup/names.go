package backup

import (
	"fmt"
	"path"
	"regexp"
	"strconv"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Suffix ends the name of every backup.
const Suffix = ".hanse.age"

// Name is where a backup lies below its destination: fleet, epoch, revision. The epoch's id is in it, since two halves of
// a fleet may each have gone on.
func (h Header) Name() string {
	return path.Join(h.Fleet, fmt.Sprintf("%d-%s", h.Epoch, idStart(h.EpochID)), fmt.Sprintf("%020d%s", h.Revision, Suffix))
}

func idStart(id string) string {
	clean := notPlain.ReplaceAllString(id, "")
	return clean[:min(8, len(clean))]
}

var (
	notPlain = regexp.MustCompile(`[^0-9a-zA-Z]`)
	nameForm = regexp.MustCompile(`^([0-9a-z-]+)/([0-9]+-[0-9a-zA-Z]*)/([0-9]{20})\.hanse\.age$`)
)

// ParseName is the reverse of Name, as far as it goes; !ok is a name that none of ours has.
func ParseName(name string) (fleet string, revision store.Revision, ok bool) {
	m := nameForm.FindStringSubmatch(name)
	if m == nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(m[3], 10, 64)
	return m[1], store.Revision(n), err == nil
}
