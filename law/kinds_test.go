package law

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// The law decodes these while it applies the log. A field that is added to one is read by newer programs and not by
// older ones, so whether a value can be decoded, or what is judged, may differ between them.
var decoded = []any{v1alpha1.Bundle{}, v1alpha1.Cluster{}, v1alpha1.Fleet{}, v1alpha1.User{}, v1alpha1.Rollout{}, v1alpha1.Grant{}, v1alpha1.Tombstone{}, v1alpha1.Observing{}, v1alpha1.ChangeSpec{}, v1alpha1.RecipientGroup{}, v1alpha1.FleetSecret{}, v1alpha1.Sealing{}, v1alpha1.SealedRevision{}, store.Member{}, store.Removed{}}

func TestTheKindsAreAsTheVersionOfTheLogHasThem(t *testing.T) {
	var lines []string
	for _, value := range decoded {
		lines = append(lines, shape(reflect.TypeOf(value), reflect.TypeOf(value).Name())...)
	}
	slices.Sort(lines)
	got := strings.Join(slices.Compact(lines), "\n") + "\n"
	path := filepath.Join(goldenNow, "kinds.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("a kind that the law decodes has changed: do the members of the version before still judge alike? If not, raise store.Version and look at Asker.Version; then go test ./law -run Kinds -update\n%s", got)
	}
}

// shape lists the fields of a struct as JSON has them, those of libraries too: what ObjectMeta has is judged as well. What reads itself
// is one word.
func shape(t reflect.Type, path string) (lines []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		if t.Elem().Kind() != reflect.Uint8 {
			return shape(t.Elem(), path+"[]")
		}
	case reflect.Struct:
		if !reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			for i := range t.NumField() {
				f := t.Field(i)
				if f.Tag.Get("json") == "-" {
					continue // it is not decoded
				}
				lines = append(lines, shape(f.Type, path+"."+f.Tag.Get("json"))...)
			}
			return lines
		}
	}
	return []string{fmt.Sprintf("%s %s", path, t)}
}
