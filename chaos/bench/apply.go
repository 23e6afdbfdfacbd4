package bench

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

const (
	// applied is how many changes are followed, after some that only warm up.
	applied, unfollowed = 100, 5
	// waited are how many changes more are made by a command that waits for them.
	waited = 20
	// spread is a namespace of the rows, and of nobody else.
	spread = "spread"
)

// settings are a bundle's manifests: a ConfigMap that says which version it is of, in a namespace of its own.
func settings(version string) []byte {
	return fmt.Appendf(nil, "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: %s}\ndata: {version: %q, value: %q}\n",
		spread, spread, version, value)
}

// applies measures from the start of the command to the event in the last of three kube-apiservers. The command
// itself, which is a process of its own, is part of that.
func (b *bed) applies(ctx context.Context) ([]Row, error) {
	s, err := b.realClusters(ctx, "apply", 3, testbed.Options{})
	if err != nil {
		return nil, err
	}
	defer s.close()
	b.say("%d changes, one after the other", applied)
	var live, command []time.Duration
	for i := range applied + unfollowed {
		all, own, err := s.applyOnce(ctx, strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		if i >= unfollowed {
			live, command = append(live, all), append(command, own)
		}
	}
	b.say("%d changes by a command that waits", waited)
	var late []time.Duration
	for i := range waited {
		all, own, err := s.applyOnce(ctx, fmt.Sprintf("waited-%d", i), "--wait")
		if err != nil {
			return nil, err
		}
		late = append(late, own-all)
	}
	rows := percentiles("hanse apply → live in 3 real clusters", live, atMost(60, inMilliseconds), atMost(250, inMilliseconds))
	return append(rows, percentiles("of that, the command itself", command, nil, nil)[0], percentiles("hanse apply --wait, after it is live in all", late, nil, nil)[0]), nil
}

// applyOnce is how long one change took to the last cluster, and how long its command.
func (s sites) applyOnce(ctx context.Context, version string, flags ...string) (live, command time.Duration, err error) {
	var sights []sight
	for _, one := range s {
		seen, err := one.follow(ctx, spread, func(_ watch.EventType, c *corev1.ConfigMap) bool { return c.Data["version"] == version })
		if err != nil {
			return 0, 0, err
		}
		sights = append(sights, seen)
	}
	begun := time.Now()
	if _, err := typed(ctx, s[0].member.Person(), string(settings(version)), append([]string{"apply", "--bundle", spread, "--to", "all", "-f", "-"}, flags...)...); err != nil {
		return 0, 0, err
	}
	command = time.Since(begun)
	for _, seen := range sights {
		at, err := seen()
		if err != nil {
			return 0, 0, err
		}
		live = max(live, at.Sub(begun))
	}
	return live, command, nil
}

// sorted is a load of what was taken one after the other.
func sorted(took []time.Duration) load {
	return load{Took: slices.Sorted(slices.Values(took))}
}

// configMaps are so many manifests, with a value of the size that all rows have.
func configMaps(namespace string, n int) []byte {
	var all bytes.Buffer
	fmt.Fprintf(&all, "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", namespace)
	for i := range n {
		fmt.Fprintf(&all, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d, namespace: %s}\ndata: {value: %q}\n", i, namespace, value)
	}
	return all.Bytes()
}
