package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profile records what our leader's processor does, if asked to, until stop is called and the profile is there.
func (b *bed) profile(ctx context.Context, t *trio) (stop func()) {
	leader, _, err := t.split(ctx)
	if b.Profile == "" || err != nil || leader.debug == "" {
		return func() {}
	}
	done := make(chan error, 1)
	go func() { done <- b.fetch(ctx, leader) }()
	return func() {
		if err := <-done; err != nil {
			b.say("no profile: %v", err)
		}
	}
}

func (b *bed) fetch(ctx context.Context, n *node) error {
	seconds := int(b.Measured / time.Second)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", n.debug, seconds), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	f, err := os.Create(filepath.Join(b.Profile, n.name+".pprof"))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, answer.Body)
	return err
}
