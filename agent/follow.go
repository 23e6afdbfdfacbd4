package agent

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// follow calls act once, and again whenever a key with one of the prefixes has changed. It returns act's error, or
// nil when ctx ends.
func (c *Core) follow(ctx context.Context, prefixes []string, act func(*store.View) error) error {
	for {
		v := c.store.View()
		if err := act(v); err != nil {
			return err
		}
		if err := c.changed(ctx, prefixes, v.Revision()); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// changed waits until a key with one of the prefixes has changed after the revision. When the history no longer
// tells, it counts as changed.
func (c *Core) changed(ctx context.Context, prefixes []string, after store.Revision) error {
	w, err := c.store.Watch("/", after)
	for err == nil {
		var batch store.Batch
		batch, err = w.Next(ctx)
		if slices.ContainsFunc(batch.Events, func(e store.Event) bool { return hasPrefix(e.Key, prefixes) }) {
			return nil
		}
	}
	if errors.Is(err, store.ErrCompacted) {
		return nil
	}
	return err
}

func hasPrefix(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// await returns when a key with one of the prefixes has changed after the revision, when news closes, or after a
// while: what is fresh depends on time too.
func (c *Core) await(ctx context.Context, prefixes []string, after store.Revision, news <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, leaderTick)
	written := make(chan struct{})
	go func() {
		defer close(written)
		if c.changed(ctx, prefixes, after) != nil {
			<-ctx.Done()
		}
	}()
	select {
	case <-written:
	case <-news:
	case <-ctx.Done():
	}
	cancel()
	<-written
}
