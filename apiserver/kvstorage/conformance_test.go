package kvstorage

import (
	"context"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/apitesting"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	examplev1 "k8s.io/apiserver/pkg/apis/example/v1"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// The conformance suite of k8s.io/apiserver/pkg/storage/testing. Left out are:
//
//   - CreateWithTTL, GuaranteedUpdateWithTTL: nothing of a fleet's vanishes by itself.
//   - everything that swaps a value.Transformer under the storage (WithPrefixTransformer, WithTransformerOverride,
//     TransformationFailure, UnsafeDelete, ErrorAggregation, MissingExpectedTransformOrDecodeError): values are
//     not encrypted at rest, and a value that cannot be decoded cannot be written through this API.
//   - Stats: counts bytes as etcd does.
//   - ProgressNotify, CompactRevision: asked by a watch cache only, and there is none.
func podStorage(t *testing.T) (context.Context, *Storage, *fakeStore) {
	t.Helper()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	utilruntime.Must(example.AddToScheme(scheme))
	utilruntime.Must(examplev1.AddToScheme(scheme))
	f := newFakeStore(t)
	return t.Context(), New(Config{
		Store:    f,
		Quorum:   new(Quorum),
		Timing:   Timing{Behind: 300 * time.Millisecond, Bookmark: time.Second},
		Resource: schema.GroupResource{Resource: "pods"},
		Prefix:   "/pods",
		Codec:    apitesting.TestCodec(serializer.NewCodecFactory(scheme), examplev1.SchemeGroupVersion),
		New:      func() runtime.Object { return &example.Pod{} },
	}), f
}

// stored checks what lies in the store after a write.
func stored(f *fakeStore, s *Storage) storagetesting.KeyValidation {
	return func(_ context.Context, t *testing.T, key string) {
		kv, ok := f.View().Get(key)
		if !ok {
			t.Fatalf("nothing at %s", key)
		}
		obj, err := runtime.Decode(s.Codec, kv.Value)
		if err != nil {
			t.Fatalf("decode %s: %v", kv.Value, err)
		}
		if pod := obj.(*example.Pod); pod.ResourceVersion != "" || pod.SelfLink != "" {
			t.Errorf("resourceVersion %q, selfLink %q in the store", pod.ResourceVersion, pod.SelfLink)
		}
	}
}

func compaction(f *fakeStore) storagetesting.Compaction {
	return func(_ context.Context, t *testing.T, resourceVersion string) {
		rev, err := strconv.ParseUint(resourceVersion, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		f.compact(store.Revision(rev))
		f.increase(t) // as a compaction of etcd does
	}
}

func increase(f *fakeStore) storagetesting.IncreaseRVFunc {
	return func(_ context.Context, t *testing.T) int64 {
		f.increase(t)
		return int64(f.View().Revision())
	}
}

func anyCalls(*testing.T, uint64, uint64) {}

func TestConformanceOfReadsAndWrites(t *testing.T) {
	for name, run := range map[string]func(context.Context, *testing.T, *Storage, *fakeStore){
		"Create": func(ctx context.Context, t *testing.T, s *Storage, f *fakeStore) {
			storagetesting.RunTestCreate(ctx, t, s, stored(f, s))
		},
		"CreateWithKeyExist": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestCreateWithKeyExist(ctx, t, s)
		},
		"Get": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestGet(ctx, t, s)
		},
		"UnconditionalDelete": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestUnconditionalDelete(ctx, t, s)
		},
		"ConditionalDelete": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestConditionalDelete(ctx, t, s)
		},
		"DeleteWithSuggestion": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestDeleteWithSuggestion(ctx, t, s)
		},
		"DeleteWithSuggestionAndConflict": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestDeleteWithSuggestionAndConflict(ctx, t, s)
		},
		"DeleteWithConflict": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestDeleteWithConflict(ctx, t, s)
		},
		"DeleteWithSuggestionOfDeletedObject": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestDeleteWithSuggestionOfDeletedObject(ctx, t, s)
		},
		"ValidateDeletionWithSuggestion": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestValidateDeletionWithSuggestion(ctx, t, s)
		},
		"ValidateDeletionWithOnlySuggestionValid": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestValidateDeletionWithOnlySuggestionValid(ctx, t, s)
		},
		"PreconditionalDeleteWithSuggestion": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestPreconditionalDeleteWithSuggestion(ctx, t, s)
		},
		"PreconditionalDeleteWithOnlySuggestionPass": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestPreconditionalDeleteWithOnlySuggestionPass(ctx, t, s)
		},
		"GuaranteedUpdateWithConflict": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestGuaranteedUpdateWithConflict(ctx, t, s)
		},
		"GuaranteedUpdateWithSuggestionAndConflict": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict(ctx, t, s)
		},
		"KeySchema": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestKeySchema(ctx, t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, s, f := podStorage(t)
			run(ctx, t, s, f)
		})
	}
}

func TestConformanceOfLists(t *testing.T) {
	for name, run := range map[string]func(context.Context, *testing.T, *Storage, *fakeStore){
		"List": func(ctx context.Context, t *testing.T, s *Storage, f *fakeStore) {
			storagetesting.RunTestList(ctx, t, s, compaction(f), false, nil)
		},
		"ConsistentList": func(ctx context.Context, t *testing.T, s *Storage, f *fakeStore) {
			storagetesting.RunTestConsistentList(ctx, t, s, increase(f), false, true, false)
		},
		"GetListNonRecursive": func(ctx context.Context, t *testing.T, s *Storage, f *fakeStore) {
			storagetesting.RunTestGetListNonRecursive(ctx, t, increase(f), s)
		},
		"GetListRecursivePrefix": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestGetListRecursivePrefix(ctx, t, s)
		},
		"ListContinuation": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestListContinuation(ctx, t, s, anyCalls)
		},
		"ListPaginationRareObject": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestListPaginationRareObject(ctx, t, s, anyCalls)
		},
		"ListContinuationWithFilter": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestListContinuationWithFilter(ctx, t, s, anyCalls)
		},
		"ListInconsistentContinuation": func(ctx context.Context, t *testing.T, s *Storage, f *fakeStore) {
			storagetesting.RunTestListInconsistentContinuation(ctx, t, s, compaction(f))
		},
		"ListPaging": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestListPaging(ctx, t, s)
		},
		"NamespaceScopedList": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestNamespaceScopedList(ctx, t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, s, f := podStorage(t)
			run(ctx, t, s, f)
		})
	}
}

func TestConformanceOfWatches(t *testing.T) {
	for name, run := range map[string]func(context.Context, *testing.T, *Storage, *fakeStore){
		"Watch": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestWatch(ctx, t, s)
		},
		"ClusterScopedWatch": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestClusterScopedWatch(ctx, t, s)
		},
		"NamespaceScopedWatch": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestNamespaceScopedWatch(ctx, t, s)
		},
		"DeleteTriggerWatch": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestDeleteTriggerWatch(ctx, t, s)
		},
		"WatchFromZero": func(ctx context.Context, t *testing.T, s *Storage, f *fakeStore) {
			storagetesting.RunTestWatchFromZero(ctx, t, s, compaction(f))
		},
		"WatchFromNonZero": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestWatchFromNonZero(ctx, t, s)
		},
		"DelayedWatchDelivery": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestDelayedWatchDelivery(ctx, t, s)
		},
		"WatchContextCancel": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestWatchContextCancel(ctx, t, s)
		},
		"WatcherTimeout": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestWatcherTimeout(ctx, t, s)
		},
		"WatchDeleteEventObjectHaveLatestRV": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestWatchDeleteEventObjectHaveLatestRV(ctx, t, s)
		},
		"WatchInitializationSignal": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestWatchInitializationSignal(ctx, t, s)
		},
		"WatchDispatchBookmarkEvents": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestWatchDispatchBookmarkEvents(ctx, t, s, false)
		},
		"OptionalWatchBookmarksWithCorrectResourceVersion": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunTestOptionalWatchBookmarksWithCorrectResourceVersion(ctx, t, s)
		},
		"SendInitialEventsBackwardCompatibility": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunSendInitialEventsBackwardCompatibility(ctx, t, s)
		},
		"WatchSemantics": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunWatchSemantics(ctx, t, s)
		},
		"WatchSemanticInitialEventsExtended": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunWatchSemanticInitialEventsExtended(ctx, t, s)
		},
		"WatchListMatchSingle": func(ctx context.Context, t *testing.T, s *Storage, _ *fakeStore) {
			storagetesting.RunWatchListMatchSingle(ctx, t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, s, f := podStorage(t)
			run(ctx, t, s, f)
		})
	}
}
