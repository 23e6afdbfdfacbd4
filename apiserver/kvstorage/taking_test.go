package kvstorage

import (
	"bytes"
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
		for _, obj := range take(e.Object) {
			select {
			case t.results <- watch.Event{Type: e.Type, Object: obj}:
			case <-t.stopped:
				return
			}
		}
	}
}

// take encodes what a watch sends to nowhere, and returns the objects in it.
func take(obj runtime.Object) (objects []runtime.Object) {
	p, ok := obj.(*post)
	if !ok {
		return []runtime.Object{obj}
	}
	for _, t := range p.tellings {
		objects = append(objects, t.DeepCopyObject())
	}
	_ = p.CacheEncode("nowhere", func(runtime.Object, io.Writer) error { return nil }, new(bytes.Buffer))
	return objects
}
