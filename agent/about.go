package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/keep"
	"github.com/hanse-fleet/hanse/law"
)

// aboutPause is how often a member looks whether what the log says of it is still true.
const aboutPause = 5 * time.Second

// tellAboutSelf keeps in the log what only this member knows of itself: where it is reached, which versions run, and
// which version of the log it can apply.
func (c *Core) tellAboutSelf(ctx context.Context) error {
	for {
		if txn, err := c.about(c.store.View()); err != nil {
			return err
		} else if len(txn.Then) > 0 {
			tryFor, cancel := context.WithTimeout(ctx, aboutPause)
			if _, err := c.node.Propose(tryFor, consensus.Proposal{Txn: txn}); err != nil && ctx.Err() == nil {
				c.log.Debug("could not tell the fleet about this member", "err", err)
			}
			cancel()
		}
		if !pause.For(ctx, aboutPause) {
			return nil
		}
	}
}

// about is the transaction that corrects what the log says of this member; empty when all is true.
func (c *Core) about(v *store.View) (txn store.Txn, err error) {
	change := func(kv store.KV, op store.Op) {
		txn.If, txn.Then = append(txn.If, store.KeyAt(kv.Key, kv.Modified)), append(txn.Then, op)
	}
	a := c.self.Addresses
	if kv, ok := v.Get(store.KeyMembers + string(c.self.Incarnation)); ok {
		m, _ := v.Member(c.id())
		if !slices.Equal(m.Addresses, a.Advertise) || m.Server != a.server() || m.Applies != c.store.Applies() {
			m.Addresses, m.Server, m.Applies = a.Advertise, a.server(), c.store.Applies()
			change(kv, store.PutMember(m))
		}
	}
	if kv, ok := v.Get(v1alpha1.KeyClusters + c.self.Cluster); ok {
		var cluster v1alpha1.Cluster
		if err := json.Unmarshal(kv.Value, &cluster); err != nil {
			return txn, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
		}
		before := *cluster.DeepCopy()
		told, now := &cluster.Status, c.ownStatus()
		if !slices.Equal(told.Endpoints, now.Endpoints) {
			told.Endpoints = now.Endpoints
		}
		told.Server, told.Version, told.DataDirectory = now.Server, now.Version, now.DataDirectory
		if now.KubernetesVersion != "" {
			told.KubernetesVersion = now.KubernetesVersion
		}
		if err := c.tellRecipient(told, keep.Second(v, c.now())); err != nil {
			return txn, err
		}
		if !reflect.DeepEqual(before.Status, *told) {
			op, err := law.Amend(kv, before, cluster)
			if err != nil {
				return txn, err
			}
			change(kv, op)
		}
	}
	return txn, nil
}

// tellRecipient says to whom what is for this cluster alone is encrypted, and since when, and signs it. One who has another recipient than the log has
// waits until the law lets it say so.
func (c *Core) tellRecipient(told *v1alpha1.ClusterStatus, at metav1.Time) (err error) {
	mine := c.age.Recipient().String()
	if told.Recipient != mine {
		if !law.MayChangeRecipient(told, at) {
			c.log.Debug("this member has another age identity than the fleet knows, and may say so only later", "at", told.RecipientSince.Add(law.RecipientKept))
			return nil
		}
		told.RecipientSince = nil
	}
	if told.RecipientSince == nil {
		told.RecipientSince = &at
	}
	told.Recipient = mine
	told.RecipientSignature, err = c.identity.SignRecipient(mine, told.RecipientSince.Time)
	return err
}

func (c *Core) ownStatus() v1alpha1.ClusterStatus {
	s := v1alpha1.ClusterStatus{Endpoints: c.self.Addresses.Advertise, Server: c.self.Addresses.server(), Version: c.version, DataDirectory: c.dir.state()}
	if k := c.kubernetes.Load(); k != nil {
		s.KubernetesVersion = *k
	}
	return s
}
