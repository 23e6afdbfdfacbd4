package kvstorage

import (
	"context"
	"io"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
)

// taking is a storage whose events are taken as the API server takes them: each is encoded, then it is the test's.
type taking struct{ *Storage }

func (s taking) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	w, err := s.Storage.Watch(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	t := &taken{Interface: w, results: make(chan watch.Event, 100), stopped: make(chan struct{}), done: make(chan struct{})}
	go t.run()
	return t, nil
}

type taken struct {
	watch.Interface
	results chan watch.Event
	stopped chan struct{}
	done    chan struct{}
}

func (t *taken) ResultChan() <-chan watch.Event { return t.results }

func (t *taken) Stop() {
	select {
	case <-t.stopped:
	default:
		close(t.stopped)
	}
	t.Interface.Stop()
	<-t.done
}

func (t *taken) run() {
	defer close(t.done)
	defer close(t.results)
	for e := range t.Interface.ResultChan() {
		if p, ok := e.Object.(*parcel); ok {
			if e.Object = p.GetObject(); e.Object == nil {
				continue // the watch has ended
			}
			_ = take(p)
		}
		select {
		case t.results <- e:
		case <-t.stopped:
			return
		}
	}
}

// take encodes an event to nowhere.
func take(p *parcel) error {
	return p.CacheEncode("nowhere", func(runtime.Object, io.Writer) error { return nil }, io.Discard)
}
