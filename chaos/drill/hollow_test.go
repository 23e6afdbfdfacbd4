package drill

import (
	"context"
	"sync"
	"testing"

	"github.com/hanse-fleet/hanse/chaos/hollow"
)

// hollow lets the pods of a namespace run, as far as anybody can see, in every cluster.
func (f *field) hollow(t *testing.T, namespace string) {
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, c := range f.bed.Clusters() {
		client := f.kubernetes(t, c.Name())
		all.Go(func() { hollow.Run(ctx, client, namespace) })
	}
	t.Cleanup(func() { stop(); all.Wait() })
}
