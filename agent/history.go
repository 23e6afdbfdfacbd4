package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
)

const (
	// forgetEvery is how often old changes are looked for, as all there are have to be read, and forgetAfter so many new ones.
	forgetEvery = time.Minute
	forgetAfter = 500
	// forgottenAtOnce bounds the ops of one transaction.
	forgottenAtOnce = 1000
)

// forget strikes off changes that the fleet is to remember no longer, and what was before them.
func (l *leader) forget(ctx context.Context, s scene) error {
	n := s.view.Count(v1alpha1.KeyChanges)
	if s.Now.Sub(l.forgot) < forgetEvery && n < l.remembered+forgetAfter {
		return nil
	}
	changes, there, err := remembered(s.view)
	if err != nil {
		return err
	}
	names := plan.Forget(changes, there, fleetSpec(s.view).History.Kept(), s.Now)
	if len(names) > forgottenAtOnce {
		names = names[:forgottenAtOnce]
	} else {
		l.forgot = s.Now
	}
	l.remembered = n - len(names)
	var ops []store.Op
	for _, name := range names {
		ops = append(ops, store.Delete(v1alpha1.KeyChanges+name), store.Delete(v1alpha1.KeyPasts+name))
	}
	return l.write(ctx, nil, ops...)
}

// remembered are the changes that the log keeps, and which of their objects are there.
func remembered(v *store.View) (changes []plan.Remembered, there map[string]bool, err error) {
	there = map[string]bool{}
	for kv := range v.Iterate(v1alpha1.KeyChanges, "") {
		var c struct {
			Metadata struct {
				Created time.Time `json:"creationTimestamp"`
			} `json:"metadata"`
			Spec struct {
				Resource string `json:"resource"`
				Name     string `json:"name"`
				Size     int64  `json:"size"`
			} `json:"spec"`
		}
		if err := json.Unmarshal(kv.Value, &c); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", kv.Key, err)
		}
		object := "/" + c.Spec.Resource + "/" + c.Spec.Name
		if _, known := there[object]; !known {
			_, there[object] = v.Get(object)
		}
		changes = append(changes, plan.Remembered{
			Name: strings.TrimPrefix(kv.Key, v1alpha1.KeyChanges), Object: object, At: c.Metadata.Created, Revision: uint64(kv.Modified), Size: c.Spec.Size,
		})
	}
	return changes, there, nil
}
