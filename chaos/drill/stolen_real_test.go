package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

const everyoneGroup = `apiVersion: fleet.hanse.dev/v1alpha1
kind: RecipientGroup
metadata: {name: everyone}
spec: {clusterSelector: {}}
`

// sealedForEveryone puts two secrets into all three clusters.
func sealedForEveryone(t *testing.T, f *field) {
	t.Helper()
	f.must(t, "fra", []byte(everyoneGroup), "apply", "-f", "-")
	until(t, 2*time.Minute, func(context.Context) error { return f.everyoneHas(t, 1, 3) })
	for _, name := range []string{"fra", "iad", "sin"} {
		namespace(t, f.kubernetes(t, name), "vault")
	}
	for _, name := range []string{"one", "two"} {
		f.sealsForEveryone(t, name, "first")
	}
}

// everyoneHas checks which key the group everyone has, and how many hold it.
func (f *field) everyoneHas(t *testing.T, epoch int64, holders int) error {
	t.Helper()
	var g v1alpha1.RecipientGroup
	if err := json.Unmarshal([]byte(f.must(t, "fra", nil, "get", "recipientgroup", "everyone", "-o", "json").Out), &g); err != nil {
		t.Fatal(err)
	}
	if g.Status.Epoch != epoch || len(g.Status.Wraps) != holders {
		return fmt.Errorf("key %d is wrapped %d times", g.Status.Epoch, len(g.Status.Wraps))
	}
	return nil
}

func (f *field) sealsForEveryone(t *testing.T, name, value string) {
	t.Helper()
	manifest := f.must(t, "iad", []byte(value), "seal", "--group", "everyone", "--name", name, "--namespace", "vault", "--from-stdin", "password").Out
	f.must(t, "fra", []byte(manifest), "apply", "-f", "-", "--wait")
}

// stolen works off what a cluster could read that was removed. fra and iad are left.
func stolen(t *testing.T, f *field, cluster string) {
	listed := func(asked string, code int) (e v1alpha1.Exposures) {
		t.Helper()
		args := []string{"secret", "exposed", "--cluster", cluster, "-o", "json"}
		said := ended(t, code, f.tell(t, asked, nil, args...), args)
		if err := json.Unmarshal([]byte(said.Out), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := listed("iad", 3); e.Open != 2 {
		t.Errorf("the list is %+v", e)
	}
	until(t, 2*time.Minute, func(context.Context) error {
		if s := f.status(t, "fra").Exposed; s == nil || s.Secrets != 2 {
			return fmt.Errorf("the status counts %+v", s)
		}
		return nil
	})
	mentions(t, ended(t, 3, f.tell(t, "fra", nil, "status"), []string{"status"}).Out, "2 secrets have values that "+cluster+" could read")
	until(t, 2*time.Minute, func(context.Context) error { return f.everyoneHas(t, 2, 2) })

	f.sealsForEveryone(t, "one", "first") // anew, as it was
	until(t, 2*time.Minute, func(context.Context) error {
		for _, x := range listed("fra", 3).Items {
			if x.Secret == "one" && x.Values == 0 || x.State != v1alpha1.ExposureOpen {
				return fmt.Errorf("a line is %+v", x)
			}
		}
		return nil
	})
	for _, name := range []string{"one", "two"} {
		f.sealsForEveryone(t, name, "second")
	}
	took := until(t, 2*time.Minute, func(context.Context) error {
		if s := f.status(t, "iad").Exposed; s != nil {
			return fmt.Errorf("the status counts %+v", s)
		}
		return nil
	})
	t.Logf("nothing is open %s after the values are other ones in all clusters", round(took))
	if told := f.tell(t, "iad", nil, "status").Out; strings.Contains(told, "could read") {
		t.Errorf("the status is told as %s", told)
	}
	until(t, 2*time.Minute, func(context.Context) error {
		fra, iad := listed("fra", 0), listed("iad", 0)
		fra.Revision, iad.Revision = 0, 0
		if diff := cmp.Diff(fra, iad); diff != "" || len(fra.Items) != 2 {
			return fmt.Errorf("they do not say the same: %s", diff)
		}
		return nil
	})
	mentions(t, f.must(t, "fra", nil, "secret", "readers", "one").Out, "fra, iad", cluster+", removed")
}

// stolenForNothing is a thief who has all of a cluster's member that was removed, and the log of another one from afterwards.
func stolenForNothing(t *testing.T, f *field, cluster string) {
	loot := f.rob(t, "fra", f.cluster(t, cluster).DataDir())
	opened := bytes.Join(loot.Open(f.keysOf(t, cluster)...), nil)
	for value, can := range map[string]bool{"first": true, "second": false} {
		if reads := bytes.Contains(opened, fmt.Appendf(nil, `"password":%q`, value)); reads != can {
			t.Errorf("it reads the %s value: %t", value, reads)
		}
	}
	for _, name := range []string{"one", "two"} {
		if !loot.Has(f.secret(t, name).Spec.Data) {
			t.Errorf("it does not even have what it cannot read of %s", name)
		}
	}
}
