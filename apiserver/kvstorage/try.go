package kvstorage

import (
	"bytes"
	"context"

	"k8s.io/apimachinery/pkg/runtime"
)

// Try says why a write would be refused, and writes nothing: after is the object as it would be, nil when it would go. It
// looks at the local state alone, and so says nothing of quorum.
func (s *Storage) Try(ctx context.Context, name string, after runtime.Object) error {
	c := change{key: s.Prefix + "/" + name}
	if kv, ok := s.Store.View().Get(c.key); ok {
		c.before, c.at = kv.Value, kv.Modified
	}
	if after != nil {
		value, err := s.encode(after)
		if err != nil {
			return err
		}
		c.after = value
	}
	if bytes.Equal(c.before, c.after) {
		return nil
	}
	asker := s.Asker(ctx)
	txn, err := s.transaction(c, asker)
	if err != nil {
		return err
	}
	if err := s.Judge(asker.Person, txn); err != nil {
		return s.writeError(err, c.key)
	}
	tell(ctx, s.foretold(c, asker))
	return nil
}
