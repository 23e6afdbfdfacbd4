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
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"

	"github.com/hanse-fleet/hanse/apiserver/internal/onemember"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// The conformance suite of k8s.io/apiserver/pkg/storage/testing. docs/conformance.md has the list, and why what is not
// here is not.
func podStorage(t *testing.T) (context.Context, *Storage, *onemember.Store) {
	t.Helper()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	utilruntime.Must(example.AddToScheme(scheme))
	utilruntime.Must(examplev1.AddToScheme(scheme))
	f := onemember.New()
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
func stored(f *onemember.Store, s *Storage) storagetesting.KeyValidation {
	return func(_ context.Context, t *testing.T, key string) {
		kv, ok := f.View().Get(key)
		if !ok {
			t.Fatalf("nothing at %s", key)
		}
		obj, err := runtime.Decode(s.Codec, kv.Value)
		if err != nil {
			t.Fatalf("decode %s: %v", kv.Value, err)
		}
		if pod := obj.(*example.Pod); pod.ResourceVersion != "" {
			t.Errorf("resourceVersion %q in the store", pod.ResourceVersion)
		}
	}
}

func compaction(f *onemember.Store) storagetesting.Compaction {
	return func(_ context.Context, t *testing.T, resourceVersion string) {
		rev, err := strconv.ParseUint(resourceVersion, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		f.Compact(store.Revision(rev))
		f.Put("/other", "") // as a compaction of etcd does
	}
}

func increase(f *onemember.Store) storagetesting.IncreaseRVFunc {
	return func(_ context.Context, t *testing.T) int64 {
		f.Put("/other", "")
		return int64(f.View().Revision())
	}
}

// untransformed takes part in tests that could change how values are encrypted at rest: here they never are.
type untransformed struct{ *Storage }

func (untransformed) UpdatePrefixTransformer(storagetesting.PrefixTransformerModifier) func() {
	return func() {}
}

func anyCalls(*testing.T, uint64, uint64) {}

func TestConformanceOfReadsAndWrites(t *testing.T) {
	for name, run := range map[string]func(context.Context, *testing.T, *Storage, *onemember.Store){
		"Create": func(ctx context.Context, t *testing.T, s *Storage, f *onemember.Store) {
			storagetesting.RunTestCreate(ctx, t, s, stored(f, s))
		},
		"CreateWithKeyExist": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestCreateWithKeyExist(ctx, t, s)
		},
		"Get": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestGet(ctx, t, s)
		},
		"UnconditionalDelete": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestUnconditionalDelete(ctx, t, s)
		},
		"ConditionalDelete": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestConditionalDelete(ctx, t, s)
		},
		"DeleteWithSuggestion": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestDeleteWithSuggestion(ctx, t, s)
		},
		"DeleteWithSuggestionAndConflict": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestDeleteWithSuggestionAndConflict(ctx, t, s)
		},
		"DeleteWithConflict": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestDeleteWithConflict(ctx, t, s)
		},
		"DeleteWithSuggestionOfDeletedObject": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestDeleteWithSuggestionOfDeletedObject(ctx, t, s)
		},
		"ValidateDeletionWithSuggestion": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestValidateDeletionWithSuggestion(ctx, t, s)
		},
		"ValidateDeletionWithOnlySuggestionValid": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestValidateDeletionWithOnlySuggestionValid(ctx, t, s)
		},
		"PreconditionalDeleteWithSuggestion": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestPreconditionalDeleteWithSuggestion(ctx, t, s)
		},
		"PreconditionalDeleteWithOnlySuggestionPass": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestPreconditionalDeleteWithOnlySuggestionPass(ctx, t, s)
		},
		"GuaranteedUpdateWithConflict": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestGuaranteedUpdateWithConflict(ctx, t, s)
		},
		"GuaranteedUpdateWithSuggestionAndConflict": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict(ctx, t, s)
		},
		"GuaranteedUpdate": func(ctx context.Context, t *testing.T, s *Storage, f *onemember.Store) {
			storagetesting.RunTestGuaranteedUpdate(ctx, t, untransformed{s}, stored(f, s))
		},
		"Stats": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestStats(ctx, t, s, s.Codec, identity.NewEncryptCheckTransformer(), true)
		},
		"KeySchema": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestKeySchema(ctx, t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, s, f := podStorage(t)
			run(ctx, t, s, f)
		})
	}
}

func TestConformanceOfLists(t *testing.T) {
	for name, run := range map[string]func(context.Context, *testing.T, *Storage, *onemember.Store){
		"List": func(ctx context.Context, t *testing.T, s *Storage, f *onemember.Store) {
			storagetesting.RunTestList(ctx, t, s, compaction(f), false, nil)
		},
		"ConsistentList": func(ctx context.Context, t *testing.T, s *Storage, f *onemember.Store) {
			storagetesting.RunTestConsistentList(ctx, t, s, increase(f), false, true, false)
		},
		"GetListNonRecursive": func(ctx context.Context, t *testing.T, s *Storage, f *onemember.Store) {
			storagetesting.RunTestGetListNonRecursive(ctx, t, increase(f), s)
		},
		"GetListRecursivePrefix": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestGetListRecursivePrefix(ctx, t, s)
		},
		"ListContinuation": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestListContinuation(ctx, t, s, anyCalls)
		},
		"ListPaginationRareObject": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestListPaginationRareObject(ctx, t, s, anyCalls)
		},
		"ListContinuationWithFilter": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestListContinuationWithFilter(ctx, t, s, anyCalls)
		},
		"ListInconsistentContinuation": func(ctx context.Context, t *testing.T, s *Storage, f *onemember.Store) {
			storagetesting.RunTestListInconsistentContinuation(ctx, t, s, compaction(f))
		},
		"ListResourceVersionMatch": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestListResourceVersionMatch(ctx, t, untransformed{s})
		},
		"ListPaging": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestListPaging(ctx, t, s)
		},
		"NamespaceScopedList": func(ctx context.Context, t *testing.T, s *Storage, _ *onemember.Store) {
			storagetesting.RunTestNamespaceScopedList(ctx, t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, s, f := podStorage(t)
			run(ctx, t, s, f)
		})
	}
}

func TestConformanceOfWatches(t *testing.T) {
	for name, run := range map[string]func(context.Context, *testing.T, taking, *onemember.Store){
		"Watch": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestWatch(ctx, t, s)
		},
		"ClusterScopedWatch": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestClusterScopedWatch(ctx, t, s)
		},
		"NamespaceScopedWatch": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestNamespaceScopedWatch(ctx, t, s)
		},
		"DeleteTriggerWatch": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestDeleteTriggerWatch(ctx, t, s)
		},
		"WatchFromZero": func(ctx context.Context, t *testing.T, s taking, f *onemember.Store) {
			storagetesting.RunTestWatchFromZero(ctx, t, s, compaction(f))
		},
		"WatchFromNonZero": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestWatchFromNonZero(ctx, t, s)
		},
		"DelayedWatchDelivery": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestDelayedWatchDelivery(ctx, t, s)
		},
		"WatchContextCancel": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestWatchContextCancel(ctx, t, s)
		},
		"WatcherTimeout": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestWatcherTimeout(ctx, t, s)
		},
		"WatchDeleteEventObjectHaveLatestRV": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestWatchDeleteEventObjectHaveLatestRV(ctx, t, s)
		},
		"WatchInitializationSignal": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestWatchInitializationSignal(ctx, t, s)
		},
		"WatchDispatchBookmarkEvents": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestWatchDispatchBookmarkEvents(ctx, t, s, false)
		},
		"OptionalWatchBookmarksWithCorrectResourceVersion": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunTestOptionalWatchBookmarksWithCorrectResourceVersion(ctx, t, s)
		},
		"ProgressNotify": func(ctx context.Context, t *testing.T, s taking, f *onemember.Store) {
			storagetesting.RunOptionalTestProgressNotify(ctx, t, s, increase(f))
		},
		"SendInitialEventsBackwardCompatibility": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunSendInitialEventsBackwardCompatibility(ctx, t, s)
		},
		"WatchSemantics": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunWatchSemantics(ctx, t, s)
		},
		"WatchSemanticInitialEventsExtended": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunWatchSemanticInitialEventsExtended(ctx, t, s)
		},
		"WatchListMatchSingle": func(ctx context.Context, t *testing.T, s taking, _ *onemember.Store) {
			storagetesting.RunWatchListMatchSingle(ctx, t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, s, f := podStorage(t)
			run(ctx, t, taking{s}, f)
		})
	}
}
