package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

const (
	// forgetEvery is how often old changes are looked for, as all there are have to be read, and forgetAfter so many new ones.
	forgetEvery = time.Minute
	forgetAfter = 500
	// forgottenAtOnce bounds the bytes of the keys of one transaction, far below what an entry of the log may have.
	forgottenAtOnce = 64 << 10
)

// forget strikes off changes that the fleet is to remember no longer, and what was before them. What fails is tried again when it
// looks again: the leader has more to do.
func (l *leader) forget(ctx context.Context, s scene) error {
	n := s.view.Count(v1alpha1.KeyChanges)
	if s.plan.Now.Sub(l.forgot) < forgetEvery && n < l.remembered+forgetAfter {
		return nil
	}
	l.forgot, l.remembered = s.plan.Now, n
	changes, there, err := remembered(s.view)
	if err != nil {
		return err
	}
	fleet, err := l.decoded.Fleet(s.view)
	if err != nil {
		return err
	}
	f := plan.Forget(changes, there, fleet.History.Kept(), s.plan.Now)
	for _, ops := range forgetting(f) {
		if err := l.write(ctx, nil, ops...); err != nil {
			return err
		}
	}
	l.remembered -= len(f.Changes)
	return nil
}

// forgetting are the transactions that forget, the oldest first: one that is missing leaves no hole.
func forgetting(f plan.Forgotten) (all [][]store.Op) {
	size := forgottenAtOnce
	forget := func(keys ...string) {
		length := len(strings.Join(keys, ""))
		if size += length; size > forgottenAtOnce {
			all, size = append(all, nil), length
		}
		for _, key := range keys {
			all[len(all)-1] = append(all[len(all)-1], store.Delete(key))
		}
	}
	for _, name := range f.Pasts {
		forget(v1alpha1.KeyPasts + name)
	}
	for _, name := range f.Changes {
		forget(v1alpha1.KeyChanges+name, v1alpha1.KeyPasts+name)
	}
	return all
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
				Revealed bool   `json:"revealed"`
			} `json:"spec"`
		}
		if err := json.Unmarshal(kv.Value, &c); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
		}
		object := "/" + c.Spec.Resource + "/" + c.Spec.Name
		if _, known := there[object]; !known {
			_, there[object] = v.Get(object)
		}
		name := strings.TrimPrefix(kv.Key, v1alpha1.KeyChanges)
		if v.Count(v1alpha1.KeyPasts+name) == 0 {
			c.Spec.Size = 0
		}
		changes = append(changes, plan.Remembered{Name: name, Object: object, At: c.Metadata.Created, Revision: uint64(kv.Modified), Size: c.Spec.Size, Revealed: c.Spec.Revealed})
	}
	return changes, there, nil
}
